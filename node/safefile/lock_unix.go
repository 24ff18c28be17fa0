//go:build unix

package safefile

import (
	"os"

	"golang.org/x/sys/unix"
)

// Lock waits until no other process has the lock of a file or folder, and takes it: until f is
// closed.
func Lock(f *os.File) error {
	for {
		if err := unix.Flock(int(f.Fd()), unix.LOCK_EX); err != unix.EINTR {
			return err
		}
	}
}
