// SPDX-License-Identifier: MIT

// go_io: 50 goroutines, each with ten late pages one after the other.
package main

import (
	"io"
	"net/http"
	"os"
	"sync"
)

func main() {
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 100}}
	url := "http://127.0.0.1:" + os.Getenv("LATE_PORT") + "/?ms=100"
	var all sync.WaitGroup

	for i := 0; i < 50; i++ {
		all.Add(1)
		go func() {
			defer all.Done()
			for j := 0; j < 10; j++ {
				if answer, err := client.Get(url); err == nil {
					io.Copy(io.Discard, answer.Body)
					answer.Body.Close()
				}
			}
		}()
	}
	all.Wait()
}
