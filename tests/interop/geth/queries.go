package main

import (
	"encoding/hex"
	"fmt"
	"math/big"
	"math/rand"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/core/types"
	"github.com/ethereum/go-ethereum/crypto"
	"github.com/ethereum/go-ethereum/params"
	"github.com/holiman/uint256"
)

// asker makes random queries over a yard, the same ones for the same seed.
type asker struct {
	random *rand.Rand
	blocks types.Blocks
}

type object = map[string]any

// queries are the methods that are compared, each with what makes its parameters and how often it is asked.
var queries = []struct {
	method string
	weight int
	params func(*asker) []any
}{
	{"eth_call", 40, (*asker).forCall},
	{"eth_estimateGas", 20, (*asker).forEstimate},
	{"eth_createAccessList", 12, (*asker).forAccessList},
	{"eth_simulateV1", 12, (*asker).forSimulation},
	{"eth_feeHistory", 8, (*asker).forFeeHistory},
	{"eth_gasPrice", 1, (*asker).forNothing},
	{"eth_maxPriorityFeePerGas", 1, (*asker).forNothing},
	{"eth_blobBaseFee", 1, (*asker).forNothing},
	{"eth_baseFee", 1, (*asker).forNothing},
	{"eth_getTransactionByHash", 4, (*asker).forTransaction},
	{"eth_getTransactionReceipt", 6, (*asker).forTransaction},
	{"eth_getBlockReceipts", 2, (*asker).forReceipts},
	{"eth_getBalance", 1, (*asker).forAccount},
	{"eth_getTransactionCount", 1, (*asker).forAccount},
	{"eth_getCode", 1, (*asker).forAccount},
	{"eth_getProof", 1, (*asker).forProof},
}

func (a *asker) n(n int) int              { return a.random.Intn(n) }
func (a *asker) one(in int) bool          { return a.random.Intn(in) == 0 }
func (a *asker) big(n int64) *big.Int     { return big.NewInt(a.random.Int63n(n)) }
func (a *asker) hex(n int64) string       { return fmt.Sprintf("%#x", a.random.Int63n(n)) }
func (a *asker) hash() string             { return common.BigToHash(a.big(1 << 40)).Hex() }
func (a *asker) bytes(n int) []byte       { b := make([]byte, n); a.random.Read(b); return b }
func data(b []byte) string                { return "0x" + hex.EncodeToString(b) }
func pick[T any](a *asker, from ...T) T   { return from[a.n(len(from))] }
func (a *asker) forNothing() []any        { return []any{} }
func (a *asker) forEstimate() []any       { return a.called(a.call(), true) }
func (a *asker) forCall() []any           { return a.called(a.call(), true) }
func (a *asker) forAccount() []any        { return []any{a.address(), a.block()} }
func (a *asker) contract() common.Address { return pick(a, yardContract...) }
func (a *asker) precompile() common.Address {
	return common.BytesToAddress([]byte{byte(1 + a.n(0x11))})
}

func (a *asker) forProof() []any { return []any{a.contract(), []string{a.hash(), "0x0"}, a.block()} }

func (a *asker) forReceipts() []any { return []any{a.block()} }

func (a *asker) forTransaction() []any {
	for {
		if a.one(20) {
			return []any{a.hash()}
		}
		if sent := pick(a, a.blocks...).Transactions(); len(sent) > 0 {
			return []any{pick(a, sent...).Hash()}
		}
	}
}

func (a *asker) forAccessList() []any {
	asked := []any{a.call(), a.block()}
	if a.one(4) {
		asked = append(asked, a.stateOverride())
	}
	return asked
}

// block names one, mostly one with every fork behind it.
func (a *asker) block() any {
	some := pick(a, a.blocks...)
	switch a.n(12) {
	case 0, 1, 2, 3, 4:
		return "latest"
	case 5:
		return some.Hash()
	case 6:
		return object{"blockHash": some.Hash(), "requireCanonical": a.one(2)}
	case 7:
		return object{"blockNumber": fmt.Sprintf("%#x", some.NumberU64())}
	case 8:
		if a.one(8) {
			return pick[any](a, "0x1000", a.hash(), "earliest", object{"blockHash": a.hash()})
		}
	}
	return fmt.Sprintf("%#x", some.NumberU64())
}

