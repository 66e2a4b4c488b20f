package main

import (
	"crypto/ecdsa"
	"encoding/binary"
	"fmt"
	"math/big"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/core"
	"github.com/ethereum/go-ethereum/core/types"
	"github.com/ethereum/go-ethereum/crypto"
	"github.com/ethereum/go-ethereum/params"
	"github.com/holiman/uint256"
)

// maker fills blocks.
type maker struct {
	config *params.ChainConfig
	nonces [users]uint64
	turn   int // whose transaction is next
	probe  int
}

func key(name string, i int) *ecdsa.PrivateKey {
	k, err := crypto.ToECDSA(crypto.Keccak256([]byte(name), binary.BigEndian.AppendUint64(nil, uint64(i))))
	if err != nil {
		panic(err) // one in 2^128
	}
	return k
}

// work fills a block of proof of work.
func (m *maker) work(i int, g *core.BlockGen) {
	number := g.Number().Uint64()
	g.SetCoinbase(common.BytesToAddress([]byte{0xc0, byte(number)}))
	g.OffsetTime([]int64{0, -5, 13, 2, -9}[i%5]) // difficulties go up and down
	if !m.daoExtra(number) && number%3 == 0 {
		g.SetExtra(fmt.Appendf(nil, "block %d", number))
	}
	// An uncle in each fork: a brother of the parent.
	if number%phase == 3 {
		uncle := &types.Header{
			ParentHash: g.PrevBlock(i - 2).Hash(), Number: big.NewInt(int64(number) - 1), UncleHash: types.EmptyUncleHash,
			TxHash: types.EmptyTxsHash, ReceiptHash: types.EmptyReceiptsHash, Coinbase: common.Address{0xc1, byte(number)},
		}
		if m.daoExtra(number - 1) {
			uncle.Extra = params.DAOForkBlockExtra
		}
		g.AddUncle(uncle)
	}
	m.fill(g)
}

func (m *maker) daoExtra(number uint64) bool {
	from := m.config.DAOForkBlock.Uint64()
	return number >= from && number < from+params.DAOForkExtraRange.Uint64()
}

// stake fills a block of proof of stake.
func (m *maker) stake(_ int, g *core.BlockGen) {
	number := g.Number().Uint64()
	g.SetCoinbase(common.BytesToAddress([]byte{0xc2, byte(number)}))
	rules := m.config.Rules(g.Number(), true, g.Timestamp())
	if rules.IsCancun {
		g.SetParentBeaconRoot(crypto.Keccak256Hash([]byte("beacon"), g.Number().Bytes()))
	}
	m.fill(g)
	if rules.IsShanghai {
		for i := range number % 5 {
			g.AddWithdrawal(&types.Withdrawal{Validator: i, Address: common.Address{0xc3, byte(i)}, Amount: number * (i + 1)})
		}
		g.AddWithdrawal(&types.Withdrawal{Validator: 9, Address: common.HexToAddress("0xdead"), Amount: 0})
	}
}

// fill adds transactions of every type that the block's fork has: each probe in the first block of a fork, some after.
func (m *maker) fill(g *core.BlockGen) {
	rules := m.config.Rules(g.Number(), g.Difficulty().Sign() == 0, g.Timestamp())
	number := g.Number().Uint64()
	count := 5
	if number%phase == 0 || number == 1 {
		count = len(probes)
	}
	for range count {
		m.add(g, &types.LegacyTx{Gas: 300_000, Data: probes[m.probe%len(probes)]})
		m.probe++
	}
	friend := common.Address{0xf0, byte(number)}
	m.add(g, &types.LegacyTx{Gas: 21_000, To: &friend, Value: big.NewInt(int64(number))})
	m.add(g, &types.LegacyTx{Gas: 120_000, To: &kvAddress, Data: setting(number%10, number)})
	m.add(g, &types.LegacyTx{Gas: 120_000, To: &kvAddress, Data: setting(number%10, number-number%2)})
	if rules.IsBerlin {
		list := types.AccessList{{Address: kvAddress, StorageKeys: []common.Hash{common.BigToHash(big.NewInt(1))}}}
		m.add(g, &types.AccessListTx{ChainID: m.config.ChainID, Gas: 120_000, To: &kvAddress, Data: setting(1, number), AccessList: list})
	}
	if rules.IsLondon {
		m.add(g, &types.DynamicFeeTx{ChainID: m.config.ChainID, Gas: 120_000, To: &kvAddress, Data: setting(0, 0), GasTipCap: big.NewInt(params.GWei)})
	}
	if rules.IsCancun {
		m.blobs(g)
	}
	if rules.IsPrague {
		m.requests(g, number)
	}
}

