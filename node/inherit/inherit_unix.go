//go:build unix && !linux

package inherit

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// OnlyStandard keeps every descriptor that is open now, but for standard input,
// output and error, from the programs that are started later.
func OnlyStandard() error {
	if err := eachOpen(unix.CloseOnExec); err != nil {
		return fmt.Errorf("keep descriptors to this process: %w", err)
	}
	return nil
}

// listing is the folder that has a name for each descriptor.
const listing = "/dev/fd"
