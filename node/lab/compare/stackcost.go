//go:build linux

package compare

import (
	"fmt"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// StackCost is what a stack costs beside bulk data.
type StackCost struct {
	Entry       string
	Connections float64 // opened, used for one byte each way, and closed a second; 16 at a time
	Idle        float64 // bytes of memory for each of 2000 connections that do nothing
	Start       float64 // bytes of memory at the start
	Download    float64 // bytes of memory after the stack has received 1 GB
}

// String is the line of a table.
func (c StackCost) String() string {
	return fmt.Sprintf("%-10s %6.0f connections/s, %5.1f KiB an idle connection, %5.1f MiB at the start, %5.1f MiB after 1 GB",
		c.Entry, c.Connections, c.Idle/1024, c.Start/(1<<20), c.Download/(1<<20))
}

// StackCosts measures each entry, as [RunStacks] runs it.
func StackCosts(t testing.TB, entries []Entry) []StackCost {
	t.Helper()
	var costs []StackCost
	for _, e := range entries {
		costs = append(costs, stackCost(t, e))
	}
	return costs
}

func stackCost(t testing.TB, e Entry) StackCost {
	t.Helper()
	c := StackCost{Entry: e.Name}
	s := startStack(t, e)
	c.Start = s.resident(t)
	c.Idle = s.idle(t, 2000)
	s.lab.Close()

	s = startStack(t, e)
	c.Connections = s.rate(t, 4*time.Second)
	s.lab.Close()

	s = startStack(t, e)
	defer s.lab.Close()
	conn, err := s.dial("1")
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := io.CopyN(struct{ io.Writer }{conn}, forever{}, 1e9); err != nil {
		t.Fatal(err)
	}
	c.Download = s.resident(t)
	return c
}

// idle returns the memory that one of n connections takes.
func (s *stackEnd) idle(t testing.TB, n int) float64 {
	t.Helper()
	before := s.resident(t)
	var open []net.Conn
	defer func() {
		for _, c := range open {
			_ = c.Close() // nobody is waiting
		}
	}()
	for range n {
		c, err := s.dial("3")
		if err != nil {
			t.Fatal(err)
		}
		open = append(open, c)
		one(t, c)
	}
	return (s.resident(t) - before) / float64(n)
}

// one sends a byte and wants it back.
func one(t testing.TB, c net.Conn) {
	b := []byte{1}
	if _, err := c.Write(b); err != nil {
		t.Error(err)
	}
	if _, err := io.ReadFull(c, b); err != nil {
		t.Error(err)
	}
}

// rate returns how many connections come and go in a second.
func (s *stackEnd) rate(t testing.TB, d time.Duration) float64 {
	t.Helper()
	var wg sync.WaitGroup
	var done atomic.Int64
	start := time.Now()
	for range 16 {
		wg.Go(func() {
			for time.Since(start) < d {
				c, err := s.dial("3")
				if err != nil {
					t.Error(err)
					return
				}
				one(t, c)
				_ = c.Close() // it has had its answer
				done.Add(1)
			}
		})
	}
	wg.Wait()
	return float64(done.Load()) / time.Since(start).Seconds()
}