// blobs fills the block with them, so that what is over the target adds up and the fee of a blob rises.
func (m *maker) blobs(g *core.BlockGen) {
	limit := m.config.BlobScheduleConfig.Cancun.Max
	for _, next := range []struct {
		time *uint64
		max  int
	}{{m.config.PragueTime, 9}, {m.config.BPO1Time, 15}, {m.config.BPO2Time, 21}} {
		if g.Timestamp() >= *next.time {
			limit = next.max
		}
	}
	for limit > 0 {
		n := min(limit, 6)
		limit -= n
		hashes := make([]common.Hash, n)
		for i := range hashes {
			hashes[i] = crypto.Keccak256Hash([]byte("blob"), g.Number().Bytes(), []byte{byte(limit), byte(i)})
			hashes[i][0] = 1
		}
		m.add(g, &types.BlobTx{
			ChainID: uint256.NewInt(chainID), Gas: 120_000, To: kvAddress, Data: setting(2, uint64(limit)),
			GasTipCap: uint256.NewInt(1), BlobFeeCap: uint256.NewInt(params.GWei), BlobHashes: hashes,
		})
	}
}

// requests adds a delegation (EIP-7702) and a call that runs it, and asks the consensus layer for a deposit, a
// withdrawal and a consolidation.
func (m *maker) requests(g *core.BlockGen, number uint64) {
	authority := key("authority", int(number/2)) // the same one twice: given, then taken back
	given, nonce := kvAddress, number%2
	if nonce == 1 {
		given = common.Address{}
	}
	signed, err := types.SignSetCode(authority, types.SetCodeAuthorization{ChainID: *uint256.NewInt(chainID), Address: given, Nonce: nonce})
	if err != nil {
		panic(err)
	}
	at := crypto.PubkeyToAddress(authority.PublicKey)
	m.add(g, &types.SetCodeTx{ChainID: uint256.NewInt(chainID), Gas: 200_000, To: at, Data: setting(number, 7), AuthList: []types.SetCodeAuthorization{signed}, GasTipCap: uint256.NewInt(1)})
	m.add(g, &types.LegacyTx{Gas: 200_000, To: &at, Data: setting(3, number)})
	if number%phase == 2 {
		fee := big.NewInt(params.GWei)
		m.add(g, &types.LegacyTx{Gas: 200_000, To: &depositsAddress, Data: deposit(number)})
		m.add(g, &types.LegacyTx{Gas: 300_000, To: &params.WithdrawalQueueAddress, Value: fee, Data: counted(56, number)})
		m.add(g, &types.LegacyTx{Gas: 300_000, To: &params.ConsolidationQueueAddress, Value: fee, Data: counted(96, number)})
	}
}

// add signs with the next user's key, after nonce, fees and value have been filled in.
func (m *maker) add(g *core.BlockGen, data types.TxData) {
	user := m.turn % users
	m.turn++
	nonce := m.nonces[user]
	m.nonces[user]++
	price := big.NewInt(3 * params.GWei)
	if m.config.IsLondon(g.Number()) {
		price.Add(price, g.BaseFee())
	}
	cap := uint256.MustFromBig(price)
	switch tx := data.(type) {
	case *types.LegacyTx:
		tx.Nonce, tx.GasPrice = nonce, price
		if tx.Value == nil {
			tx.Value = new(big.Int)
		}
	case *types.AccessListTx:
		tx.Nonce, tx.GasPrice, tx.Value = nonce, price, new(big.Int)
	case *types.DynamicFeeTx:
		tx.Nonce, tx.GasFeeCap, tx.Value = nonce, price, new(big.Int)
	case *types.BlobTx:
		tx.Nonce, tx.GasFeeCap, tx.Value = nonce, cap, new(uint256.Int)
	case *types.SetCodeTx:
		tx.Nonce, tx.GasFeeCap, tx.Value = nonce, cap, new(uint256.Int)
	}
	g.AddTx(types.MustSignNewTx(key("user", user), g.Signer(), data))
}

// setting is calldata for kv.
func setting(slot, value uint64) []byte {
	data := make([]byte, 64)
	binary.BigEndian.PutUint64(data[24:], slot)
	binary.BigEndian.PutUint64(data[56:], value)
	return data
}

func counted(length int, from uint64) []byte {
	data := make([]byte, length)
	for i := range data {
		data[i] = byte(from + uint64(i))
	}
	return data
}

// deposit is the data of a deposit's log: five byte strings as the ABI lays them out.
func deposit(number uint64) []byte {
	word := func(n int) []byte { return common.BigToHash(big.NewInt(int64(n))).Bytes() }
	var heads, tails []byte
	for _, length := range []int{48, 32, 8, 96, 8} {
		heads = append(heads, word(5*32+len(tails))...)
		tails = append(tails, word(length)...)
		tails = append(tails, counted(length, number)...)
		tails = append(tails, make([]byte, (32-length%32)%32)...)
	}
	return append(heads, tails...)
}
