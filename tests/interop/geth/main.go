// geth is go-ethereum as maker of chains, verifier of proofs and client of JSON-RPC. (`geth attach` itself is built
// from the same pinned module: go build github.com/ethereum/go-ethereum/cmd/geth.)
//
//	geth forks -out DIR            writes a chain that crosses every fork from Frontier to the last blob schedule
//	geth yard -out DIR             writes a chain by proof of stake whose contracts are worth calling
//	geth serve -chain DIR          a node that has imported such a folder's chain: its JSON-RPC, until stdin ends
//	geth compare -chain DIR -full URL -light URL
//	                               asks such a node and ours the same at random; what differs is printed and fails
//	geth verify                    checks eth_getProof answers from stdin with trie.VerifyProof
//	geth ws -url URL               blocks, balance and proof of the head over WebSocket, by go-ethereum's client
//	geth keys-make -out DIR        writes key files for the private keys on stdin
//	geth keys-read -out DIR        opens the key files that stdin has passwords for, and prints the private keys
//	geth sign                      signs the messages, typed data and transactions on stdin
package main

import (
	"flag"
	"fmt"
	"os"
)

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "geth:", err)
		os.Exit(1)
	}
}

func run() error {
	if len(os.Args) < 2 {
		return fmt.Errorf("usage: geth forks|yard|serve|compare|verify|ws|keys-make|keys-read|sign …")
	}
	flags := flag.NewFlagSet(os.Args[1], flag.ContinueOnError)
	out := flags.String("out", ".", "folder to write to")
	chain := flags.String("chain", ".", "folder with a chain")
	url := flags.String("url", "", "the node's WebSocket")
	var c comparison
	flags.StringVar(&c.full, "full", "", "HTTP URL of the full peer")
	flags.StringVar(&c.light, "light", "", "HTTP URL of the light node")
	flags.StringVar(&c.methods, "methods", "", "methods to compare, with commas between; all where empty")
	flags.Int64Var(&c.seed, "seed", 1, "of the queries")
	flags.IntVar(&c.count, "count", 1000, "how many queries")
	if err := flags.Parse(os.Args[2:]); err != nil {
		return err
	}
	switch os.Args[1] {
	case "forks":
		return forks(*out)
	case "yard":
		return writeYard(*out)
	case "serve":
		return serve(*chain)
	case "compare":
		c.chain = *chain
		return compare(c)
	case "verify":
		return verify(os.Stdin)
	case "ws":
		return overWebSocket(*url)
	case "keys-make":
		return makeKeys(*out, os.Stdin)
	case "keys-read":
		return readKeys(*out, os.Stdin)
	case "sign":
		return signAll(os.Stdin)
	default:
		return fmt.Errorf("unknown command %q", os.Args[1])
	}
}
