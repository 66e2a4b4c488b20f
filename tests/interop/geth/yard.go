package main

import (
	_ "embed"
	"encoding/json"
	"fmt"
	"math/big"
	"math/rand"
	"path/filepath"

	"github.com/ethereum/go-ethereum/accounts/abi"
	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/common/hexutil"
	"github.com/ethereum/go-ethereum/consensus/beacon"
	"github.com/ethereum/go-ethereum/consensus/ethash"
	"github.com/ethereum/go-ethereum/core"
	"github.com/ethereum/go-ethereum/core/rawdb"
	"github.com/ethereum/go-ethereum/core/types"
	"github.com/ethereum/go-ethereum/crypto"
	"github.com/ethereum/go-ethereum/params"
	"github.com/ethereum/go-ethereum/triedb"
	"github.com/holiman/uint256"
)

// The yard is a chain by proof of stake whose contracts are worth calling, from Paris to the last blob schedule.
const (
	yardChainID = 31339
	yardUsers   = 8
	yardPhase   = 8 // blocks from one fork to the next
	yardLast    = 9 * yardPhase
	yardPeriod  = 10 // the chain maker's
)

//go:embed yard.json
var yardJSON []byte

// yard is Yard.sol, compiled ahead.
var yard = func() (compiled struct {
	ABI              abi.ABI       `json:"abi"`
	DeployedBytecode hexutil.Bytes `json:"deployedBytecode"`
}) {
	if err := json.Unmarshal(yardJSON, &compiled); err != nil {
		panic(err)
	}
	return compiled
}()

// Two contracts of the same code, one behind code that delegates every call to the first, and what stands nowhere else.
var (
	yardAddress  = common.HexToAddress("0x00000000000000000000000000000000000a0001")
	yardTwin     = common.HexToAddress("0x00000000000000000000000000000000000a0002")
	yardProxy    = common.HexToAddress("0x00000000000000000000000000000000000a0003")
	proxyCode    = common.FromHex("365f5f375f5f365f73" + "00000000000000000000000000000000000a0001" + "5af43d5f5f3e6029573d5ffd5b3d5ff3")
	yardContract = []common.Address{yardAddress, yardAddress, yardTwin, yardProxy, kvAddress}
)

func yardConfig(from uint64) *params.ChainConfig {
	at := func(n uint64) *uint64 { time := from + n*yardPhase*yardPeriod; return &time }
	zero := new(big.Int)
	return &params.ChainConfig{
		ChainID: big.NewInt(yardChainID), Ethash: new(params.EthashConfig), DepositContractAddress: depositsAddress,
		HomesteadBlock: zero, EIP150Block: zero, EIP155Block: zero, EIP158Block: zero, ByzantiumBlock: zero,
		ConstantinopleBlock: zero, PetersburgBlock: zero, IstanbulBlock: zero, MuirGlacierBlock: zero, BerlinBlock: zero,
		LondonBlock: zero, ArrowGlacierBlock: zero, GrayGlacierBlock: zero, MergeNetsplitBlock: big.NewInt(1),
		TerminalTotalDifficulty: big.NewInt(1 << 17), // genesis' own
		ShanghaiTime:            at(1), CancunTime: at(2), PragueTime: at(3), OsakaTime: at(4), BPO1Time: at(5), BPO2Time: at(6),
		BlobScheduleConfig: &params.BlobScheduleConfig{
			Cancun: params.DefaultCancunBlobConfig, Prague: params.DefaultPragueBlobConfig,
			BPO1: params.DefaultBPO1BlobConfig, BPO2: params.DefaultBPO2BlobConfig,
		},
	}
}

func yardGenesis() *core.Genesis {
	const start = 1_700_000_000
	accounts := alloc()
	for i, address := range []common.Address{yardAddress, yardTwin} {
		storage := map[common.Hash]common.Hash{{}: common.BigToHash(big.NewInt(int64(i + 40)))}
		// held[key] for the first keys.
		for key := range int64(32) {
			slot := crypto.Keccak256Hash(common.BigToHash(big.NewInt(key)).Bytes(), common.BigToHash(big.NewInt(1)).Bytes())
			storage[slot] = common.BigToHash(big.NewInt(key*key + int64(i)))
		}
		accounts[address] = types.Account{Balance: big.NewInt(params.Ether), Nonce: 1, Code: yard.DeployedBytecode, Storage: storage}
	}
	accounts[yardProxy] = types.Account{Balance: big.NewInt(7), Nonce: 1, Code: proxyCode}
	for i := range yardUsers {
		accounts[address("yard", i)] = types.Account{Balance: new(big.Int).Lsh(big.NewInt(1), 80)}
	}
	return &core.Genesis{
		Config: yardConfig(start), ExtraData: []byte("the yard"), GasLimit: 16_000_000, Alloc: accounts, Timestamp: start,
		Difficulty: big.NewInt(1 << 17), BaseFee: big.NewInt(params.GWei),
	}
}

