package main

import (
	"crypto/ecdsa"
	"errors"
	"fmt"
	"net"
	"time"

	"github.com/ethereum/go-ethereum/crypto"
	"github.com/ethereum/go-ethereum/p2p"
	"github.com/ethereum/go-ethereum/p2p/enode"
	"github.com/ethereum/go-ethereum/p2p/rlpx"
	"github.com/ethereum/go-ethereum/rlp"
)

const (
	helloMsg   = 0x00
	discMsg    = 0x01
	pingMsg    = 0x02
	pongMsg    = 0x03
	baseLength = 16
)

// hello is devp2p's first message.
type hello struct {
	Version    uint64
	Name       string
	Caps       []p2p.Cap
	ListenPort uint64
	ID         []byte
	Rest       []rlp.RawValue `rlp:"tail"`
}

// disconnected is a Disconnect of the other side.
type disconnected struct{ reason p2p.DiscReason }

func (d disconnected) Error() string {
	return fmt.Sprintf("disconnected: 0x%02x %v", int(d.reason), d.reason)
}

// rawConn is a session in which every message is ours to choose.
type rawConn struct {
	*rlpx.Conn
	remote hello
}

// connect does RLPx and Hello with go-ethereum's transport; the capabilities are ours.
func connect(node *enode.Node, version uint64, caps ...p2p.Cap) (*rawConn, error) {
	endpoint, _ := node.TCPEndpoint()
	fd, err := net.DialTimeout("tcp", endpoint.String(), 5*time.Second)
	if err != nil {
		return nil, err
	}
	key, err := crypto.GenerateKey()
	if err != nil {
		return nil, err
	}
	c := &rawConn{Conn: rlpx.NewConn(fd, node.Pubkey())}
	_ = c.SetDeadline(time.Now().Add(20 * time.Second))
	if _, err := c.Handshake(key); err != nil {
		return nil, fmt.Errorf("RLPx: %w", err)
	}
	if err := c.write(helloMsg, &hello{Version: version, Name: "poc6/go", Caps: caps, ID: publicKey(key)}); err != nil {
		return nil, err
	}
	code, data, _, err := c.Read()
	switch {
	case err != nil:
		return nil, fmt.Errorf("Hello: %w", err)
	case code == discMsg:
		return nil, disconnected{reason(data)}
	case code != helloMsg:
		return nil, fmt.Errorf("message 0x%x came before Hello", code)
	}
	if err := rlp.DecodeBytes(data, &c.remote); err != nil {
		return nil, fmt.Errorf("Hello: %w", err)
	}
	c.SetSnappy(version >= 5 && c.remote.Version >= 5)
	return c, nil
}

func publicKey(key *ecdsa.PrivateKey) []byte { return crypto.FromECDSAPub(&key.PublicKey)[1:] }

// reason reads a Disconnect, which some clients send as a list and some as a bare number.
func reason(data []byte) p2p.DiscReason {
	var list []uint64
	if err := rlp.DecodeBytes(data, &list); err == nil && len(list) > 0 {
		return p2p.DiscReason(list[0])
	}
	var one uint64
	if err := rlp.DecodeBytes(data, &one); err != nil {
		return p2p.DiscInvalid
	}
	return p2p.DiscReason(one)
}

func (c *rawConn) write(code uint64, message any) error {
	data, err := rlp.EncodeToBytes(message)
	if err != nil {
		return err
	}
	_, err = c.Write(code, data)
	return err
}

// send writes a message of the one capability that the session shares.
func (c *rawConn) send(id uint64, message any) error { return c.write(baseLength+id, message) }

// receive returns the next message of the capability; pings are answered.
func (c *rawConn) receive() (uint64, []byte, error) {
	for {
		code, data, _, err := c.Read()
		switch {
		case err != nil:
			return 0, nil, err
		case code == discMsg:
			return 0, nil, disconnected{reason(data)}
		case code == pingMsg:
			if err := c.write(pongMsg, []any{}); err != nil {
				return 0, nil, err
			}
		case code >= baseLength:
			return code - baseLength, append([]byte(nil), data...), nil
		}
	}
}

// want receives until a message of this id and decodes it.
func (c *rawConn) want(id uint64, into any) error {
	for {
		got, data, err := c.receive()
		if err != nil {
			return err
		}
		if got == id {
			return rlp.DecodeBytes(data, into)
		}
		if got == statusMsg || got == newBlockMsg || got == transactionsMsg {
			continue
		}
		return fmt.Errorf("wanted message 0x%02x, got 0x%02x", id, got)
	}
}

// ended reads until the other side says why it ends the session.
func (c *rawConn) ended() (p2p.DiscReason, error) {
	for {
		_, _, err := c.receive()
		var d disconnected
		if errors.As(err, &d) {
			return d.reason, nil
		}
		if err != nil {
			return 0, fmt.Errorf("wanted a Disconnect, got: %w", err)
		}
	}
}

// wantStatus receives the first message of a session, which must be Status.
func (c *rawConn) wantStatus(into *status) error {
	id, data, err := c.receive()
	if err != nil {
		return err
	}
	if id != statusMsg {
		return fmt.Errorf("wanted Status first, got 0x%02x", id)
	}
	return rlp.DecodeBytes(data, into)
}
