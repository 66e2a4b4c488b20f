package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/big"
	"os"
	"path/filepath"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/core"
	"github.com/ethereum/go-ethereum/core/types"
	"github.com/ethereum/go-ethereum/crypto"
	"github.com/ethereum/go-ethereum/rlp"
	"github.com/ethereum/go-ethereum/trie"
)

// chain is a chain made by chainmaker, held whole: what a full peer knows.
type chain struct {
	genesis   *types.Block
	blocks    []*types.Block // by number, genesis first
	byHash    map[common.Hash]uint64
	td        *big.Int
	preimages map[common.Hash][]byte
}

func load(dir string) (*chain, error) {
	spec, err := os.ReadFile(filepath.Join(dir, "genesis.json"))
	if err != nil {
		return nil, err
	}
	var genesis core.Genesis
	if err := json.Unmarshal(spec, &genesis); err != nil {
		return nil, err
	}
	c := &chain{genesis: genesis.ToBlock(), byHash: map[common.Hash]uint64{}, td: new(big.Int), preimages: map[common.Hash][]byte{}}
	c.add(c.genesis)
	file, err := os.ReadFile(filepath.Join(dir, "chain.rlp"))
	if err != nil {
		return nil, err
	}
	stream := rlp.NewStream(bytes.NewReader(file), 0)
	for {
		var block types.Block
		if err := stream.Decode(&block); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			return nil, err
		}
		if block.ParentHash() != c.head().Hash() {
			return nil, fmt.Errorf("block %d does not follow %s", block.NumberU64(), c.head().Hash())
		}
		c.add(&block)
	}
	nodes, err := os.ReadFile(filepath.Join(dir, "nodes.rlp"))
	if err != nil {
		return nil, err
	}
	var values [][]byte
	if err := rlp.DecodeBytes(nodes, &values); err != nil {
		return nil, err
	}
	for _, value := range values {
		c.keep(value)
	}
	return c, nil
}

func (c *chain) add(block *types.Block) {
	c.byHash[block.Hash()] = block.NumberU64()
	c.blocks = append(c.blocks, block)
	c.td.Add(c.td, block.Difficulty())
	for _, tx := range block.Transactions() {
		raw, err := tx.MarshalBinary()
		if err != nil {
			panic(err) // decoded from a file just now
		}
		c.keep(raw)
	}
	uncles, _ := rlp.EncodeToBytes(block.Uncles())
	c.keep(uncles)
	types.DeriveSha(block.Transactions(), trie.NewStackTrie(func(_ []byte, hash common.Hash, blob []byte) {
		c.preimages[hash] = common.CopyBytes(blob)
	}))
}

func (c *chain) keep(value []byte) { c.preimages[crypto.Keccak256Hash(value)] = value }

func (c *chain) head() *types.Block { return c.blocks[len(c.blocks)-1] }

func (c *chain) block(hash common.Hash) *types.Block {
	if n, ok := c.byHash[hash]; ok {
		return c.blocks[n]
	}
	return nil
}

// before lists the hashes of at most max ancestors of hash, its parent first.
func (c *chain) before(hash common.Hash, max uint64) []common.Hash {
	hashes := []common.Hash{}
	n, ok := c.byHash[hash]
	for ok && n > 0 && uint64(len(hashes)) < max {
		n--
		hashes = append(hashes, c.blocks[n].Hash())
	}
	return hashes
}
