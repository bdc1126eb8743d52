// SPDX-License-Identifier: MIT

// Go's side of the skynet, parked, timers, skew and echo benches.
package main

import (
	"fmt"
	"net"
	"os"
	"sort"
	"sync"
	"sync/atomic"
	"time"
)

func resident() int64 {
	text, _ := os.ReadFile("/proc/self/statm")
	var size, pages int64
	fmt.Sscan(string(text), &size, &pages)
	return pages * int64(os.Getpagesize())
}

// A node of the tree, its result sent to its parent.
func nodeChan(up chan int, first, n int) {
	if n == 1 {
		up <- first
		return
	}
	c := make(chan int)
	for i := 0; i < 10; i++ {
		go nodeChan(c, first+i*(n/10), n/10)
	}
	sum := 0
	for i := 0; i < 10; i++ {
		sum += <-c
	}
	up <- sum
}

// A node of the tree, its result written into its parent's frame.
func nodeGroup(up *int, done *sync.WaitGroup, first, n int) {
	defer done.Done()
	if n == 1 {
		*up = first
		return
	}
	var sums [10]int
	var wg sync.WaitGroup
	wg.Add(10)
	for i := 0; i < 10; i++ {
		go nodeGroup(&sums[i], &wg, first+i*(n/10), n/10)
	}
	wg.Wait()
	*up = 0
	for _, s := range sums {
		*up += s
	}
}

const leaves = 1_000_000

// The best of three passes: the first one grows the heap.
func skynet(once func() int) {
	best := time.Duration(1 << 62)
	for i := 0; i < 3; i++ {
		start := time.Now()
		if sum := once(); sum != leaves*(leaves-1)/2 {
			panic(sum)
		}
		if d := time.Since(start); d < best {
			best = d
		}
	}
	fmt.Printf("skynet %.2f ms\n", float64(best.Nanoseconds())/1e6)
}

func skynetChan() {
	skynet(func() int {
		c := make(chan int)
		go nodeChan(c, 0, leaves)
		return <-c
	})
}

func skynetGroup() {
	skynet(func() int {
		var sum int
		var wg sync.WaitGroup
		wg.Add(1)
		go nodeGroup(&sum, &wg, 0, leaves)
		wg.Wait()
		return sum
	})
}

// A million goroutines in a wait of an hour that can be cancelled.
func parked() {
	const n = 1_000_000
	before := resident()
	stop := make(chan struct{})
	var ended, begun sync.WaitGroup
	ended.Add(n)
	begun.Add(n)
	start := time.Now()
	for i := 0; i < n; i++ {
		go func() {
			t := time.NewTimer(time.Hour)
			begun.Done()
			select {
			case <-t.C:
			case <-stop:
			}
			t.Stop()
			ended.Done()
		}()
	}
	begun.Wait()
	report("parked_create", start, n, "ns/task")
	fmt.Printf("parked_rss %.1f B/task\n", float64(resident()-before)/n)
	start = time.Now()
	close(stop)
	ended.Wait()
	report("parked_end", start, n, "ns/task")
}

// A million timers set for one second to a minute away, then stopped.
func timers() {
	const n = 1_000_000
	f := func() {}
	x := uint64(88172645463325252)
	start := time.Now()
	all := make([]*time.Timer, n)
	for i := range all {
		x ^= x << 13
		x ^= x >> 7
		x ^= x << 17
		all[i] = time.AfterFunc(time.Second+time.Duration(x%uint64(time.Minute)), f)
	}
	set := time.Now()
	for _, t := range all {
		t.Stop()
	}
	report("timers_cancel", set, n, "ns/timer")
	report("timers", start, n, "ns/timer")
}

const (
	skewTask    = 20 * time.Microsecond
	skewPeriod  = 2 * time.Millisecond
	skewPeriods = 500
	skewFew     = 20
)

// Each period n goroutines that compute; late[i] is from the period's begin to an end.
func skewSource(start time.Time, n int, late []time.Duration, begun *int32, done *sync.WaitGroup) {
	var wg sync.WaitGroup
	atomic.AddInt32(begun, 1)
	for atomic.LoadInt32(begun) < 2 {
	}
	wg.Add(n * skewPeriods)
	for p := 0; p < skewPeriods; p++ {
		born := start.Add(time.Duration(p) * skewPeriod)
		time.Sleep(time.Until(born))
		for i := 0; i < n; i++ {
			to := &late[p*n+i]
			go func() {
				for begin := time.Now(); time.Since(begin) < skewTask; {
				}
				*to = time.Since(born)
				wg.Done()
			}()
		}
	}
	wg.Wait()
	done.Done()
}

func skew() {
	const many = 4 * skewFew
	late := make([]time.Duration, skewPeriods*(many+skewFew))
	start := time.Now().Add(20 * time.Millisecond)
	var begun int32
	var wg sync.WaitGroup
	wg.Add(2)
	go skewSource(start, many, late[:skewPeriods*many], &begun, &wg)
	go skewSource(start, skewFew, late[skewPeriods*many:], &begun, &wg)
	wg.Wait()
	sort.Slice(late, func(i, j int) bool { return late[i] < late[j] })
	fmt.Printf("skew_p50 %.1f us\n", float64(late[len(late)/2].Nanoseconds())/1e3)
	fmt.Printf("skew %.1f us\n", float64(late[len(late)/100*99].Nanoseconds())/1e3)
}

func echoConn(c net.Conn) {
	defer c.Close()
	var buf [4096]byte
	for {
		n, err := c.Read(buf[:])
		if err != nil {
			return
		}
		if _, err = c.Write(buf[:n]); err != nil {
			return
		}
	}
}

// A server for echo_load: a goroutine a connection.
func echo() {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	fmt.Println("port", l.Addr().(*net.TCPAddr).Port)
	for {
		c, err := l.Accept()
		if err != nil {
			panic(err)
		}
		go echoConn(c)
	}
}