// address is anybody: users, contracts, precompiled ones, delegated accounts, beneficiaries, nobody.
func (a *asker) address() common.Address {
	switch a.n(10) {
	case 0, 1, 2:
		return address("yard", a.n(yardUsers))
	case 3:
		return address("delegated", a.n(yardUsers))
	case 4, 5:
		return a.contract()
	case 6:
		return a.precompile()
	case 7:
		return common.BytesToAddress([]byte{pick[byte](a, 0xc4, 0xc5, 0xf0), byte(a.n(12))})
	case 8:
		return pick(a, params.BeaconRootsAddress, params.HistoryStorageAddress, params.WithdrawalQueueAddress, common.Address{}, depositsAddress)
	default:
		return common.BytesToAddress(a.bytes(20))
	}
}

// called appends the block and, now and then, overrides of the state and of the block.
func (a *asker) called(call object, blockToo bool) []any {
	asked := []any{call}
	if a.one(20) {
		return asked
	}
	asked = append(asked, a.block())
	if a.one(4) {
		asked = append(asked, a.stateOverride())
		if blockToo && a.one(2) {
			asked = append(asked, a.blockOverride(false))
		}
	} else if blockToo && a.one(6) {
		asked = append(asked, nil, a.blockOverride(false))
	}
	return asked
}

// call is a message: whose, to whom, with what, and what a wallet adds.
func (a *asker) call() object {
	call := object{}
	if !a.one(4) {
		call["from"] = pick(a, address("yard", a.n(yardUsers)), address("yard", a.n(yardUsers)), a.address())
	}
	to, input := a.input()
	if to != nil {
		call["to"] = to
	}
	if len(input) > 0 || a.one(3) {
		call[pick(a, "data", "input", "input")] = data(input)
	}
	if a.one(40) {
		call["data"], call["input"] = data(input), data(append(input, 1))
	}
	if a.one(6) {
		call["value"] = pick(a, "0x0", "0x1", a.hex(1000), a.hex(params.Ether), data(common.LeftPadBytes([]byte{0xff}, 1))+"ffffffffffffffffffffffffff")
	}
	if a.one(8) {
		call["gas"] = pick(a, "0x0", "0x5208", "0x5207", a.hex(60_000), a.hex(300_000), a.hex(20_000_000), "0x2faf080", "0x3b9aca00", "0xffffffffffffffff")
	}
	switch a.n(60) {
	case 0:
		call["gasPrice"] = a.price()
	case 1:
		call["maxFeePerGas"], call["maxPriorityFeePerGas"] = a.price(), a.price()
	case 2:
		call["maxFeePerGas"] = a.price()
	case 3:
		call["maxPriorityFeePerGas"] = a.price()
	case 4:
		if a.one(3) {
			call["gasPrice"], call["maxFeePerGas"] = a.price(), a.price()
		}
	}
	if a.one(16) {
		call["nonce"] = a.hex(100)
	}
	if a.one(24) {
		call["chainId"] = pick(a, fmt.Sprintf("%#x", yardChainID), fmt.Sprintf("%#x", yardChainID), "0x1")
	}
	if a.one(12) {
		call["accessList"] = a.accessList()
	}
	if a.one(24) {
		call["authorizationList"] = a.authorizations()
	}
	if a.one(30) {
		call["blobVersionedHashes"] = []string{pick(a, "0x01", "0x01", "0x02") + a.hash()[4:]}
		if a.one(2) {
			call["maxFeePerBlobGas"] = a.price()
		}
	}
	return call
}

func (a *asker) price() string {
	return pick(a, "0x0", "0x1", a.hex(params.GWei), a.hex(20*params.GWei), fmt.Sprintf("%#x", int64(100*params.GWei)), "0xffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff")
}

func (a *asker) accessList() []object {
	list := []object{}
	for range a.n(4) {
		keys := []string{}
		for range a.n(4) {
			keys = append(keys, a.slot())
		}
		list = append(list, object{"address": a.address(), "storageKeys": keys})
	}
	return list
}

