package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/ethereum/go-ethereum/common/hexutil"
	"github.com/ethereum/go-ethereum/core"
	"github.com/ethereum/go-ethereum/core/rawdb"
	"github.com/ethereum/go-ethereum/core/types"
	"github.com/ethereum/go-ethereum/eth"
	"github.com/ethereum/go-ethereum/eth/ethconfig"
	"github.com/ethereum/go-ethereum/eth/gasprice"
	"github.com/ethereum/go-ethereum/node"
	"github.com/ethereum/go-ethereum/p2p"
	"github.com/ethereum/go-ethereum/rlp"
)

// startNode is a node of go-ethereum's that has imported the chain in that folder, and its JSON-RPC over HTTP: an
// archive in memory without peers, everything else as geth has it by default.
func startNode(folder string) (*node.Node, map[string]bool, error) {
	var genesis core.Genesis
	text, err := os.ReadFile(filepath.Join(folder, "genesis.json"))
	if err != nil {
		return nil, nil, err
	}
	if err := json.Unmarshal(text, &genesis); err != nil {
		return nil, nil, err
	}
	blocks, err := readChain(filepath.Join(folder, "chain.rlp"))
	if err != nil {
		return nil, nil, err
	}
	config := node.DefaultConfig
	config.DataDir = ""
	config.P2P = p2p.Config{NoDiscovery: true, NoDial: true}
	config.HTTPHost, config.HTTPPort, config.HTTPModules = "127.0.0.1", 0, []string{"eth", "net", "web3"}
	stack, err := node.New(&config)
	if err != nil {
		return nil, nil, err
	}
	settings := ethconfig.Defaults
	settings.Genesis, settings.SyncMode = &genesis, ethconfig.FullSync
	settings.NoPruning, settings.StateScheme, settings.TransactionHistory = true, rawdb.HashScheme, 0
	settings.LogNoHistory = true
	backend, err := eth.New(stack, &settings)
	if err != nil {
		return nil, nil, errors.Join(err, stack.Close())
	}
	if err := stack.Start(); err != nil {
		return nil, nil, errors.Join(err, stack.Close())
	}
	if i, err := backend.BlockChain().InsertChain(blocks); err != nil {
		return nil, nil, errors.Join(fmt.Errorf("block %d: %w", i+1, err), stack.Close())
	}
	suggested, err := suggestedTips(backend, &settings)
	return stack, suggested, err
}

// How many oracles are asked.
const oracles = 64

// suggestedTips are the tips that go-ethereum suggests on this head. There are several: its sample depends on the order in
// which the blocks arrive that it reads side by side.
func suggestedTips(backend *eth.Ethereum, settings *ethconfig.Config) (map[string]bool, error) {
	suggested := map[string]bool{}
	for range oracles {
		oracle := gasprice.NewOracle(backend.APIBackend, settings.GPO, settings.Miner.GasPrice)
		suggestion, err := oracle.SuggestTipCap(context.Background())
		if err != nil {
			return nil, err
		}
		suggested[hexutil.EncodeBig(suggestion)] = true
	}
	return suggested, nil
}

func readChain(path string) (blocks types.Blocks, err error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	for stream := rlp.NewStream(file, 0); ; {
		block := new(types.Block)
		if err := stream.Decode(block); errors.Is(err, io.EOF) {
			return blocks, nil
		} else if err != nil {
			return nil, err
		}
		blocks = append(blocks, block)
	}
}

// serve runs such a node until its stdin ends, after a line with its URL.
func serve(folder string) error {
	stack, _, err := startNode(folder)
	if err != nil {
		return err
	}
	fmt.Println(stack.HTTPEndpoint())
	_, err = io.Copy(io.Discard, os.Stdin)
	return errors.Join(err, stack.Close())
}
