package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/big"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/common/hexutil"
	"github.com/ethereum/go-ethereum/core/types"
	"github.com/ethereum/go-ethereum/crypto"
	"github.com/ethereum/go-ethereum/ethdb/memorydb"
	"github.com/ethereum/go-ethereum/rlp"
	"github.com/ethereum/go-ethereum/trie"
)

// proved is an answer of eth_getProof (EIP-1186), with the state root that it is to be checked against.
type proved struct {
	StateRoot    common.Hash     `json:"stateRoot"`
	Address      common.Address  `json:"address"`
	AccountProof []hexutil.Bytes `json:"accountProof"`
	Balance      *hexutil.Big    `json:"balance"`
	CodeHash     common.Hash     `json:"codeHash"`
	Nonce        hexutil.Uint64  `json:"nonce"`
	StorageHash  common.Hash     `json:"storageHash"`
	StorageProof []struct {
		Key   string          `json:"key"`
		Value *hexutil.Big    `json:"value"`
		Proof []hexutil.Bytes `json:"proof"`
	} `json:"storageProof"`
}

// verify reads one answer after the other and prints what go-ethereum's verifier makes of them.
func verify(in io.Reader) error {
	var accounts, absent, slots, zero int
	decoder := json.NewDecoder(in)
	for {
		var p proved
		if err := decoder.Decode(&p); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			return err
		}
		present, err := p.account()
		if err != nil {
			return fmt.Errorf("account %s: %w", p.Address, err)
		}
		accounts++
		if !present {
			absent++
		}
		for i, slot := range p.StorageProof {
			if err := p.slot(i); err != nil {
				return fmt.Errorf("slot %s of %s: %w", slot.Key, p.Address, err)
			}
			slots++
			if slot.Value.ToInt().Sign() == 0 {
				zero++
			}
		}
	}
	fmt.Printf("{\"accounts\":%d,\"absent\":%d,\"slots\":%d,\"zero\":%d}\n", accounts, absent, slots, zero)
	return nil
}

// account tells whether the account is there, if the answer is what its proof says.
func (p *proved) account() (bool, error) {
	if p.Balance == nil {
		return false, errors.New("no balance")
	}
	value, err := trie.VerifyProof(p.StateRoot, crypto.Keccak256(p.Address[:]), nodes(p.AccountProof))
	if err != nil {
		return false, err
	}
	said := [4]any{uint64(p.Nonce), p.Balance.String(), p.StorageHash, p.CodeHash}
	if value == nil {
		if said != [4]any{uint64(0), "0x0", types.EmptyRootHash, types.EmptyCodeHash} {
			return false, fmt.Errorf("proved absent, answered %v", said)
		}
		return false, nil
	}
	var account types.StateAccount
	if err := rlp.DecodeBytes(value, &account); err != nil {
		return false, err
	}
	balance := (*hexutil.Big)(account.Balance.ToBig())
	is := [4]any{account.Nonce, balance.String(), account.Root, common.BytesToHash(account.CodeHash)}
	if said != is {
		return false, fmt.Errorf("proved %v, answered %v", is, said)
	}
	return true, nil
}

func (p *proved) slot(i int) error {
	slot := p.StorageProof[i]
	key, err := slotKey(slot.Key)
	if err != nil {
		return err
	}
	if slot.Value == nil {
		return errors.New("no value")
	}
	value := new(big.Int)
	// An empty storage trie has no node that could prove anything; its root was proved with the account.
	if p.StorageHash == types.EmptyRootHash {
		if len(slot.Proof) != 0 {
			return errors.New("nodes of an empty trie")
		}
	} else {
		encoded, err := trie.VerifyProof(p.StorageHash, crypto.Keccak256(key[:]), nodes(slot.Proof))
		if err != nil {
			return err
		}
		if encoded != nil {
			_, content, rest, err := rlp.Split(encoded)
			if err != nil || len(rest) > 0 || bytes.HasPrefix(content, []byte{0}) {
				return fmt.Errorf("not an integer in RLP: %x", encoded)
			}
			value.SetBytes(content)
		}
	}
	if value.Cmp(slot.Value.ToInt()) != 0 {
		return fmt.Errorf("proved %#x, answered %s", value, slot.Value)
	}
	return nil
}

// slotKey reads a key as eth_getProof writes it: a quantity or 32 bytes.
func slotKey(text string) (common.Hash, error) {
	number, ok := new(big.Int).SetString(text, 0)
	if !ok || number.BitLen() > 256 || number.Sign() < 0 {
		return common.Hash{}, errors.New("not a key")
	}
	return common.BigToHash(number), nil
}

func nodes(proof []hexutil.Bytes) *memorydb.Database {
	db := memorydb.New()
	for _, node := range proof {
		_ = db.Put(crypto.Keccak256(node), node) // memory takes everything
	}
	return db
}
