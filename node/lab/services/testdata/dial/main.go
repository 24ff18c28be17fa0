// Command dial connects to the TCP address in its argument: a program that asks
// no proxy and no C library. Why it could not is its exit status, 0 for none.
//
// With a number as second argument it has so many connections at a time, to an echo
// that answers once the other half has ended, and wants back what it sends.
package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strconv"
	"sync"
	"syscall"
)

func main() {
	many := 0
	if len(os.Args) > 2 {
		many, _ = strconv.Atoi(os.Args[2]) // 0 is none
	}
	err := dial(os.Args[1], many)
	fmt.Println(err)
	var errno syscall.Errno
	if errors.As(err, &errno) {
		os.Exit(int(errno))
	}
	if err != nil {
		os.Exit(1)
	}
}

func dial(to string, many int) error {
	conns := make([]net.Conn, max(many, 1))
	for i := range conns {
		var err error
		if conns[i], err = net.Dial("tcp", to); err != nil {
			return err
		}
	}
	errs := make([]error, many)
	var wg sync.WaitGroup
	for i := range errs {
		wg.Go(func() { errs[i] = echo(conns[i], i) })
	}
	wg.Wait()
	return errors.Join(errs...)
}

func echo(c net.Conn, i int) error {
	want := bytes.Repeat([]byte(strconv.Itoa(i)+" "), 500)
	_, err := c.Write(want)
	if err == nil {
		err = c.(*net.TCPConn).CloseWrite()
	}
	got, rerr := io.ReadAll(c)
	if err == nil && rerr == nil && !bytes.Equal(got, want) {
		err = fmt.Errorf("connection %d: %d bytes came back, want %d", i, len(got), len(want))
	}
	return errors.Join(err, rerr)
}
