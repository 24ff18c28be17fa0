//go:build linux

// Package inherit decides what the programs that this one starts get of it:
// hooks, resolvconf, a shell that prints a key, a node in the background.
package inherit

import (
	"fmt"
	"math"
	"os"
	"strconv"

	"golang.org/x/sys/unix"
)

// firstOwn is the first descriptor that is not standard input, output or error.
const firstOwn = 3

// OnlyStandard keeps every descriptor that is open now, but for standard input,
// output and error, from the programs that are started later. Go opens its own so
// anyway. What this process has got from the one that started it is not so, and
// would stay open for as long as a node runs, such as the lock that a script
// holds; nor is what wireguard-go opens to watch its socket.
func OnlyStandard() error {
	err := unix.CloseRange(firstOwn, math.MaxUint32, unix.CLOSE_RANGE_CLOEXEC)
	if err != nil { // before Linux 5.11, or a filter of system calls does not know it
		err = eachOpen(unix.CloseOnExec)
	}
	if err != nil {
		return fmt.Errorf("keep descriptors to this process: %w", err)
	}
	return nil
}

// eachOpen calls f for each descriptor that is open.
func eachOpen(f func(fd int)) error {
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		return err
	}
	for _, e := range entries {
		if fd, err := strconv.Atoi(e.Name()); err == nil && fd >= firstOwn {
			f(fd)
		}
	}
	return nil
}
