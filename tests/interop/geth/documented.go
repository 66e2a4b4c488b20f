package main

import (
	"encoding/json"
	"math/big"
	"reflect"
	"strings"

	"github.com/ethereum/go-ethereum/common/hexutil"
)

// differences are where our answers are not go-ethereum's and need not be; docs/json-rpc.md lists them with reasons.
var differences = []struct {
	name string
	is   func(q *query, geth, ours answer) bool
}{
	{"words of an invalid argument", func(_ *query, geth, ours answer) bool {
		// What is wrong with an argument is told in the words of Go's decoder there.
		return bothFail(geth, ours) && geth.Error.Code == -32602 && ours.Error.Code == -32602
	}},
	{"the total difficulty of a block", func(q *query, geth, ours answer) bool {
		// It has none any more; of ours it is known, and older clients read it.
		places := where("", plain(geth), plain(ours))
		return strings.HasPrefix(q.Method, "eth_getBlockBy") && len(places) == 1 && strings.HasPrefix(places[0], ".totalDifficulty: null")
	}},
	{"words of a precompiled contract's failure", func(_ *query, geth, ours answer) bool {
		// revm does not say which of a precompiled contract's checks failed.
		places := where("", plain(geth), plain(ours))
		return len(places) == 1 && strings.HasSuffix(places[0], `| "precompile failed"`)
	}},
	{"go-ethereum's sample of tips", func(q *query, geth, ours answer) bool {
		// Which blocks it reads depends on the order in which they arrive. Ours is one of its own suggestions.
		return reflect.DeepEqual(anyTip(q, geth), anyTip(q, ours))
	}},
	{"what a contract that is made fails with", func(_ *query, geth, ours answer) bool {
		// Code that is too long and cannot be paid for either; revm looks at its length first.
		places := where("", plain(geth), plain(ours))
		return len(places) == 1 && strings.Contains(places[0], `: "contract creation code storage out of gas" | "max code size exceeded: code size `)
	}},
	{"the length of init code that is too long", func(_ *query, geth, ours answer) bool {
		// revm does not say how long it was.
		places := where("", plain(geth), plain(ours))
		return len(places) == 1 && strings.Contains(places[0], `"out of gas: max initcode size exceeded: code size `) && strings.HasSuffix(places[0], `| "out of gas: max initcode size exceeded"`)
	}},
	{"which of two mistakes is told", func(q *query, geth, ours answer) bool {
		// For an access list geth overrides the state before it looks at fees.
		overrides := bothFail(geth, ours) && strings.HasPrefix(geth.Error.Message, "account 0x")
		return q.Method == "eth_createAccessList" && overrides
	}},
	{"the transaction that an access list's loop fails with", func(q *query, geth, ours answer) bool {
		// Nobody signed it and it is in no block, so its hash is nobody's; what is filled in before differs.
		const words = "failed to apply transaction: 0x"
		both := bothFail(geth, ours) && strings.HasPrefix(geth.Error.Message, words) && strings.HasPrefix(ours.Error.Message, words)
		return both && q.Method == "eth_createAccessList"
	}},
	{"prices beyond 128 bits", func(_ *query, geth, ours answer) bool {
		// More ether than there is; revm's prices have 128 bits.
		return ours.Error != nil && strings.Contains(ours.Error.Message, "beyond 128 bits")
	}},
	{"estimates with moved precompiled contracts", func(q *query, _, _ answer) bool {
		// go-ethereum's estimator forgets where they were moved to.
		text, err := json.Marshal(q.Params)
		return q.Method == "eth_estimateGas" && err == nil && strings.Contains(string(text), "movePrecompileToAddress")
	}},
	{"fees without percentiles", func(q *query, geth, _ answer) bool {
		// The specification lets them be left out.
		left := q.Method == "eth_feeHistory" && (len(q.Params) == 2 || q.Params[2] == nil)
		return left && geth.Error != nil && geth.Error.Code == -32602
	}},
	{"go-ethereum's own mistakes", func(q *query, geth, ours answer) bool {
		// Block and parent both write the first fee of a blob, in no fixed order.
		places := where("", plain(geth), plain(ours))
		return q.Method == "eth_feeHistory" && len(places) == 1 && strings.HasPrefix(places[0], ".baseFeePerBlobGas[") && strings.HasSuffix(places[0], `: "0x0" | "0x1"`)
	}},
	{"go-ethereum's own mistakes", func(q *query, _, _ answer) bool {
		// Without maxFeePerBlobGas its simulation takes the blobs' price from a balance that it did not look at: where
		// that is less, it wraps around.
		text, err := json.Marshal(q.Params)
		blobs := err == nil && strings.Contains(string(text), `"blobVersionedHashes":["`) && !strings.Contains(string(text), "maxFeePerBlobGas")
		return q.Method == "eth_simulateV1" && blobs
	}},
	{"go-ethereum's own mistakes", func(_ *query, geth, _ answer) bool {
		// It reads a field that a header of the overridden time does not have.
		return geth.Error != nil && geth.Error.Code == -32603 && geth.Error.Message == "method handler crashed"
	}},
}

// What go-ethereum's oracle suggests on the chain's head, and the base fee there.
var (
	tips    map[string]bool
	baseFee *big.Int
)

// anyTip is the answer without which of the suggestions it has.
func anyTip(q *query, a answer) any {
	if text, ok := a.Result.(string); ok {
		switch q.Method {
		case "eth_gasPrice":
			if price, err := hexutil.DecodeBig(text); err == nil && tips[hexutil.EncodeBig(price.Sub(price, baseFee))] {
				return "base fee and tip"
			}
		case "eth_maxPriorityFeePerGas":
			if tips[text] {
				return "tip"
			}
		}
	}
	if a.Error != nil {
		message := a.Error.Message
		for tip := range tips {
			message = strings.ReplaceAll(message, "maxPriorityFeePerGas ("+tip+")", "tip")
		}
		return object{"code": a.Error.Code, "message": message, "data": a.Error.Data}
	}
	return a.Result
}

func bothFail(geth, ours answer) bool { return geth.Error != nil && ours.Error != nil }

// isDocumented names the difference that explains it, if one does.
func isDocumented(q *query, geth, ours answer) string {
	for _, difference := range differences {
		if difference.is(q, geth, ours) {
			return difference.name
		}
	}
	return ""
}
