//go:build unix

package daemon

import (
	"golang.org/x/sys/unix"
)

// canDetach reports why no process can stay in the background.
func canDetach() error { return nil }

func closeOnExec(fd int) { unix.CloseOnExec(fd) }

// beginSession takes this process out of that of its terminal.
func beginSession() error {
	_, err := unix.Setsid()
	return err
}
