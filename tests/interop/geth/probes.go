package main

import "github.com/ethereum/go-ethereum/common"

// A probe is init code that runs what some fork brought and stores what came of it: before the fork the same
// transaction fails, from the fork on it does not.
var probes = append(instructions(), precompiles()...)

// instructions each leave one value on the stack.
func instructions() (codes [][]byte) {
	for _, code := range []string{
		"44",                                  // DIFFICULTY, PREVRANDAO from the merge on
		"45",                                  // GASLIMIT
		"436001900340",                        // BLOCKHASH of the parent
		"3f",                                  // a stack underflow in every fork
		"6000600060006000600030615208f2",      // CALLCODE of the contract that is being made
		"600060006000600030615208f4",          // DELEGATECALL, Homestead
		"3d",                                  // RETURNDATASIZE, Byzantium
		"600060006000600030615208fa",          // STATICCALL, Byzantium
		"60006000fd",                          // REVERT, Byzantium
		"600160041b",                          // SHL, Constantinople
		"303f",                                // EXTCODEHASH, Constantinople
		"6000600060006000f5",                  // CREATE2, Constantinople
		"46",                                  // CHAINID, Istanbul
		"47",                                  // SELFBALANCE, Istanbul
		"48",                                  // BASEFEE, London
		"5f600701",                            // PUSH0, Shanghai
		"4131",                                // the coinbase's BALANCE, warm from Shanghai on
		"602a60015d60015c",                    // TSTORE and TLOAD, Cancun
		"602a600052602060006020" + "5e602051", // MCOPY, Cancun
		"600049",                              // BLOBHASH, Cancun
		"4a",                                  // BLOBBASEFEE, Cancun
		"60ff1e",                              // CLZ, Osaka
		"602a60005560006000556001",            // a slot set and cleared: the refund differs by fork
		"60006000600060006000" + "61dead61fffff1", // a CALL that touches an empty account
	} {
		codes = append(codes, store(common.FromHex(code)))
	}
	// The last one ends itself in the transaction that made it.
	return append(codes, common.FromHex("33ff"))
}

// precompiles calls each address that some fork has given a precompiled contract, with no input.
func precompiles() (codes [][]byte) {
	for address := byte(1); address <= 0x11; address++ {
		codes = append(codes, store(append(common.FromHex("6020600060006000600060"), address, 0x61, 0x9c, 0x40, 0xf1)))
	}
	return append(codes, store(common.FromHex("60206000600060006000610100619c40f1"))) // P256VERIFY, Osaka
}

// store appends: the value into slot 0, the gas that is left into slot 1.
func store(code []byte) []byte { return append(code, common.FromHex("6000555a60015500")...) }
