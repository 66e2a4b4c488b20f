package main

import (
	"errors"
	"fmt"
	"math/big"
	"slices"
	"time"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/p2p"
	"github.com/ethereum/go-ethereum/p2p/enode"
	"github.com/ethereum/go-ethereum/rlp"
)

const (
	breachOfProtocol   = p2p.DiscReason(0x02)
	incompatible       = p2p.DiscReason(0x06)
	timedOut           = p2p.DiscReason(0x0b)
	subprotocolProblem = p2p.DiscReason(0x10)
)

var breaches = []check{
	{"devp2p 3 is refused", func(_ *chain, node *enode.Node) error {
		conn, err := connect(node, 3, eth28)
		var d disconnected
		if errors.As(err, &d) {
			return expectReason(d.reason, incompatible)
		}
		if err != nil {
			return err
		}
		defer conn.Close()
		return conn.expectEnd(incompatible)
	}},
	{"no shared capability", func(_ *chain, node *enode.Node) error {
		conn, err := connect(node, 5, p2p.Cap{Name: "eth", Version: 63})
		var d disconnected
		if errors.As(err, &d) {
			return expectReason(d.reason, p2p.DiscUselessPeer)
		}
		if err != nil {
			return err
		}
		defer conn.Close()
		return conn.expectEnd(p2p.DiscUselessPeer)
	}},
	{"a request before Status", before(func(c *chain, conn *rawConn) error {
		return conn.send(getBlockHashesMsg, &getBlockHashes{c.head().Hash(), 1})
	})},
	{"another protocol version", wrongStatus(func(s *status) { s.ProtocolVersion = 27 })},
	{"another network", wrongStatus(func(s *status) { s.NetworkID = 5 })},
	{"another genesis", wrongStatus(func(s *status) { s.GenesisHash[0]++ })},
	{"silence where Status is due", func(_ *chain, node *enode.Node) error {
		conn, err := connect(node, 5, eth28)
		if err != nil {
			return err
		}
		defer conn.Close()
		start := time.Now()
		if err := conn.expectEnd(timedOut); err != nil {
			return err
		}
		if waited := time.Since(start); waited < 4*time.Second || waited > 9*time.Second {
			return fmt.Errorf("let go after %v, want 5 s", waited)
		}
		return nil
	}},
	{"a second Status", sends(statusMsg, func(c *chain) any { return c.status() })},
	{"the unassigned id 0x01", sends(0x01, func(*chain) any { return []any{} })},
	{"the unassigned id 0x0a", sends(0x0a, func(*chain) any { return []any{} })},
	{"the unassigned id 0x0f", sends(0x0f, func(*chain) any { return []any{} })},
	{"an id past the capability's last", sends(0x12, func(*chain) any { return []any{} })},
	{"BlockHashes that nobody asked for", sends(blockHashesMsg, func(c *chain) any { return []common.Hash{c.genesis.Hash()} })},
	{"Blocks that nobody asked for", sends(blocksMsg, func(c *chain) any { return []any{c.blocks[1]} })},
	{"BlockHeaders that nobody asked for", sends(blockHeadersMsg, func(c *chain) any { return []any{c.genesis.Header()} })},
	{"values that nobody asked for", sends(hashLookupRespMsg, func(*chain) any { return &lookupResponse{} })},
	{"Transactions without any", sends(transactionsMsg, func(*chain) any { return []any{} })},
	{"Transactions that are none", sends(transactionsMsg, func(*chain) any { return []any{[]byte{1, 2, 3}} })},
	{"a third field in GetBlockHashes", sends(getBlockHashesMsg, func(c *chain) any { return []any{c.genesis.Hash(), uint64(1), uint64(1)} })},
	{"a hash of 31 bytes", sends(getBlocksMsg, func(*chain) any { return [][]byte{make([]byte, 31)} })},
	{"a hash of 33 bytes", sends(getBlockHeadersMsg, func(*chain) any { return [][]byte{make([]byte, 33)} })},
	{"a string for a list", sends(hashLookupMsg, func(*chain) any { return []byte("list") })},
	{"a number with leading zeros", sends(getBlockHashesMsg, func(c *chain) any { return []any{c.genesis.Hash(), []byte{0, 1}} })},
	{"bytes behind the message", sends(getBlocksMsg, func(*chain) any { return rlp.RawValue{0xc0, 0xc0} })},
	{"a list cut short", sends(getBlocksMsg, func(*chain) any { return rlp.RawValue{0xe1, 0xa0, 0x01} })},
	{"NewBlock with a hash for a block", sends(newBlockMsg, func(*chain) any { return []any{common.Hash{1}, big.NewInt(1)} })},
	{"385 headers asked for in one message", sends(getBlockHeadersMsg, func(c *chain) any { return many(c, 2*maxHeaders+1) })},
	{"257 blocks asked for in one message", sends(getBlocksMsg, func(c *chain) any { return many(c, 2*maxBlocks+1) })},
	{"769 look-ups in one message", sends(hashLookupMsg, func(c *chain) any { return &lookup{many(c, 2*maxLookups+1)} })},
	{"a message over 10 MiB", sends(hashLookupMsg, func(*chain) any { return []any{[]common.Hash{}, make([]byte, 10<<20)} })},
	{"the peer goes on after all of this", inSession(func(c *chain, conn *rawConn) error {
		_, err := look(conn, []common.Hash{c.head().Root()})
		return err
	})},
}

func many(c *chain, n int) []common.Hash { return slices.Repeat([]common.Hash{c.genesis.Hash()}, n) }

// sends breaks the protocol with one message in a session under way.
func sends(id uint64, message func(*chain) any) func(*chain, *enode.Node) error {
	return inSession(func(c *chain, conn *rawConn) error {
		if err := conn.send(id, message(c)); err != nil {
			return err
		}
		return conn.expectEnd(breachOfProtocol, subprotocolProblem)
	})
}

// before breaks the protocol before our Status was sent.
func before(f func(*chain, *rawConn) error) func(*chain, *enode.Node) error {
	return func(c *chain, node *enode.Node) error {
		conn, err := connect(node, 5, eth28)
		if err != nil {
			return err
		}
		defer conn.Close()
		if err := f(c, conn); err != nil {
			return err
		}
		return conn.expectEnd(breachOfProtocol, subprotocolProblem)
	}
}

func wrongStatus(change func(*status)) func(*chain, *enode.Node) error {
	return func(c *chain, node *enode.Node) error {
		conn, err := connect(node, 5, eth28)
		if err != nil {
			return err
		}
		defer conn.Close()
		s := c.status()
		change(s)
		if err := conn.send(statusMsg, s); err != nil {
			return err
		}
		return conn.expectEnd(subprotocolProblem)
	}
}

func (c *rawConn) expectEnd(want ...p2p.DiscReason) error {
	got, err := c.ended()
	if err != nil {
		return err
	}
	return expectReason(got, want...)
}

func expectReason(got p2p.DiscReason, want ...p2p.DiscReason) error {
	if !slices.Contains(want, got) {
		return fmt.Errorf("ended with 0x%02x (%v), want one of %v", int(got), got, want)
	}
	return nil
}
