package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"math/rand"
	"net/http"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"sync"
	"time"
)

// How many queries go into one request and how many requests are under way: enough to keep two nodes at work.
const (
	batchSize = 16
	workers   = 3
)

// Most mismatches that are printed in full.
const mostPrinted = 40

// query is one question and what each node answered.
type query struct {
	Method  string            `json:"method"`
	Params  []any             `json:"params"`
	Answers map[string]answer `json:"-"`
	Why     string            `json:"why"`
	Where   []string          `json:"where"`
}

type answer struct {
	Result any   `json:"result,omitempty"`
	Error  *fail `json:"error,omitempty"`
}

type fail struct {
	Code    int    `json:"code"`
	Message string `json:"message"`
	Data    any    `json:"data,omitempty"`
}

// comparison is what compare is asked to do.
type comparison struct {
	chain, full, light string
	methods            string // with commas between; all of them where it is empty
	seed               int64
	count              int
}

// compare asks a node of go-ethereum's and ours the same, at random, and fails where they answer differently: light
// and full always the same, both as go-ethereum but for the differences that are documented.
func compare(c comparison) error {
	stack, suggested, err := startNode(c.chain)
	if err != nil {
		return err
	}
	defer stack.Close()
	blocks, err := readChain(filepath.Join(c.chain, "chain.rlp"))
	if err != nil {
		return err
	}
	nodes := map[string]string{"geth": stack.HTTPEndpoint()}
	for name, url := range map[string]string{"full": c.full, "light": c.light} {
		if url != "" {
			nodes[name] = url
		}
	}
	all, err := (&asker{random: rand.New(rand.NewSource(c.seed)), blocks: blocks}).queries(c)
	if err != nil {
		return err
	}
	// A transaction is known where its block is: both nodes are shown every block once.
	var shown []*query
	for _, block := range blocks {
		shown = append(shown, &query{Method: "eth_getBlockByHash", Params: []any{block.Hash(), true}})
	}
	if err := ask(nodes, shown); err != nil {
		return err
	}
	if err := ask(nodes, all); err != nil {
		return err
	}
	tips, baseFee = suggested, blocks[len(blocks)-1].BaseFee()
	return report(c, append(shown, all...))
}

// queries draws so many, each method by its weight.
func (a *asker) queries(c comparison) (all []*query, err error) {
	var drawn []int
	for i, kind := range queries {
		if c.methods == "" || named(c.methods, kind.method) {
			for range kind.weight {
				drawn = append(drawn, i)
			}
		}
	}
	if len(drawn) == 0 {
		return nil, fmt.Errorf("none of the methods %q is compared", c.methods)
	}
	for range c.count {
		kind := queries[pick(a, drawn...)]
		all = append(all, &query{Method: kind.method, Params: kind.params(a)})
	}
	return all, nil
}

func named(list, method string) bool { return strings.Contains(","+list+",", ","+method+",") }

// ask fills in the answers of every node.
func ask(nodes map[string]string, all []*query) error {
	type batch struct {
		node, url string
		queries   []*query
	}
	var queue []batch
	for from := 0; from < len(all); from += batchSize {
		for node, url := range nodes {
			queue = append(queue, batch{node, url, all[from:min(from+batchSize, len(all))]})
		}
	}
	var (
		group  sync.WaitGroup
		lock   sync.Mutex
		failed error
	)
	batches := make(chan batch)
	for range workers {
		group.Go(func() {
			for b := range batches {
				answers, err := post(b.url, b.queries)
				lock.Lock()
				for i, q := range b.queries {
					if err != nil {
						failed = fmt.Errorf("%s: %w", b.node, err)
						break
					}
					if q.Answers == nil {
						q.Answers = map[string]answer{}
					}
					q.Answers[b.node] = answers[i]
				}
				lock.Unlock()
			}
		})
	}
	for _, b := range queue {
		batches <- b
	}
	close(batches)
	group.Wait()
	return failed
}

