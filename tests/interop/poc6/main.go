// poc6 is a foreign peer for eth version 28 (PoC-6) on go-ethereum's p2p package.
//
//	poc6 dial -chain DIR -enode URL      checks a full peer that holds DIR's chain: answers, limits, breaches
//	poc6 listen -chain DIR [-lie NAME]   serves DIR's chain to whoever dials
//
// dial prints a line a check and fails where one does. listen prints its enode URL, then a line for each session's end.
package main

import (
	"flag"
	"fmt"
	"os"

	"github.com/ethereum/go-ethereum/p2p/enode"
)

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "poc6:", err)
		os.Exit(1)
	}
}

func run() error {
	if len(os.Args) < 2 {
		return fmt.Errorf("usage: poc6 dial|listen -chain DIR …")
	}
	flags := flag.NewFlagSet(os.Args[1], flag.ContinueOnError)
	dir := flags.String("chain", "", "folder that chainmaker wrote")
	url := flags.String("enode", "", "the peer to check")
	lie := flags.String("lie", "", "what to get wrong: headers, unasked, lookups, nobodies, silence, unopened")
	if err := flags.Parse(os.Args[2:]); err != nil {
		return err
	}
	c, err := load(*dir)
	if err != nil {
		return err
	}
	switch os.Args[1] {
	case "dial":
		node, err := enode.ParseV4(*url)
		if err != nil {
			return err
		}
		return dial(c, node)
	case "listen":
		return listen(c, *lie)
	default:
		return fmt.Errorf("unknown command %q", os.Args[1])
	}
}
