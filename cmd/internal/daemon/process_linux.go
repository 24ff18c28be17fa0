package daemon

import (
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// keepSecrets keeps the keys in this process's memory out of core files, also of
// what runs in its name, and from other processes of the same user.
func keepSecrets() error {
	if err := unix.Setrlimit(unix.RLIMIT_CORE, &unix.Rlimit{}); err != nil {
		return fmt.Errorf("forbid core files: %w", err)
	}
	return HideMemory()
}

// HideMemory keeps this process out of core files, and its memory from other
// processes of the same user (core(5), PR_SET_DUMPABLE(2const)). Commands that
// only print or set keys hold them, too.
func HideMemory() error {
	if err := unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0); err != nil {
		return fmt.Errorf("forbid memory dumps: %w", err)
	}
	return nil
}

// standFor makes a descriptor stand for a file.
func standFor(f *os.File, fd int) error { return unix.Dup3(int(f.Fd()), fd, 0) }