func post(url string, all []*query) ([]answer, error) {
	var calls []object
	for i, q := range all {
		calls = append(calls, object{"jsonrpc": "2.0", "id": i, "method": q.Method, "params": q.Params})
	}
	body, err := json.Marshal(calls)
	if err != nil {
		return nil, err
	}
	client := http.Client{Timeout: 2 * time.Minute}
	response, err := client.Post(url, "application/json", bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		return nil, err
	}
	var got []struct {
		ID *int `json:"id"`
		answer
	}
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.UseNumber()
	if err := decoder.Decode(&got); err != nil {
		return nil, fmt.Errorf("%w: %.300s", err, text)
	}
	answers := make([]answer, len(all))
	if len(got) != len(all) {
		return nil, fmt.Errorf("%d answers to %d calls: %.300s", len(got), len(all), text)
	}
	for _, one := range got {
		if one.ID == nil || *one.ID < 0 || *one.ID >= len(all) {
			return nil, fmt.Errorf("an answer to nothing: %.300s", text)
		}
		answers[*one.ID] = one.answer
	}
	return answers, nil
}

// report compares, prints what differs, and counts.
func report(c comparison, all []*query) error {
	type count struct{ Asked, Results, Errors, Documented, Different int }
	counts, documented := map[string]*count{}, map[string]int{}
	different := 0
	for _, q := range all {
		n := counts[q.Method]
		if n == nil {
			n = new(count)
			counts[q.Method] = n
		}
		n.Asked++
		geth := q.Answers["geth"]
		if geth.Error != nil {
			n.Errors++
		} else {
			n.Results++
		}
		full, hasFull := q.Answers["full"]
		light, hasLight := q.Answers["light"]
		ours := full
		if !hasFull {
			ours = light
		}
		switch {
		case hasFull && hasLight && !reflect.DeepEqual(full, light):
			q.Why, q.Where = "light and full differ", where("", plain(full), plain(light))
		case !hasFull && !hasLight || reflect.DeepEqual(geth, ours):
			continue
		default:
			if why := isDocumented(q, geth, ours); why != "" {
				n.Documented++
				documented[why]++
				continue
			}
			q.Why, q.Where = "not as geth", where("", plain(geth), plain(ours))
		}
		n.Different++
		if different++; different <= mostPrinted {
			text, _ := json.Marshal(q.Params)
			fmt.Fprintf(os.Stderr, "%s: %s\n", q.Method, q.Why)
			for _, where := range q.Where {
				fmt.Fprintf(os.Stderr, "  %.600s\n", where)
			}
			fmt.Fprintf(os.Stderr, "  %.20000s\n", text)
		}
	}
	summary, err := json.Marshal(object{"methods": counts, "documented": documented, "different": different})
	if err != nil {
		return err
	}
	fmt.Println(string(summary))
	if different > 0 {
		return fmt.Errorf("%d of %d answers differ", different, len(all))
	}
	return nil
}

// plain is the answer as the decoder makes it.
func plain(a answer) any {
	if a.Error == nil {
		return a.Result
	}
	return object{"error": object{"code": a.Error.Code, "message": a.Error.Message, "data": a.Error.Data}}
}

// where names the places at which two answers differ, the first one's value before the second's.
func where(path string, one, other any) (places []string) {
	if reflect.DeepEqual(one, other) {
		return nil
	}
	a, isObject := one.(object)
	b, bothObjects := other.(object)
	if isObject && bothObjects {
		names := map[string]bool{}
		for name := range a {
			names[name] = true
		}
		for name := range b {
			names[name] = true
		}
		for _, name := range slices.Sorted(maps.Keys(names)) {
			places = append(places, where(path+"."+name, a[name], b[name])...)
		}
		return places
	}
	list, isList := one.([]any)
	others, bothLists := other.([]any)
	if isList && bothLists && len(list) == len(others) {
		for i := range list {
			places = append(places, where(fmt.Sprintf("%s[%d]", path, i), list[i], others[i])...)
		}
		return places
	}
	return []string{fmt.Sprintf("%s: %s | %s", path, brief(one), brief(other))}
}

func brief(value any) string {
	text, err := json.Marshal(value)
	if err != nil {
		return err.Error()
	}
	return fmt.Sprintf("%.300s", text)
}
