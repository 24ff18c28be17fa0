// Command dial connects to the TCP address in its argument: a program that asks
// no proxy and no C library. Why it could not is its exit status, 0 for none.
package main

import (
	"errors"
	"fmt"
	"net"
	"os"
	"syscall"
)

func main() {
	_, err := net.Dial("tcp", os.Args[1])
	fmt.Println(err)
	var errno syscall.Errno
	if errors.As(err, &errno) {
		os.Exit(int(errno))
	}
	if err != nil {
		os.Exit(1)
	}
}
