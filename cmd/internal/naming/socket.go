package naming

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/wgnode/wgnode/cmd/internal/cli"
	"github.com/wgnode/wgnode/node/sender"
)

// NewSocketCommand returns the command that a node starts to make a socket as another process
// would.
func NewSocketCommand() *cobra.Command {
	return &cobra.Command{
		Use:    "pass-socket FAMILY TYPE PROTOCOL",
		Short:  "Make a socket for a probe, and pass it on",
		Hidden: true,
		RunE:   func(_ *cobra.Command, args []string) error { return sender.Pass(args) },
	}
}

// PassSocket is this program as it makes a socket.
func PassSocket() *exec.Cmd {
	cmd := exec.Command("/proc/self/exe", "pass-socket")
	cmd.Args[0] = "wgnode"
	return cmd
}

// ProcessOf is the process that --as names: by its number, or as the main process of a unit.
func ProcessOf(ctx context.Context, s string) (int, error) {
	if pid, err := strconv.Atoi(s); err == nil {
		if pid <= 0 {
			return 0, fmt.Errorf("--as %s: want the number of a process, above zero, or the name of a systemd unit", s)
		}
		return pid, nil
	}
	out, err := exec.CommandContext(ctx, "systemctl", "show", "--property=MainPID", "--value", "--", s).Output()
	if err != nil {
		var exit *exec.ExitError
		if errors.As(err, &exit) {
			err = fmt.Errorf("%w: %s", err, strings.TrimSpace(string(exit.Stderr)))
		}
		return 0, cli.WithHint(fmt.Errorf("--as %s: ask systemd for the unit's main process: %w", s, err), "--as PID does without systemd")
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(out)))
	if err != nil || pid <= 0 {
		return 0, fmt.Errorf("--as %s: the unit has no main process; is it running?", s)
	}
	return pid, nil
}
