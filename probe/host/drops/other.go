//go:build !linux

package drops

import (
	"fmt"

	"github.com/wgnode/wgnode/probe/host"
)

// Available says what keeps this process from watching: here it is the system.
func Available() error {
	return fmt.Errorf("%w: %w", ErrKernel, host.NeedsLinux("the tracepoint of dropped packets"))
}

// Reasons are the names of the reasons that this kernel may give.
func Reasons() ([]string, error) { return nil, Available() }
