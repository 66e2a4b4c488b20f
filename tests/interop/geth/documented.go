package main

import "strings"

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
	{"fees without percentiles", func(q *query, geth, _ answer) bool {
		// The specification lets them be left out.
		left := len(q.Params) == 2 || q.Params[2] == nil
		return q.Method == "eth_feeHistory" && left && geth.Error != nil && geth.Error.Code == -32602
	}},
	{"go-ethereum's own mistakes", func(q *query, geth, ours answer) bool {
		// Block and parent both write the first fee of a blob, in no fixed order.
		places := where("", plain(geth), plain(ours))
		return q.Method == "eth_feeHistory" && len(places) == 1 && strings.HasPrefix(places[0], ".baseFeePerBlobGas[") && strings.HasSuffix(places[0], `: "0x0" | "0x1"`)
	}},
	{"go-ethereum's own mistakes", func(_ *query, geth, _ answer) bool {
		// It reads a field that a header of the overridden time does not have.
		return geth.Error != nil && geth.Error.Code == -32603 && geth.Error.Message == "method handler crashed"
	}},
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
