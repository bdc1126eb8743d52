// SPDX-License-Identifier: MIT

// go_hold: N goroutines with a connection each, and one late page after the other: N MS PAGES
package main

import (
	"fmt"
	"net"
	"os"
	"strconv"
	"sync"
)

func main() {
	n, _ := strconv.Atoi(os.Args[1])
	pages, _ := strconv.Atoi(os.Args[3])
	request := []byte(fmt.Sprintf("GET /?ms=%s HTTP/1.1\r\nHost: x\r\n\r\n", os.Args[2]))
	var all sync.WaitGroup

	for i := 0; i < n; i++ {
		c, err := net.Dial("tcp", "127.0.0.1:"+os.Getenv("LATE_PORT"))
		if err != nil {
			panic(err)
		}
		all.Add(1)
		go func() {
			defer all.Done()
			answer := make([]byte, 4096)
			for j := 0; j < pages; j++ {
				c.Write(request)
				for {
					got, err := c.Read(answer)
					if err != nil {
						panic(err)
					}
					if answer[got-1] == 'x' {
						break
					}
				}
			}
			c.Close()
		}()
	}
	all.Wait()
}
