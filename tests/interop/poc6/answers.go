package main

import (
	"bytes"
	"errors"
	"fmt"
	"slices"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/core/types"
	"github.com/ethereum/go-ethereum/crypto"
	"github.com/ethereum/go-ethereum/ethdb/memorydb"
	"github.com/ethereum/go-ethereum/p2p"
	"github.com/ethereum/go-ethereum/p2p/enode"
	"github.com/ethereum/go-ethereum/rlp"
	"github.com/ethereum/go-ethereum/trie"
)

var answers = []check{
	{"Hello offers eth 28 over devp2p 5", func(_ *chain, node *enode.Node) error {
		conn, err := connect(node, 5, eth28)
		if err != nil {
			return err
		}
		defer conn.Close()
		if conn.remote.Version < 5 || !slices.Contains(conn.remote.Caps, eth28) {
			return fmt.Errorf("version %d, capabilities %v", conn.remote.Version, conn.remote.Caps)
		}
		return nil
	}},
	{"devp2p 4 goes without Snappy", func(c *chain, node *enode.Node) error {
		conn, err := connect(node, 4, eth28)
		if err != nil {
			return err
		}
		defer conn.Close()
		return conn.wantStatus(new(status))
	}},
	{"Status tells head, total difficulty and genesis", func(c *chain, node *enode.Node) error {
		conn, err := connect(node, 5, eth28)
		if err != nil {
			return err
		}
		defer conn.Close()
		var s status
		if err := conn.wantStatus(&s); err != nil {
			return err
		}
		want := c.status()
		if s.TD.Cmp(want.TD) != 0 {
			return fmt.Errorf("total difficulty %v, want %v", s.TD, want.TD)
		}
		if s.TD = want.TD; s != *want {
			return fmt.Errorf("got %+v, want %+v", s, *want)
		}
		return nil
	}},
	{"GetBlockHashes", inSession(func(c *chain, conn *rawConn) error {
		for _, q := range []getBlockHashes{
			{c.head().Hash(), 10}, {c.head().Hash(), 1 << 40}, {c.blocks[5].Hash(), 100}, {c.genesis.Hash(), 5},
			{common.Hash{1}, 5}, {c.head().Hash(), 0},
		} {
			var got []common.Hash
			if err := ask(conn, getBlockHashesMsg, &q, blockHashesMsg, &got); err != nil {
				return err
			}
			if !slices.Equal(got, c.before(q.Hash, min(q.MaxBlocks, maxHashes))) {
				return fmt.Errorf("%v: got %d hashes", q, len(got))
			}
		}
		return nil
	})},
	{"GetBlockHeaders leaves out what it does not hold and gives each once", inSession(func(c *chain, conn *rawConn) error {
		asked := []common.Hash{c.blocks[3].Hash(), {7}, c.blocks[1].Hash(), c.blocks[3].Hash()}
		var got []*types.Header
		if err := ask(conn, getBlockHeadersMsg, asked, blockHeadersMsg, &got); err != nil {
			return err
		}
		if len(got) != 2 || got[0].Hash() != c.blocks[3].Hash() || got[1].Hash() != c.blocks[1].Hash() {
			return fmt.Errorf("got %d headers", len(got))
		}
		return nil
	})},
	{"GetBlockHeaders stops at 192", inSession(func(c *chain, conn *rawConn) error {
		var got []*types.Header
		if err := ask(conn, getBlockHeadersMsg, c.before(c.head().Hash(), 300), blockHeadersMsg, &got); err != nil {
			return err
		}
		if len(got) != maxHeaders {
			return fmt.Errorf("got %d headers", len(got))
		}
		return nil
	})},
	{"GetBlocks gives blocks as they are", inSession(func(c *chain, conn *rawConn) error {
		for from := 0; from < len(c.blocks); from += maxBlocks {
			want := c.blocks[from:min(from+maxBlocks, len(c.blocks))]
			var asked []common.Hash
			for _, block := range want {
				asked = append(asked, block.Hash())
			}
			var got []rlp.RawValue
			if err := ask(conn, getBlocksMsg, asked, blocksMsg, &got); err != nil {
				return err
			}
			if len(got) != len(want) {
				return fmt.Errorf("asked for %d blocks, got %d", len(want), len(got))
			}
			for i, block := range want {
				if raw, _ := rlp.EncodeToBytes(block); !bytes.Equal(raw, got[i]) {
					return fmt.Errorf("block %d differs", block.NumberU64())
				}
			}
		}
		return nil
	})},
	{"empty requests get empty answers", inSession(func(_ *chain, conn *rawConn) error {
		for _, id := range []uint64{getBlocksMsg, getBlockHeadersMsg} {
			var got []rlp.RawValue
			if err := ask(conn, id, []common.Hash{}, id+1, &got); err != nil || len(got) != 0 {
				return fmt.Errorf("message 0x%02x: %d items, %v", id, len(got), err)
			}
		}
		var got lookupResponse
		if err := ask(conn, hashLookupMsg, &lookup{}, hashLookupRespMsg, &got); err != nil || len(got.Values) != 0 {
			return fmt.Errorf("look-up: %d values, %v", len(got.Values), err)
		}
		return nil
	})},
	{"HashLookup finds state, storage, code, transactions, tries and uncle lists", inSession(func(c *chain, conn *rawConn) error {
		var hashes []common.Hash
		for hash := range c.preimages {
			if hash != types.EmptyRootHash && hash != types.EmptyCodeHash {
				hashes = append(hashes, hash)
			}
		}
		for len(hashes) > 0 {
			part := hashes[:min(maxLookups, len(hashes))]
			got, err := look(conn, part)
			if err != nil {
				return err
			}
			if len(got) == 0 {
				return errors.New("no values at all")
			}
			for i, value := range got {
				if crypto.Keccak256Hash(value) != part[i] {
					return fmt.Errorf("no value for %s (%x)", part[i], c.preimages[part[i]])
				}
			}
			hashes = hashes[len(got):]
		}
		return nil
	})},
	{"HashLookup: positions, repeats, what is not held", inSession(func(c *chain, conn *rawConn) error {
		root := c.head().Root()
		got, err := look(conn, []common.Hash{{9}, root, {8}, root})
		if err != nil {
			return err
		}
		if len(got) != 4 || len(got[0]) != 0 || len(got[2]) != 0 || !bytes.Equal(got[1], got[3]) || len(got[1]) == 0 {
			return fmt.Errorf("got %x", got)
		}
		return nil
	})},
	{"HashLookup: of 385 to 768 the first 384 are answered", inSession(func(c *chain, conn *rawConn) error {
		for _, n := range []int{385, 768} {
			got, err := look(conn, slices.Repeat([]common.Hash{c.head().UncleHash()}, n))
			if err != nil || len(got) != maxLookups {
				return fmt.Errorf("asked %d: %d values, %v", n, len(got), err)
			}
		}
		return nil
	})},
	{"an account is proved by look-ups alone, node by node", inSession(proveAccount)},
	{"transactions and a known block are taken quietly", inSession(func(c *chain, conn *rawConn) error {
		if err := conn.send(transactionsMsg, c.blocks[2].Transactions()); err != nil {
			return err
		}
		if err := conn.send(newBlockMsg, &newBlock{c.head(), c.td}); err != nil {
			return err
		}
		_, err := look(conn, []common.Hash{c.head().Root()})
		return err
	})},
}

