// SPDX-License-Identifier: MIT

// Go's side of the fetch bench: net/http, one goroutine a connection.
//
// usage: fetch LIST CONCURRENCY
//
// Prints "pages N count", "failed N count" and "bytes N count".
package main

import (
	"bufio"
	"fmt"
	"io"
	"net/http"
	"os"
	"strconv"
	"sync"
	"sync/atomic"
	"time"
)

func get(client *http.Client, url string) ([]byte, error) {
	r, err := client.Get(url)
	if err != nil {
		return nil, err
	}
	defer r.Body.Close()
	body, err := io.ReadAll(r.Body)
	if err == nil && r.StatusCode != 200 {
		err = fmt.Errorf("status %d", r.StatusCode)
	}
	return body, err
}

func main() {
	list, err := os.Open(os.Args[1])
	if err != nil {
		panic(err)
	}
	conc, _ := strconv.Atoi(os.Args[2])
	client := &http.Client{Timeout: 15 * time.Second, Transport: &http.Transport{
		MaxIdleConns: conc, MaxIdleConnsPerHost: conc, MaxConnsPerHost: conc}}
	var pages, failed, bytes int64
	var wg sync.WaitGroup
	urls := make(chan string, conc)
	for i := 0; i < conc; i++ {
		wg.Add(1)
		go func() {
			defer wg.Done()
			for url := range urls {
				body, err := get(client, url)
				if err != nil {
					atomic.AddInt64(&failed, 1)
					continue
				}
				atomic.AddInt64(&pages, 1)
				atomic.AddInt64(&bytes, int64(len(body)))
			}
		}()
	}
	lines := bufio.NewScanner(list)
	for lines.Scan() {
		urls <- lines.Text()
	}
	close(urls)
	wg.Wait()
	fmt.Printf("pages %d count\nfailed %d count\nbytes %d count\n", pages, failed, bytes)
}
