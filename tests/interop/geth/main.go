// geth is go-ethereum as maker of chains, verifier of proofs and client of JSON-RPC. (`geth attach` itself is built
// from the same pinned module: go build github.com/ethereum/go-ethereum/cmd/geth.)
//
//	geth forks -out DIR            writes a chain that crosses every fork from Frontier to the last blob schedule
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
		return fmt.Errorf("usage: geth forks|verify|ws|keys-make|keys-read|sign …")
	}
	flags := flag.NewFlagSet(os.Args[1], flag.ContinueOnError)
	out := flags.String("out", ".", "folder to write to")
	url := flags.String("url", "", "the node's WebSocket")
	if err := flags.Parse(os.Args[2:]); err != nil {
		return err
	}
	switch os.Args[1] {
	case "forks":
		return forks(*out)
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