// proveAccount walks from a header's state root to an account as a light node does, and has go-ethereum check the proof.
func proveAccount(c *chain, conn *rawConn) error {
	address := common.HexToAddress("0x000000000000000000000000000000000000c0de")
	key := crypto.Keccak256(address[:])
	for _, number := range []int{0, 250, len(c.blocks) - 1} {
		root := c.blocks[number].Root()
		proof := memorydb.New()
		next := []common.Hash{root}
		for turn := 0; len(next) > 0; turn++ {
			if turn > 64 {
				return errors.New("the walk does not end")
			}
			values, err := look(conn, next)
			if err != nil {
				return err
			}
			next = nil
			for _, value := range values {
				_ = proof.Put(crypto.Keccak256(value), value)
			}
			if _, err := trie.VerifyProof(root, key, proof); err == nil {
				break
			} else if missing := missingNode(proof, root, key); missing != (common.Hash{}) {
				next = []common.Hash{missing}
			} else {
				return err
			}
		}
		value, err := trie.VerifyProof(root, key, proof)
		if err != nil || len(value) == 0 {
			return fmt.Errorf("block %d: %v", number, err)
		}
	}
	return nil
}

// missingNode finds the first hash on the key's path that is not in the proof.
func missingNode(proof *memorydb.Database, root common.Hash, key []byte) common.Hash {
	nibbles := make([]byte, 0, 2*len(key))
	for _, b := range key {
		nibbles = append(nibbles, b>>4, b&15)
	}
	hash := root
	for {
		blob, err := proof.Get(hash[:])
		if err != nil {
			return hash
		}
		var items []rlp.RawValue
		if err := rlp.DecodeBytes(blob, &items); err != nil || len(nibbles) == 0 {
			return common.Hash{}
		}
		child := rlp.RawValue{}
		if len(items) == 17 {
			child, nibbles = items[nibbles[0]], nibbles[1:]
		} else {
			var path []byte
			if err := rlp.DecodeBytes(items[0], &path); err != nil || len(path) == 0 || path[0] >= 32 {
				return common.Hash{}
			}
			skip := 2*(len(path)-1) + int(path[0]>>4&1)
			child, nibbles = items[1], nibbles[min(skip, len(nibbles)):]
		}
		var next []byte
		if err := rlp.DecodeBytes(child, &next); err != nil || len(next) != common.HashLength {
			return common.Hash{}
		}
		hash = common.BytesToHash(next)
	}
}

// inSession runs a check after both Status messages.
func inSession(f func(*chain, *rawConn) error) func(*chain, *enode.Node) error {
	return func(c *chain, node *enode.Node) error {
		conn, err := session(c, node)
		if err != nil {
			return err
		}
		defer conn.Close()
		return f(c, conn)
	}
}

func ask(conn *rawConn, id uint64, question any, answerID uint64, answer any) error {
	if err := conn.send(id, question); err != nil {
		return err
	}
	return conn.want(answerID, answer)
}

func look(conn *rawConn, hashes []common.Hash) ([][]byte, error) {
	var got lookupResponse
	err := ask(conn, hashLookupMsg, &lookup{hashes}, hashLookupRespMsg, &got)
	return got.Values, err
}

func expectHashes(msg p2p.Msg, want []common.Hash) error {
	var got []common.Hash
	if err := msg.Decode(&got); err != nil {
		return err
	}
	if !slices.Equal(got, want) {
		return fmt.Errorf("got %v, want %v", got, want)
	}
	return nil
}