// writeYard makes the chain and writes it: the same bytes every time.
func writeYard(out string) error {
	genesis := yardGenesis()
	db := rawdb.NewMemoryDatabase()
	tries := triedb.NewDatabase(db, triedb.HashDefaults)
	first, err := genesis.Commit(db, tries, nil)
	if err != nil {
		return err
	}
	if err := tries.Close(); err != nil {
		return err
	}
	g := &gardener{config: genesis.Config, random: rand.New(rand.NewSource(1))}
	blocks, receipts := core.GenerateChain(genesis.Config, first, beacon.New(ethash.NewFaker()), db, yardLast, g.fill)
	if err := imports(genesis, blocks); err != nil {
		return err
	}
	if err := writeChain(filepath.Join(out, "chain.rlp"), blocks); err != nil {
		return err
	}
	if err := write(out, "genesis.json", genesis); err != nil {
		return err
	}
	kinds, failed := map[uint8]int{}, 0
	for i, block := range blocks {
		for n, tx := range block.Transactions() {
			kinds[tx.Type()]++
			if receipts[i][n].Status == 0 {
				failed++
			}
		}
	}
	head := blocks[len(blocks)-1]
	fmt.Printf("{\"head\": %d, \"hash\": %q, \"transactions\": \"%v\", \"failed\": %d}\n", head.NumberU64(), head.Hash(), kinds, failed)
	return nil
}

// gardener fills the yard's blocks.
type gardener struct {
	config *params.ChainConfig
	random *rand.Rand
	nonces [yardUsers]uint64
	given  [yardUsers]uint64 // how often each of the delegated accounts has signed
}

func (g *gardener) fill(_ int, b *core.BlockGen) {
	number := b.Number().Uint64()
	rules := g.config.Rules(b.Number(), true, b.Timestamp())
	b.SetCoinbase(common.BytesToAddress([]byte{0xc4, byte(number % 5)}))
	if rules.IsCancun {
		b.SetParentBeaconRoot(crypto.Keccak256Hash([]byte("yard"), b.Number().Bytes()))
	}
	// Some blocks are empty and some are full, so that the base fee moves and rewards differ.
	transactions := []int{0, 3, 9, 20, 60}[g.random.Intn(5)]
	for range transactions {
		if b.Gas() < 700_000 {
			break
		}
		g.add(b, rules)
	}
	if rules.IsCancun {
		blobs := g.random.Intn(4)
		for range blobs {
			g.blob(b)
		}
	}
	if rules.IsShanghai && number%3 == 0 {
		b.AddWithdrawal(&types.Withdrawal{Validator: number, Address: common.BytesToAddress([]byte{0xc5, byte(number % 7)}), Amount: number})
	}
}

func (g *gardener) big(n int64) *big.Int { return big.NewInt(g.random.Int63n(n)) }

