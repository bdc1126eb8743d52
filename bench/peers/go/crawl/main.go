// SPDX-License-Identifier: MIT

// Go's side of the crawl bench: net/http and goquery, what Colly stands on.
//
// usage: crawl START_URL CONCURRENCY
//
// Follows every link of the start URL's host, fragments dropped; takes the h1 and the price of
// each page.  Prints "pages N count", "failed N count" and "priced N count".
package main

import (
	"fmt"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/PuerkitoBio/goquery"
)

type page struct{ url, title, price string }

type crawl struct {
	client                *http.Client
	slots                 chan struct{}
	wg                    sync.WaitGroup
	mu                    sync.Mutex
	seen                  map[string]bool
	results               []page
	pages, failed, priced int64
}

func (c *crawl) visit(u *url.URL) {
	u.Fragment = ""
	key := u.String()
	c.mu.Lock()
	known := c.seen[key]
	c.seen[key] = true
	c.mu.Unlock()
	if known {
		return
	}
	c.wg.Add(1)
	go func() {
		defer c.wg.Done()
		c.slots <- struct{}{}
		defer func() { <-c.slots }()
		if err := c.page(u); err != nil {
			atomic.AddInt64(&c.failed, 1)
		}
	}()
}

func (c *crawl) page(u *url.URL) error {
	r, err := c.client.Get(u.String())
	if err != nil {
		return err
	}
	defer r.Body.Close()
	if r.StatusCode != 200 {
		return fmt.Errorf("status %d", r.StatusCode)
	}
	doc, err := goquery.NewDocumentFromReader(r.Body)
	if err != nil {
		return err
	}
	p := page{url: u.String(), title: doc.Find("h1").First().Text()}
	p.price, _ = doc.Find("[itemprop=price]").First().Attr("content")
	atomic.AddInt64(&c.pages, 1)
	if p.price != "" {
		atomic.AddInt64(&c.priced, 1)
	}
	c.mu.Lock()
	c.results = append(c.results, p)
	c.mu.Unlock()
	doc.Find("a[href]").Each(func(_ int, a *goquery.Selection) {
		href, _ := a.Attr("href")
		if link, err := u.Parse(href); err == nil && link.Host == u.Host && link.Scheme == u.Scheme {
			c.visit(link)
		}
	})
	return nil
}

func main() {
	start, err := url.Parse(os.Args[1])
	if err != nil {
		panic(err)
	}
	conc, _ := strconv.Atoi(os.Args[2])
	c := &crawl{seen: map[string]bool{}, slots: make(chan struct{}, conc),
		client: &http.Client{Timeout: 15 * time.Second, Transport: &http.Transport{
			MaxIdleConns: conc, MaxIdleConnsPerHost: conc, MaxConnsPerHost: conc}}}
	c.visit(start)
	c.wg.Wait()
	fmt.Printf("pages %d count\nfailed %d count\npriced %d count\n", c.pages, c.failed, c.priced)
}
