//go:build unix

package lifecycle

import "golang.org/x/sys/unix"

// takeOver makes a descriptor that this process was given one of its own.
func takeOver(fd int) error {
	if err := unix.SetNonblock(fd, true); err != nil {
		return err
	}
	unix.CloseOnExec(fd)
	return nil
}