// add puts one transaction of any type into the block.
func (g *gardener) add(b *core.BlockGen, rules params.Rules) {
	tip := g.big(4 * params.GWei)
	fee := new(big.Int).Add(b.BaseFee(), tip)
	to, data, value := g.call(rules)
	var tx types.TxData
	list := types.AccessList{{Address: yardAddress, StorageKeys: []common.Hash{{}, common.BigToHash(g.big(4))}}}
	const gas = 500_000
	kind := g.random.Intn(5)
	if kind == 4 && !rules.IsPrague || kind == 3 {
		kind = 2
	}
	user := g.random.Intn(yardUsers)
	nonce := g.nonces[user]
	switch kind {
	case 0:
		tx = &types.LegacyTx{Nonce: nonce, GasPrice: fee, Gas: gas, To: to, Value: value, Data: data}
	case 1:
		tx = &types.AccessListTx{ChainID: g.config.ChainID, Nonce: nonce, GasPrice: fee, Gas: gas, To: to, Value: value, Data: data, AccessList: list}
	case 2:
		cap := new(big.Int).Add(fee, g.big(params.GWei))
		tx = &types.DynamicFeeTx{ChainID: g.config.ChainID, Nonce: nonce, GasFeeCap: cap, GasTipCap: tip, Gas: gas, To: to, Value: value, Data: data}
	case 4:
		who := g.random.Intn(yardUsers)
		target := []common.Address{yardAddress, yardTwin, yardProxy, kvAddress, {}}[g.random.Intn(5)]
		signed, err := types.SignSetCode(key("delegated", who), types.SetCodeAuthorization{ChainID: *uint256.NewInt(yardChainID), Address: target, Nonce: g.given[who]})
		if err != nil {
			panic(err)
		}
		g.given[who]++
		at := address("delegated", who)
		if to != nil && g.random.Intn(2) == 0 {
			at = *to
		}
		tx = &types.SetCodeTx{
			ChainID: uint256.NewInt(yardChainID), Nonce: nonce, GasFeeCap: uint256.MustFromBig(fee), GasTipCap: uint256.MustFromBig(tip), Gas: gas, To: at,
			Value: uint256.MustFromBig(value), Data: data, AuthList: []types.SetCodeAuthorization{signed},
		}
	}
	g.nonces[user]++
	b.AddTx(types.MustSignNewTx(key("yard", user), b.Signer(), tx))
}

func (g *gardener) blob(b *core.BlockGen) {
	hashes := make([]common.Hash, 1+g.random.Intn(2))
	for i := range hashes {
		hashes[i] = common.Hash{1, byte(g.random.Intn(256)), byte(i)}
	}
	user := g.random.Intn(yardUsers)
	nonce := g.nonces[user]
	g.nonces[user]++
	tip := uint256.MustFromBig(g.big(params.GWei))
	b.AddTx(types.MustSignNewTx(key("yard", user), b.Signer(), &types.BlobTx{
		ChainID: uint256.NewInt(yardChainID), Nonce: nonce, Gas: 200_000, To: yardAddress, Data: pack("set", g.big(64), g.big(1000)), GasTipCap: tip,
		GasFeeCap: new(uint256.Int).Add(uint256.MustFromBig(b.BaseFee()), tip), BlobFeeCap: uint256.NewInt(params.GWei), BlobHashes: hashes, Value: new(uint256.Int),
	}))
}

// call is what a transaction of the chain does: whom it calls (nobody: it creates), with what.
func (g *gardener) call(rules params.Rules) (*common.Address, []byte, *big.Int) {
	contract := yardContract[g.random.Intn(len(yardContract))]
	friend := common.BytesToAddress([]byte{0xf0, byte(g.random.Intn(12))})
	none := new(big.Int)
	switch g.random.Intn(12) {
	case 0:
		return &friend, nil, g.big(params.Ether)
	case 1:
		return nil, probes[g.random.Intn(len(probes))], none
	case 2:
		// Init code that returns itself: contracts of many sizes.
		return nil, append(common.FromHex("385f5f39385ff3"), make([]byte, g.random.Intn(60))...), none
	case 3:
		return &contract, pack("fail", g.big(12), g.big(100)), none
	case 4:
		return &contract, pack("fill", g.big(60), g.big(6), g.big(1000)), none
	case 5:
		return &contract, pack("say", fmt.Sprintf("said %d", g.random.Intn(1000))), none
	case 6:
		return &contract, pack("push", g.big(1000)), none
	case 7:
		return &contract, pack("logs", g.big(5), g.big(70)), none
	case 8:
		return &contract, pack("make", store(common.FromHex("46")), none, g.big(50)), none
	case 9:
		// Made and ended in one transaction, with something left to somebody.
		return &contract, pack("make", common.FromHex("73"+friend.Hex()[2:]+"ff"), g.big(9), g.big(9)), g.big(1000)
	case 10:
		return &kvAddress, setting(g.random.Uint64()%16, g.random.Uint64()%3), none
	default:
		return &contract, pack("set", g.big(64), g.big(1000)), g.big(3)
	}
}

// pack is calldata for the yard.
func pack(method string, args ...any) []byte {
	data, err := yard.ABI.Pack(method, args...)
	if err != nil {
		panic(fmt.Errorf("%s: %w", method, err))
	}
	return data
}
