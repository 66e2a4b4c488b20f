// chainmaker writes a London clique chain with go-ethereum's own chain maker: genesis.json, chain.rlp,
// transactions.json (every transaction as go-ethereum prints it, with its block and index) and nodes.rlp (every node of
// every state and storage trie, and the code). Same arguments, same bytes.
package main

import (
	"bufio"
	"bytes"
	"crypto/ecdsa"
	"encoding/binary"
	"encoding/json"
	"flag"
	"fmt"
	"log"
	"math/big"
	"os"
	"path/filepath"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/consensus"
	"github.com/ethereum/go-ethereum/consensus/clique"
	"github.com/ethereum/go-ethereum/core"
	"github.com/ethereum/go-ethereum/core/rawdb"
	"github.com/ethereum/go-ethereum/core/types"
	"github.com/ethereum/go-ethereum/core/vm"
	"github.com/ethereum/go-ethereum/crypto"
	"github.com/ethereum/go-ethereum/ethdb"
	"github.com/ethereum/go-ethereum/params"
	"github.com/ethereum/go-ethereum/rlp"
)

const (
	epoch     = 200
	chainID   = 31337
	gasLimit  = 30_000_000
	timestamp = 1_600_000_000
)

// kv stores calldata[32:64] under slot calldata[0:32] and logs the value.
var kv = common.FromHex("60203560003555602035600052600060206000a1")
var kvInit = append(common.FromHex("6014600c60003960146000f3"), kv...)
var kvAddress = common.HexToAddress("0x000000000000000000000000000000000000c0de")

// entry is transaction as go-ethereum encodes it, with its place in the chain.
type entry struct {
	Block       uint64             `json:"block"`
	Index       int                `json:"index"`
	BlockHash   common.Hash        `json:"blockHash"`
	From        common.Address     `json:"from"`
	Transaction *types.Transaction `json:"transaction"`
}

func key(name string, i int) *ecdsa.PrivateKey {
	var b [8]byte
	binary.BigEndian.PutUint64(b[:], uint64(i))
	k, err := crypto.ToECDSA(crypto.Keccak256([]byte(name), b[:]))
	if err != nil {
		log.Fatal(err)
	}
	return k
}

// sealed is clique without the part of Finalize that looks at the header's coinbase: while blocks are made
// the author is the one signer, as it will be when the seal is recovered.
type sealed struct {
	consensus.Engine
	author common.Address
}

func (s sealed) Author(*types.Header) (common.Address, error) { return s.author, nil }

func main() {
	n := flag.Int("blocks", 500, "blocks")
	out := flag.String("out", ".", "folder")
	flag.Parse()

	signer := key("signer", 0)
	signerAddr := crypto.PubkeyToAddress(signer.PublicKey)
	users := make([]*ecdsa.PrivateKey, 8)
	config := *params.AllCliqueProtocolChanges
	config.ChainID = big.NewInt(chainID)
	config.Clique = &params.CliqueConfig{Period: 1, Epoch: epoch}
	alloc := core.GenesisAlloc{kvAddress: {Balance: new(big.Int), Code: kv}}
	nonces := make([]uint64, len(users))
	for i := range users {
		users[i] = key("user", i)
		alloc[crypto.PubkeyToAddress(users[i].PublicKey)] = core.GenesisAccount{Balance: new(big.Int).Lsh(big.NewInt(1), 80)}
	}
	checkpoint := append(append(make([]byte, 32), signerAddr[:]...), make([]byte, 65)...)
	genesis := &core.Genesis{Config: &config, ExtraData: checkpoint, GasLimit: gasLimit, BaseFee: big.NewInt(params.InitialBaseFee), Alloc: alloc, Timestamp: timestamp, Difficulty: big.NewInt(1)}
	write(*out, "genesis.json", genesis)

	db := rawdb.NewMemoryDatabase()
	parent := genesis.MustCommit(db)
	engine := sealed{clique.New(config.Clique, db), signerAddr}
	txSigner := types.LatestSigner(&config)
	var entries []entry
	var made types.Blocks
	f, err := os.Create(filepath.Join(*out, "chain.rlp"))
	if err != nil {
		log.Fatal(err)
	}
	w := bufio.NewWriterSize(f, 1<<20)
	// One block at a time: the seal is part of the hash that the next block names.
	for number := uint64(1); number <= uint64(*n); number++ {
		blocks, receipts := core.GenerateChain(&config, parent, engine, db, 1, func(_ int, g *core.BlockGen) {
			g.SetDifficulty(big.NewInt(2))
			g.SetCoinbase(signerAddr) // the fees go to the signer; the header's own coinbase is cleared below
			for i := 0; i < int(number%4); i++ {
				u := (int(number) + i) % len(users)
				to := crypto.PubkeyToAddress(users[(u+1)%len(users)].PublicKey)
				g.AddTx(types.MustSignNewTx(users[u], txSigner, transaction(number, i, nonces[u], g.BaseFee(), to)))
				nonces[u]++
			}
		})
		for _, receipt := range receipts[0] {
			if receipt.Type == 1 && receipt.Status != 1 {
				log.Fatalf("block %d: a contract call failed", number)
			}
		}
		header := blocks[0].Header()
		header.ParentHash = parent.Hash()
		header.Coinbase = common.Address{}
		header.MixDigest = common.Hash{}
		header.Extra = make([]byte, 32+65)
		if number%epoch == 0 {
			header.Extra = append([]byte{}, checkpoint...)
		}
		sig, err := crypto.Sign(clique.SealHash(header).Bytes(), signer)
		if err != nil {
			log.Fatal(err)
		}
		copy(header.Extra[len(header.Extra)-65:], sig)
		block := blocks[0].WithSeal(header)
		if err := rlp.Encode(w, block); err != nil {
			log.Fatal(err)
		}
		for i, tx := range block.Transactions() {
			from, err := types.Sender(txSigner, tx)
			if err != nil {
				log.Fatal(err)
			}
			entries = append(entries, entry{number, i, block.Hash(), from, tx})
		}
		parent = block
		made = append(made, block)
	}
	verify(genesis, config.Clique, made)
	if err := w.Flush(); err != nil {
		log.Fatal(err)
	}
	if err := f.Close(); err != nil {
		log.Fatal(err)
	}
	write(*out, "transactions.json", entries)
	if err := os.WriteFile(filepath.Join(*out, "nodes.rlp"), preimages(db), 0o644); err != nil {
		log.Fatal(err)
	}
	fmt.Printf("{\"head\":%d,\"hash\":%q,\"root\":%q,\"transactions\":%d}\n", parent.NumberU64(), parent.Hash(), parent.Root(), len(entries))
}

