package main

import (
	"math/big"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/core/types"
)

// The messages of eth version 28 (PoC-6), by id.
const (
	statusMsg          = 0x00
	transactionsMsg    = 0x02
	getBlockHashesMsg  = 0x03
	blockHashesMsg     = 0x04
	getBlocksMsg       = 0x05
	blocksMsg          = 0x06
	newBlockMsg        = 0x07
	getBlockHeadersMsg = 0x08
	blockHeadersMsg    = 0x09
	hashLookupMsg      = 0x10
	hashLookupRespMsg  = 0x11

	protocolVersion = 28
	protocolLength  = 18

	maxHashes  = 2048
	maxHeaders = 192
	maxBlocks  = 128
	maxLookups = 384
)

type status struct {
	ProtocolVersion uint64
	NetworkID       uint64
	TD              *big.Int
	BestHash        common.Hash
	GenesisHash     common.Hash
}

type getBlockHashes struct {
	Hash      common.Hash
	MaxBlocks uint64
}

type newBlock struct {
	Block *types.Block
	TD    *big.Int
}

type lookup struct{ Hashes []common.Hash }

type lookupResponse struct{ Values [][]byte }

func (c *chain) status() *status {
	return &status{protocolVersion, 0, c.td, c.head().Hash(), c.genesis.Hash()}
}
