package main

import (
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/core/types"
	"github.com/ethereum/go-ethereum/crypto"
	"github.com/ethereum/go-ethereum/p2p"
	"github.com/ethereum/go-ethereum/rlp"
)

// listen serves the chain with go-ethereum's p2p.Server until it is told to stop.
func listen(c *chain, lie string) error {
	key, err := crypto.GenerateKey()
	if err != nil {
		return err
	}
	idle := func(*p2p.Peer, p2p.MsgReadWriter) error { select {} }
	server := &p2p.Server{Config: p2p.Config{
		PrivateKey: key, MaxPeers: 10, Name: "poc6/go", NoDiscovery: true, ListenAddr: "127.0.0.1:0",
		// Neighbours on both sides of the alphabet and another version: offsets and the choice of a version must be right.
		Protocols: []p2p.Protocol{
			{Name: "aaa", Version: 1, Length: 5, Run: idle},
			{Name: "eth", Version: 27, Length: 9, Run: idle},
			{Name: "eth", Version: protocolVersion, Length: protocolLength, Run: func(peer *p2p.Peer, rw p2p.MsgReadWriter) error {
				err := serve(c, rw, lie)
				var reason p2p.DiscReason
				if errors.As(err, &reason) {
					fmt.Printf("session ended: 0x%02x\n", int(reason))
				} else {
					fmt.Printf("session ended: %v\n", err)
				}
				return err
			}},
			{Name: "zzz", Version: 1, Length: 5, Run: idle},
		},
	}}
	if err := server.Start(); err != nil {
		return err
	}
	defer server.Stop()
	fmt.Println(server.Self().URLv4())
	// The reason of a Disconnect reaches the server's events, not the protocol's loop.
	events := make(chan *p2p.PeerEvent, 16)
	sub := server.SubscribeEvents(events)
	defer sub.Unsubscribe()
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, os.Interrupt, syscall.SIGTERM)
	for {
		select {
		case <-stop:
			return nil
		case e := <-events:
			if e.Type == p2p.PeerEventTypeDrop {
				fmt.Printf("dropped: %s\n", e.Error)
			}
		}
	}
}

func serve(c *chain, rw p2p.MsgReadWriter, lie string) error {
	if err := p2p.Send(rw, statusMsg, c.status()); err != nil {
		return err
	}
	for {
		msg, err := rw.ReadMsg()
		if err != nil {
			return err
		}
		if err := answer(c, rw, msg, lie); err != nil {
			return err
		}
		if err := msg.Discard(); err != nil {
			return err
		}
	}
}

func answer(c *chain, rw p2p.MsgReadWriter, msg p2p.Msg, lie string) error {
	if lie == "silence" && msg.Code != statusMsg {
		return nil
	}
	switch msg.Code {
	case statusMsg:
		var s status
		if err := msg.Decode(&s); err != nil {
			return err
		}
		if s.ProtocolVersion != protocolVersion || s.GenesisHash != c.genesis.Hash() {
			return fmt.Errorf("status of another chain: %+v", s)
		}
		if lie == "unopened" {
			return p2p.Send(rw, blockHashesMsg, []common.Hash{c.genesis.Hash()})
		}
	case getBlockHashesMsg:
		var q getBlockHashes
		if err := msg.Decode(&q); err != nil {
			return err
		}
		return p2p.Send(rw, blockHashesMsg, c.before(q.Hash, min(q.MaxBlocks, maxHashes)))
	case getBlockHeadersMsg, getBlocksMsg:
		var hashes []common.Hash
		if err := msg.Decode(&hashes); err != nil {
			return err
		}
		headers, blocks := []*types.Header{}, []*types.Block{}
		for _, hash := range hashes {
			if block := c.block(hash); block != nil {
				headers, blocks = append(headers, block.Header()), append(blocks, block)
			}
		}
		if msg.Code == getBlocksMsg {
			if lie == "nobodies" {
				blocks = nil
			}
			return p2p.Send(rw, blocksMsg, blocks[:min(len(blocks), maxBlocks)])
		}
		switch {
		case lie == "unasked":
			headers = append(headers, c.genesis.Header())
		case lie == "headers" && len(headers) > 0:
			headers[0] = types.CopyHeader(headers[0])
			headers[0].GasUsed++
		}
		return p2p.Send(rw, blockHeadersMsg, headers[:min(len(headers), maxHeaders)])
	case hashLookupMsg:
		var fields []rlp.RawValue
		if err := msg.Decode(&fields); err != nil || len(fields) == 0 {
			return fmt.Errorf("HashLookup: %v", err)
		}
		var hashes []common.Hash
		if err := rlp.DecodeBytes(fields[0], &hashes); err != nil {
			return err
		}
		values := [][]byte{}
		for _, hash := range hashes[:min(len(hashes), maxLookups)] {
			value := c.preimages[hash]
			if lie == "lookups" && len(value) > 0 {
				value = append([]byte{1}, value...)
			}
			values = append(values, value)
		}
		return p2p.Send(rw, hashLookupRespMsg, &lookupResponse{values})
	}
	return nil
}
