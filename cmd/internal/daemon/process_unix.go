//go:build unix && !linux

package daemon

import (
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// keepSecrets keeps the keys in this process's memory out of core files, also of
// what runs in its name.
func keepSecrets() error { return HideMemory() }

// HideMemory keeps this process out of core files. Commands that only print or set keys hold
// them, too.
func HideMemory() error {
	if err := unix.Setrlimit(unix.RLIMIT_CORE, &unix.Rlimit{}); err != nil {
		return fmt.Errorf("forbid core files: %w", err)
	}
	return nil
}

// standFor makes a descriptor stand for a file.
func standFor(f *os.File, fd int) error { return unix.Dup2(int(f.Fd()), fd) }
