package main

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/ethereum/go-ethereum/ethclient"
	"github.com/ethereum/go-ethereum/rpc"
)

// overWebSocket asks with go-ethereum's own client: single calls, a batch, and an answer of more than one frame's size.
func overWebSocket(url string) error {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	client, err := rpc.DialWebsocket(ctx, url, "http://localhost")
	if err != nil {
		return err
	}
	defer client.Close()
	eth := ethclient.NewClient(client)
	chainID, err := eth.ChainID(ctx)
	if err != nil {
		return err
	}
	number, err := eth.BlockNumber(ctx)
	if err != nil {
		return err
	}
	var head struct {
		Hash  string `json:"hash"`
		Miner string `json:"miner"`
	}
	if err := client.CallContext(ctx, &head, "eth_getBlockByNumber", rpc.BlockNumber(number), true); err != nil {
		return err
	}
	batch := make([]rpc.BatchElem, 50)
	for i := range batch {
		batch[i] = rpc.BatchElem{Method: "eth_getBalance", Args: []any{head.Miner, "latest"}, Result: new(json.RawMessage)}
	}
	if err := client.BatchCallContext(ctx, batch); err != nil {
		return err
	}
	for _, answer := range batch {
		if answer.Error != nil {
			return answer.Error
		}
	}
	var nothing any
	if err := client.CallContext(ctx, &nothing, "eth_noSuchMethod"); err == nil {
		return fmt.Errorf("a method that is not there was answered: %v", nothing)
	} else if coded, ok := err.(rpc.Error); !ok || coded.ErrorCode() != -32601 {
		return fmt.Errorf("a method that is not there: %v", err)
	}
	fmt.Printf("{\"chainId\":%d,\"number\":%d,\"hash\":%q}\n", chainID, number, head.Hash)
	return nil
}