func (a *asker) authorizations() []types.SetCodeAuthorization {
	var list []types.SetCodeAuthorization
	for range 1 + a.n(2) {
		signed, err := types.SignSetCode(key(pick(a, "delegated", "yard"), a.n(yardUsers)), types.SetCodeAuthorization{
			ChainID: *uint256.NewInt(pick[uint64](a, yardChainID, 0, 1)), Address: pick(a, a.contract(), common.Address{}), Nonce: uint64(a.n(4)),
		})
		if err != nil {
			panic(err)
		}
		list = append(list, signed)
	}
	return list
}

// slot is one that contracts have, or none.
func (a *asker) slot() string {
	if a.one(4) {
		return pick(a, common.Hash{}.Hex(), a.hash(), common.BigToHash(a.big(4)).Hex())
	}
	return crypto.Keccak256Hash(common.BigToHash(a.big(64)).Bytes(), common.BigToHash(big.NewInt(1)).Bytes()).Hex()
}

// input is whom a message goes to, nobody where it creates, and its data.
func (a *asker) input() (*common.Address, []byte) {
	to := a.contract()
	if a.one(8) {
		to = address("delegated", a.n(yardUsers))
	}
	switch a.n(30) {
	case 0:
		to = a.address()
		return &to, nil
	case 1:
		to = a.address()
		return &to, a.bytes(a.n(80))
	case 2:
		return nil, a.initCode()
	case 3:
		to = a.precompile()
		return &to, pick(a, nil, a.bytes(32*a.n(9)), make([]byte, 32*a.n(9)), a.bytes(213))
	}
	return &to, a.method(2)
}

func (a *asker) initCode() []byte {
	switch a.n(5) {
	case 0:
		return pick(a, probes...)
	case 1:
		return append(common.FromHex("385f5f39385ff3"), a.bytes(a.n(100))...)
	case 2:
		return a.bytes(a.n(60))
	case 3:
		return append(common.FromHex(pick(a, "61600160006000f0", "616001", "618000")+"5ff3"), a.bytes(a.n(4))...)
	default:
		return append(common.FromHex("60ef5f5360015ff3"), make([]byte, pick(a, 0, 10, 49_200))...)
	}
}

// method is calldata of the yard's, nested at most so deep.
func (a *asker) method(depth int) []byte {
	small, key := a.big(8), a.big(64)
	switch a.n(26) {
	case 0, 1:
		return pack("sum", key, a.big(40))
	case 2, 3:
		return pack("chase", key, a.big(30))
	case 4:
		return pack("set", key, a.big(1000))
	case 5:
		return pack("fill", key, small, a.big(3))
	case 6:
		return pick(a, pack("number"), pack("text"), pack("held", key), pack("list", small))
	case 7:
		return pack("push", key)
	case 8:
		return pack("say", string(make([]byte, a.n(100))))
	case 9, 10, 11, 12:
		how := pick[int64](a, 0, 1, 2, 3, 4, 5, 6, 7, 8, 11, 13, 13, 14, 15, 16)
		if a.one(12) {
			how = pick[int64](a, 9, 10, 12)
		}
		return pack("fail", big.NewInt(how), a.big(1_000_000))
	case 13:
		return pack("environment")
	case 14:
		return pack("blobs", small)
	case 15:
		return pack("left")
	case 16:
		return pack("hashes", a.big(90), a.big(10))
	case 17:
		return pack("accounts", []common.Address{a.address(), a.address(), a.address()})
	case 18:
		return pack("code", a.address())
	case 19, 20:
		if depth > 0 {
			gas := new(big.Int)
			if a.one(4) {
				gas = a.big(400_000)
			}
			return pack("relay", pick(a, a.contract(), a.address()), a.method(depth-1), a.big(4), a.big(3), gas)
		}
		return pack("relay", a.precompile(), a.bytes(32*a.n(7)), a.big(4), new(big.Int), new(big.Int))
	case 21:
		if depth > 0 {
			return pack("twice", pick(a, a.contract(), yardAddress), a.method(depth-1), a.method(depth-1))
		}
		return pack("number")
	case 22:
		return pack("make", a.initCode(), a.big(3), a.big(3))
	case 23:
		return pick(a, pack("end", a.address()), pack("pay", a.address(), a.big(1000)))
	case 24:
		return pick(a, pack("transient_", key, key), pack("logs", small, a.big(100)))
	default:
		return pick(a, pack("burn", a.big(5_000_000)), a.bytes(4), a.bytes(a.n(40)))
	}
}

