package main

import (
	"fmt"
	"math/big"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/common/hexutil"
	"github.com/ethereum/go-ethereum/core/state"
	"github.com/ethereum/go-ethereum/core/types"
	"github.com/ethereum/go-ethereum/ethdb"
	"github.com/ethereum/go-ethereum/params"
	"github.com/ethereum/go-ethereum/triedb"
)

// expected is what go-ethereum holds of the chain.
type expected struct {
	Head   common.Hash     `json:"head"`
	Blocks []expectedBlock `json:"blocks"` // by number, genesis first
}

type expectedBlock struct {
	Number       uint64                             `json:"number"`
	Hash         common.Hash                        `json:"hash"`
	Time         uint64                             `json:"time"`
	StateRoot    common.Hash                        `json:"stateRoot"`
	ReceiptsRoot common.Hash                        `json:"receiptsRoot"`
	ForkHash     string                             `json:"forkHash"` // EIP-2124, with this block as head
	ForkNext     uint64                             `json:"forkNext"`
	Header       *types.Header                      `json:"header"` // in JSON-RPC's form, as the transactions are
	Size         hexutil.Uint64                     `json:"size"`
	Uncles       []common.Hash                      `json:"uncles"`
	Withdrawals  types.Withdrawals                  `json:"withdrawals"`
	Transactions []expectedTransaction              `json:"transactions"`
	Accounts     map[common.Address]expectedAccount `json:"accounts"`
}

type expectedTransaction struct {
	Hash   common.Hash        `json:"hash"`
	From   common.Address     `json:"from"`
	Type   hexutil.Uint64     `json:"type"`
	Status hexutil.Uint64     `json:"status"`
	Logs   int                `json:"logs"`
	Signed *types.Transaction `json:"signed"`
}

type expectedAccount struct {
	Balance *hexutil.Big                `json:"balance"`
	Nonce   hexutil.Uint64              `json:"nonce"`
	Code    hexutil.Bytes               `json:"code"`
	Storage map[common.Hash]common.Hash `json:"storage,omitempty"`
}

func expectations(config *params.ChainConfig, db ethdb.Database, genesis *types.Block, blocks types.Blocks, receipts []types.Receipts) (*expected, error) {
	tries := triedb.NewDatabase(db, triedb.HashDefaults)
	defer tries.Close()
	all := append(types.Blocks{genesis}, blocks...)
	e := &expected{Head: all[len(all)-1].Hash()}
	for i, block := range all {
		made := expectedBlock{
			Number: block.NumberU64(), Hash: block.Hash(), Time: block.Time(), StateRoot: block.Root(), ReceiptsRoot: block.ReceiptHash(),
			Header: block.Header(), Size: hexutil.Uint64(block.Size()), Withdrawals: block.Withdrawals(),
			Uncles: []common.Hash{}, Transactions: []expectedTransaction{},
		}
		for _, uncle := range block.Uncles() {
			made.Uncles = append(made.Uncles, uncle.Hash())
		}
		made.ForkHash, made.ForkNext = forkID(config, genesis, block)
		for n, tx := range block.Transactions() {
			from, err := types.Sender(types.MakeSigner(config, block.Number(), block.Time()), tx)
			if err != nil {
				return nil, err
			}
			receipt := receipts[i-1][n]
			made.Transactions = append(made.Transactions, expectedTransaction{tx.Hash(), from, hexutil.Uint64(tx.Type()), hexutil.Uint64(receipt.Status), len(receipt.Logs), tx})
		}
		held, err := state.New(block.Root(), state.NewDatabase(tries, nil))
		if err != nil {
			return nil, err
		}
		made.Accounts = accounts(held, block)
		e.Blocks = append(e.Blocks, made)
	}
	return e, nil
}

// accounts reads those that the chain writes to, and one that is not there.
func accounts(held *state.StateDB, block *types.Block) map[common.Address]expectedAccount {
	read := []common.Address{
		kvAddress, depositsAddress, block.Coinbase(), params.DAORefundContract, params.DAODrainList()[0], params.BeaconRootsAddress,
		params.HistoryStorageAddress, params.WithdrawalQueueAddress, params.ConsolidationQueueAddress,
		common.HexToAddress("0xdead"), common.HexToAddress("0xab5e47"), {0xc3, 1}, address("authority", int(block.NumberU64()/2)),
	}
	for i := range users {
		read = append(read, address("user", i))
	}
	found := map[common.Address]expectedAccount{}
	for _, address := range read {
		account := expectedAccount{
			Balance: (*hexutil.Big)(held.GetBalance(address).ToBig()), Nonce: hexutil.Uint64(held.GetNonce(address)), Code: held.GetCode(address),
			Storage: map[common.Hash]common.Hash{},
		}
		slots := []uint64{0, 1, 2, 3, 7, block.Time() % 8191, block.Time()%8191 + 8191, (block.NumberU64() + 8190) % 8191}
		for _, slot := range slots {
			key := common.BigToHash(new(big.Int).SetUint64(slot))
			account.Storage[key] = held.GetState(address, key)
		}
		found[address] = account
	}
	return found
}

// summary is what the program prints: the head, and that nothing that the chain is for is missing from it.
func (e *expected) summary(total *big.Int) map[string]any {
	kinds, failed := map[string]int{}, 0
	for _, block := range e.Blocks {
		for _, tx := range block.Transactions {
			kinds[fmt.Sprint(uint64(tx.Type))]++
			if tx.Status == 0 {
				failed++
			}
		}
	}
	return map[string]any{"head": len(e.Blocks) - 1, "hash": e.Head, "terminalTotalDifficulty": total, "types": kinds, "failed": failed}
}
