package main

import (
	"errors"
	"fmt"
	"time"

	"github.com/ethereum/go-ethereum/crypto"
	"github.com/ethereum/go-ethereum/p2p"
	"github.com/ethereum/go-ethereum/p2p/enode"
)

var eth28 = p2p.Cap{Name: "eth", Version: protocolVersion}

type check struct {
	name string
	run  func(*chain, *enode.Node) error
}

func dial(c *chain, node *enode.Node) error {
	checks := append([]check{{"go-ethereum's p2p.Server dials and is answered", withServer}}, answers...)
	checks = append(checks, breaches...)
	failed := 0
	for _, check := range checks {
		if err := check.run(c, node); err != nil {
			fmt.Printf("FAILED %s: %v\n", check.name, err)
			failed++
		} else {
			fmt.Printf("ok %s\n", check.name)
		}
	}
	fmt.Printf("%d checks, %d failed\n", len(checks), failed)
	if failed > 0 {
		return fmt.Errorf("%d of %d checks failed", failed, len(checks))
	}
	return nil
}

// withServer is the whole of go-ethereum's stack as dialler: a p2p.Server with the peer as static node.
func withServer(c *chain, node *enode.Node) error {
	key, err := crypto.GenerateKey()
	if err != nil {
		return err
	}
	done := make(chan error, 1)
	server := &p2p.Server{Config: p2p.Config{
		PrivateKey: key, MaxPeers: 1, Name: "poc6/go", NoDiscovery: true, StaticNodes: []*enode.Node{node},
		Protocols: []p2p.Protocol{{Name: "eth", Version: protocolVersion, Length: protocolLength, Run: func(_ *p2p.Peer, rw p2p.MsgReadWriter) error {
			err := firstHashes(c, rw)
			select {
			case done <- err:
			default:
			}
			return err
		}}},
	}}
	if err := server.Start(); err != nil {
		return err
	}
	defer server.Stop()
	select {
	case err := <-done:
		return err
	case <-time.After(20 * time.Second):
		return errors.New("no session within 20 s")
	}
}

func firstHashes(c *chain, rw p2p.MsgReadWriter) error {
	if err := p2p.Send(rw, statusMsg, c.status()); err != nil {
		return err
	}
	if err := p2p.Send(rw, getBlockHashesMsg, &getBlockHashes{c.head().Hash(), 7}); err != nil {
		return err
	}
	for {
		msg, err := rw.ReadMsg()
		if err != nil {
			return err
		}
		if msg.Code == blockHashesMsg {
			return expectHashes(msg, c.before(c.head().Hash(), 7))
		}
		if err := msg.Discard(); err != nil {
			return err
		}
	}
}

// session is a connection past both Status messages.
func session(c *chain, node *enode.Node) (*rawConn, error) {
	conn, err := connect(node, 5, eth28)
	if err != nil {
		return nil, err
	}
	if err := conn.send(statusMsg, c.status()); err != nil {
		return nil, err
	}
	var s status
	if err := conn.wantStatus(&s); err != nil {
		return nil, err
	}
	return conn, nil
}
