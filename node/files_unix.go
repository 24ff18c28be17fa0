//go:build unix

package node

import (
	"fmt"

	"golang.org/x/sys/unix"
)

func checkFiles() error {
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		return fmt.Errorf("find the limit of open files: %w", err)
	}
	if uint64(limit.Cur) < minFiles {
		return fmt.Errorf("%w: %d, and a node needs %d", ErrFewFiles, limit.Cur, minFiles)
	}
	return nil
}