// transaction cycles through the three types that London knows: transfers, calls, deployments.
func transaction(number uint64, i int, nonce uint64, baseFee *big.Int, to common.Address) types.TxData {
	price := new(big.Int).Add(baseFee, big.NewInt(int64(i)*params.GWei))
	data := make([]byte, 64)
	binary.BigEndian.PutUint64(data[24:], number%50)
	binary.BigEndian.PutUint64(data[56:], number)
	switch (number + uint64(i)) % 4 {
	case 0:
		return &types.LegacyTx{Nonce: nonce, GasPrice: price, Gas: 21000, To: &to, Value: big.NewInt(int64(number))}
	case 1:
		access := types.AccessList{{Address: kvAddress, StorageKeys: []common.Hash{common.BytesToHash(data[:32])}}}
		return &types.AccessListTx{ChainID: big.NewInt(chainID), Nonce: nonce, GasPrice: price, Gas: 120000, To: &kvAddress, Data: data, AccessList: access}
	case 2:
		feeCap := new(big.Int).Mul(baseFee, big.NewInt(2))
		return &types.DynamicFeeTx{ChainID: big.NewInt(chainID), Nonce: nonce, GasTipCap: big.NewInt(params.GWei / 2), GasFeeCap: feeCap.Add(feeCap, big.NewInt(params.GWei)), Gas: 120000, To: &kvAddress, Data: data, Value: new(big.Int)}
	default:
		return &types.LegacyTx{Nonce: nonce, GasPrice: price, Gas: 120000, Data: kvInit, Value: new(big.Int)}
	}
}

// verify imports the chain with go-ethereum's own rules, seals included: what is handed out is valid by its measure.
func verify(genesis *core.Genesis, config *params.CliqueConfig, blocks types.Blocks) {
	db := rawdb.NewMemoryDatabase()
	genesis.MustCommit(db)
	chain, err := core.NewBlockChain(db, nil, genesis.Config, clique.New(config, db), vm.Config{}, nil, nil)
	if err != nil {
		log.Fatal(err)
	}
	defer chain.Stop()
	if i, err := chain.InsertChain(blocks); err != nil {
		log.Fatalf("go-ethereum refuses block %d of its own chain maker: %v", i+1, err)
	}
}

// preimages is the RLP list of everything in the database that is stored under its own Keccak-256.
func preimages(db ethdb.Iteratee) []byte {
	var values [][]byte
	it := db.NewIterator(nil, nil)
	defer it.Release()
	for it.Next() {
		key := it.Key() // a trie node's hash, or "c" and that of code; longer keys are of headers, blocks, addresses
		if len(key) < common.HashLength || len(key) > common.HashLength+1 {
			continue
		}
		if hash := key[len(key)-common.HashLength:]; bytes.Equal(hash, crypto.Keccak256(it.Value())) {
			values = append(values, common.CopyBytes(it.Value()))
		}
	}
	b, err := rlp.EncodeToBytes(values)
	if err != nil {
		log.Fatal(err)
	}
	return b
}

func write(dir, name string, value any) {
	b, err := json.Marshal(value)
	if err != nil {
		log.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, name), b, 0o644); err != nil {
		log.Fatal(err)
	}
}
