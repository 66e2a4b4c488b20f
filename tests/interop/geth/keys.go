package main

import (
	"crypto/ecdsa"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"os"

	gethaccounts "github.com/ethereum/go-ethereum/accounts"
	"github.com/ethereum/go-ethereum/accounts/keystore"
	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/common/hexutil"
	"github.com/ethereum/go-ethereum/core/types"
	"github.com/ethereum/go-ethereum/crypto"
	"github.com/ethereum/go-ethereum/signer/core/apitypes"
)

// makeKeys writes key files for the private keys on stdin, the first at the standard cost, the others at the light one.
func makeKeys(folder string, in io.Reader) error {
	var wanted []struct{ Key, Password string }
	if err := json.NewDecoder(in).Decode(&wanted); err != nil {
		return err
	}
	for i, want := range wanted {
		n, p := keystore.LightScryptN, keystore.LightScryptP
		if i == 0 {
			n, p = keystore.StandardScryptN, keystore.StandardScryptP
		}
		key, err := crypto.HexToECDSA(want.Key)
		if err != nil {
			return err
		}
		store := keystore.NewKeyStore(folder, n, p)
		if _, err := store.ImportECDSA(key, want.Password); err != nil {
			return err
		}
	}
	return nil
}

// readKeys opens the accounts that stdin has passwords for, and prints their private keys.
func readKeys(folder string, in io.Reader) error {
	var passwords map[common.Address]string
	if err := json.NewDecoder(in).Decode(&passwords); err != nil {
		return err
	}
	store := keystore.NewKeyStore(folder, keystore.LightScryptN, keystore.LightScryptP)
	found := make(map[string]string)
	for address, password := range passwords {
		account, err := store.Find(gethaccounts.Account{Address: address})
		if err != nil {
			return fmt.Errorf("%s: %w", address, err)
		}
		text, err := os.ReadFile(account.URL.Path)
		if err != nil {
			return err
		}
		key, err := keystore.DecryptKey(text, password)
		if err != nil {
			return fmt.Errorf("%s: %w", account.URL.Path, err)
		}
		found[address.Hex()] = hex.EncodeToString(crypto.FromECDSA(key.PrivateKey))
	}
	return json.NewEncoder(os.Stdout).Encode(found)
}

// signAll signs what stdin has, with one key: messages, typed data, transactions. Their order stays.
func signAll(in io.Reader) error {
	var all struct {
		Key          string
		ChainID      *hexutil.Big
		Messages     []hexutil.Bytes
		TypedData    []apitypes.TypedData
		Transactions []hexutil.Bytes // signed by somebody, in the form of EIP-2718
	}
	if err := json.NewDecoder(in).Decode(&all); err != nil {
		return err
	}
	key, err := crypto.HexToECDSA(all.Key)
	if err != nil {
		return err
	}
	var signed struct {
		Messages     []hexutil.Bytes `json:"messages"`
		TypedData    []hexutil.Bytes `json:"typedData"`
		Transactions []hexutil.Bytes `json:"transactions"`
	}
	for _, message := range all.Messages {
		signature, err := sign(gethaccounts.TextHash(message), key)
		if err != nil {
			return err
		}
		signed.Messages = append(signed.Messages, signature)
	}
	for i, data := range all.TypedData {
		hash, _, err := apitypes.TypedDataAndHash(data)
		if err != nil {
			return fmt.Errorf("typed data %d: %w", i, err)
		}
		signature, err := sign(hash, key)
		if err != nil {
			return err
		}
		signed.TypedData = append(signed.TypedData, signature)
	}
	for i, raw := range all.Transactions {
		transaction := new(types.Transaction)
		if err := transaction.UnmarshalBinary(raw); err != nil {
			return fmt.Errorf("transaction %d: %w", i, err)
		}
		again, err := types.SignTx(transaction, types.LatestSignerForChainID(all.ChainID.ToInt()), key)
		if err != nil {
			return fmt.Errorf("transaction %d: %w", i, err)
		}
		raw, err := again.MarshalBinary()
		if err != nil {
			return err
		}
		signed.Transactions = append(signed.Transactions, raw)
	}
	return json.NewEncoder(os.Stdout).Encode(signed)
}

// sign signs with v as 27 or 28.
func sign(hash []byte, key *ecdsa.PrivateKey) (hexutil.Bytes, error) {
	signature, err := crypto.Sign(hash, key)
	if err == nil {
		signature[64] += 27
	}
	return signature, err
}
