// SPDX-License-Identifier: MIT

// Go's side of the yield, spawn and pingpong benches; many.go has the others.
//
// usage: fibers yield|spawn|spawn_batch|pingpong|skynet|skynet_chan|parked|timers|skew|echo
//
// Prints "metric value unit".  The harness sets GOMAXPROCS to the number of cores it pins.
package main

import (
	"fmt"
	"os"
	"runtime"
	"sync"
	"time"
)

func report(metric string, start time.Time, n int, unit string) {
	fmt.Printf("%s %.3f %s\n", metric, float64(time.Since(start).Nanoseconds())/float64(n), unit)
}

// Two goroutines that do nothing but yield to each other.
func yield() {
	const n = 5_000_000
	var wg sync.WaitGroup
	wg.Add(2)
	start := time.Now()
	for i := 0; i < 2; i++ {
		go func() {
			for j := 0; j < n; j++ {
				runtime.Gosched()
			}
			wg.Done()
		}()
	}
	wg.Wait()
	report("yield", start, 2*n, "ns/switch")
}

// One goroutine after the other, each awaited before the next: spawn and join.
func spawn() {
	const n = 3_000_000
	var wg sync.WaitGroup
	start := time.Now()
	for i := 0; i < n; i++ {
		wg.Add(1)
		go wg.Done()
		wg.Wait()
	}
	report("spawn", start, n, "ns/task")
}

// The same, joined by a channel, the other idiom; the harness keeps the faster of the two.
func spawnChan() {
	const n = 3_000_000
	ch := make(chan struct{})
	f := func() { ch <- struct{}{} }
	start := time.Now()
	for i := 0; i < n; i++ {
		go f()
		<-ch
	}
	report("spawn", start, n, "ns/task")
}

// A thousand at a time, joined together.
func spawnBatch() {
	const n, batch = 3_000_000, 1000
	var wg sync.WaitGroup
	start := time.Now()
	for i := 0; i < n; i += batch {
		wg.Add(batch)
		for j := 0; j < batch; j++ {
			go wg.Done()
		}
		wg.Wait()
	}
	report("spawn_batch", start, n, "ns/task")
}

// One value there and back over two unbuffered channels; a round trip is two messages.
func pingpong() {
	const n = 3_000_000
	there, back := make(chan int), make(chan int)
	go func() {
		for v := range there {
			back <- v
		}
	}()
	start := time.Now()
	for i := 0; i < n; i++ {
		there <- i
		<-back
	}
	report("pingpong", start, 2*n, "ns/message")
	close(there)
}

func main() {
	modes := map[string]func(){"yield": yield, "spawn": spawn, "spawn_chan": spawnChan,
		"spawn_batch": spawnBatch, "pingpong": pingpong, "skynet": skynetGroup,
		"skynet_chan": skynetChan, "parked": parked, "timers": timers, "skew": skew, "echo": echo}
	for _, name := range os.Args[1:] {
		run, ok := modes[name]
		if !ok {
			fmt.Fprintln(os.Stderr, "fibers: no mode", name)
			os.Exit(2)
		}
		run()
	}
}