func (a *asker) stateOverride() object {
	all := object{}
	for range 1 + a.n(3) {
		account := object{}
		if a.one(2) {
			account["balance"] = pick(a, "0x0", "0x1", a.hex(params.Ether), "0xffffffffffffffffffffffffffffffff")
		}
		if a.one(4) {
			account["nonce"] = pick(a, "0x0", a.hex(100), "0xffffffffffffffff")
		}
		if a.one(4) {
			account["code"] = pick(a, data(yard.DeployedBytecode), data(proxyCode), "0x", data(kv), data(a.bytes(20)), "0xef0100"+yardTwin.Hex()[2:])
		}
		slots := func() object {
			some := object{}
			for range a.n(4) {
				some[a.slot()] = pick(a, a.hash(), common.Hash{}.Hex())
			}
			return some
		}
		if a.one(4) {
			account["state"] = slots()
		}
		if a.one(3) && (account["state"] == nil || a.one(10)) {
			account["stateDiff"] = slots()
		}
		at := a.address()
		if a.one(12) {
			at = a.precompile()
			account["movePrecompileToAddress"] = pick(a, common.BytesToAddress(a.bytes(20)), a.contract(), a.precompile())
		}
		all[at.Hex()] = account
	}
	return all
}

// blockOverride is of a call's block or, where that is what it is for, of a simulated one.
func (a *asker) blockOverride(simulated bool) object {
	all := object{}
	if a.one(3) {
		all["number"] = pick(a, fmt.Sprintf("%#x", yardLast+1+a.n(20)), a.hex(100))
	}
	if a.one(3) {
		from := int64(yardConfig(1_700_000_000).MergeNetsplitBlock.Int64()) + 1_700_000_000
		all["time"] = fmt.Sprintf("%#x", from+int64(a.n(yardLast*yardPeriod*2)))
	}
	if a.one(4) {
		all["gasLimit"] = pick(a, a.hex(30_000_000), "0x1c9c380")
	}
	if a.one(4) {
		all["feeRecipient"] = a.address()
	}
	if a.one(4) {
		all["prevRandao"] = a.hash()
	}
	if a.one(4) {
		all["baseFeePerGas"] = pick(a, "0x0", a.hex(10*params.GWei))
	}
	if a.one(4) {
		all["blobBaseFee"] = pick(a, "0x0", a.hex(params.GWei))
	}
	if a.one(20) {
		all["beaconRoot"] = a.hash()
	}
	if simulated && a.one(20) {
		all["withdrawals"] = []object{}
	}
	return all
}

func (a *asker) forSimulation() []any {
	blocks := []object{}
	for range 1 + a.n(3) {
		block, calls := object{}, []object{}
		for range a.n(4) {
			call := a.call()
			// The nonces of a simulation follow from its state.
			if !a.one(4) {
				delete(call, "nonce")
			}
			calls = append(calls, call)
		}
		block["calls"] = calls
		if a.one(4) {
			block["stateOverrides"] = a.stateOverride()
		}
		if a.one(3) {
			block["blockOverrides"] = a.blockOverride(true)
		}
		blocks = append(blocks, block)
	}
	asked := object{"blockStateCalls": blocks}
	for _, flag := range []string{"traceTransfers", "validation", "returnFullTransactions"} {
		if a.one(3) {
			asked[flag] = a.one(2)
		}
	}
	return []any{asked, a.block()}
}

func (a *asker) forFeeHistory() []any {
	count := pick[any](a, a.hex(20), a.hex(100), a.n(20), "0x400", "0x7d0", "0x0", 1)
	block := pick[any](a, "latest", fmt.Sprintf("%#x", a.n(yardLast+1)), fmt.Sprintf("%#x", a.n(yardLast+1)))
	if a.one(30) {
		block = "0x1000"
	}
	percentiles := []any{[]int{}, []float64{10, 50, 90}, []float64{0, 25.5, 100}, []int{60}, []int{50, 10}, []int{10, 101}, []int{-1}, []int{5, 5, 5}}
	if a.one(20) {
		return []any{count, block}
	}
	return []any{count, block, pick(a, percentiles...)}
}
