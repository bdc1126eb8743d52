// SPDX-License-Identifier: MIT

// go_cpu N: the same computing in N goroutines.
package main

import (
	"os"
	"strconv"
	"sync"
)

const pieces, steps = 40, 40000000

func burn(n int) int {
	sum := 0
	for i := 0; i < n; i++ {
		sum = sum*31 + i ^ sum>>3
	}
	return sum
}

func main() {
	n, _ := strconv.Atoi(os.Args[1])
	var all sync.WaitGroup

	for g := 0; g < n; g++ {
		all.Add(1)
		go func() {
			defer all.Done()
			for i := 0; i < pieces/n; i++ {
				burn(steps)
			}
		}()
	}
	all.Wait()
}
