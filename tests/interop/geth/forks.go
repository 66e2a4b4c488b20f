package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"math/big"
	"os"
	"path/filepath"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/consensus/beacon"
	"github.com/ethereum/go-ethereum/consensus/ethash"
	"github.com/ethereum/go-ethereum/core"
	"github.com/ethereum/go-ethereum/core/forkid"
	"github.com/ethereum/go-ethereum/core/rawdb"
	"github.com/ethereum/go-ethereum/core/types"
	"github.com/ethereum/go-ethereum/crypto"
	"github.com/ethereum/go-ethereum/params"
	"github.com/ethereum/go-ethereum/rlp"
	"github.com/ethereum/go-ethereum/triedb"
)

const (
	phase   = 4 // blocks from one fork to the next
	merge   = 14 * phase
	last    = merge + 8*phase
	chainID = 31338
	users   = 4
)

// kv stores calldata[32:64] under slot calldata[0:32] and logs the value.
var (
	kv        = common.FromHex("60203560003555602035600052600060206000a1")
	kvAddress = common.HexToAddress("0x000000000000000000000000000000000000c0de")
	// deposits logs its calldata as the deposit contract does (EIP-6110).
	deposits        = common.FromHex("366000600037" + "7f649bbc62d0e31342afea4e5cd82d4049e7e1ee912fc0889aa790803be39038c5" + "366000a100")
	depositsAddress = common.HexToAddress("0x000000000000000000000000000000000000de90")
)

// byBlock schedules the forks that go by block number, in mainnet's order.
func byBlock() *params.ChainConfig {
	at := func(n int64) *big.Int { return big.NewInt(n * phase) }
	return &params.ChainConfig{
		ChainID: big.NewInt(chainID), Ethash: new(params.EthashConfig), DepositContractAddress: depositsAddress,
		HomesteadBlock: at(1), DAOForkBlock: at(2), DAOForkSupport: true, EIP150Block: at(3), EIP155Block: at(4), EIP158Block: at(4),
		ByzantiumBlock: at(5), ConstantinopleBlock: at(6), PetersburgBlock: at(7), IstanbulBlock: at(8), MuirGlacierBlock: at(9),
		BerlinBlock: at(10), LondonBlock: at(11), ArrowGlacierBlock: at(12), GrayGlacierBlock: at(13), MergeNetsplitBlock: at(14),
		TerminalTotalDifficulty: new(big.Int).Lsh(big.NewInt(1), 128), // until it is known
		BlobScheduleConfig: &params.BlobScheduleConfig{
			Cancun: params.DefaultCancunBlobConfig, Prague: params.DefaultPragueBlobConfig,
			BPO1: params.DefaultBPO1BlobConfig, BPO2: params.DefaultBPO2BlobConfig,
		},
	}
}

// byTime schedules the forks that go by time; from is the time of the first block of proof of stake.
func byTime(config *params.ChainConfig, from uint64) {
	at := func(n uint64) *uint64 { time := from + n*phase*10; return &time }
	config.ShanghaiTime, config.CancunTime, config.PragueTime = at(1), at(2), at(3)
	config.OsakaTime, config.BPO1Time, config.BPO2Time = at(4), at(5), at(6)
}

func alloc() types.GenesisAlloc {
	accounts := types.GenesisAlloc{
		kvAddress:                          {Balance: new(big.Int), Code: kv},
		depositsAddress:                    {Balance: new(big.Int), Code: deposits},
		params.BeaconRootsAddress:          {Balance: new(big.Int), Nonce: 1, Code: params.BeaconRootsCode},
		params.HistoryStorageAddress:       {Balance: new(big.Int), Nonce: 1, Code: params.HistoryStorageCode},
		params.WithdrawalQueueAddress:      {Balance: new(big.Int), Nonce: 1, Code: params.WithdrawalQueueCode},
		params.ConsolidationQueueAddress:   {Balance: new(big.Int), Nonce: 1, Code: params.ConsolidationQueueCode},
		common.HexToAddress("0x00000dead"): {Balance: new(big.Int)}, // empty: the first touch after EIP-158 removes it
	}
	for i, drained := range params.DAODrainList()[:5] {
		accounts[drained] = types.Account{Balance: big.NewInt(int64(i+1) * params.Ether)}
	}
	for i := range users {
		accounts[address("user", i)] = types.Account{Balance: new(big.Int).Lsh(big.NewInt(1), 90)}
	}
	return accounts
}

func forks(out string) error {
	config := byBlock()
	genesis := &core.Genesis{
		Config: config, ExtraData: []byte("every fork"), GasLimit: 30_000_000, Alloc: alloc(), Timestamp: 1_600_000_000,
		Difficulty: big.NewInt(1 << 22),
	}
	db := rawdb.NewMemoryDatabase()
	tries := triedb.NewDatabase(db, triedb.HashDefaults)
	first, err := genesis.Commit(db, tries, nil)
	if err != nil {
		return err
	}
	if err := tries.Close(); err != nil {
		return err
	}
	// Two parts: what proof of work adds up to is the terminal total difficulty, and its last time starts the clock.
	engine := beacon.New(ethash.NewFaker())
	m := &maker{config: config}
	blocks, receipts := core.GenerateChain(config, first, engine, db, merge-1, m.work)
	total := new(big.Int).Set(first.Difficulty())
	for _, block := range blocks {
		total.Add(total, block.Difficulty())
	}
	config.TerminalTotalDifficulty = total
	parent := blocks[len(blocks)-1]
	byTime(config, parent.Time()+10)
	staked, more := core.GenerateChain(config, parent, engine, db, last-merge+1, m.stake)
	blocks, receipts = append(blocks, staked...), append(receipts, more...)

	if err := imports(genesis, blocks); err != nil {
		return err
	}
	if err := writeChain(filepath.Join(out, "chain.rlp"), blocks); err != nil {
		return err
	}
	if err := write(out, "genesis.json", genesis); err != nil {
		return err
	}
	expected, err := expectations(config, db, first, blocks, receipts)
	if err != nil {
		return err
	}
	if err := write(out, "expected.json", expected); err != nil {
		return err
	}
	return json.NewEncoder(os.Stdout).Encode(expected.summary(total))
}

// imports runs the chain through go-ethereum's own rules and execution: what is handed out is valid by its measure.
func imports(genesis *core.Genesis, blocks types.Blocks) error {
	chain, err := core.NewBlockChain(rawdb.NewMemoryDatabase(), genesis, beacon.New(ethash.NewFaker()), core.DefaultConfig())
	if err != nil {
		return err
	}
	defer chain.Stop()
	if i, err := chain.InsertChain(blocks); err != nil {
		return fmt.Errorf("go-ethereum refuses block %d of its own chain maker: %w", i+1, err)
	}
	return nil
}

func writeChain(path string, blocks types.Blocks) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	defer f.Close()
	w := bufio.NewWriter(f)
	for _, block := range blocks {
		if err := rlp.Encode(w, block); err != nil {
			return err
		}
	}
	return w.Flush()
}

func write(dir, name string, value any) error {
	b, err := json.Marshal(value)
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, name), b, 0o644)
}

// forkID is EIP-2124's, by go-ethereum.
func forkID(config *params.ChainConfig, genesis, head *types.Block) (string, uint64) {
	id := forkid.NewID(config, genesis, head.NumberU64(), head.Time())
	return fmt.Sprintf("%#x", id.Hash), id.Next
}

func address(name string, i int) common.Address {
	return crypto.PubkeyToAddress(key(name, i).PublicKey)
}
