package lifecycle

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/wgnode/wgnode/cmd/internal/cli"
	"github.com/wgnode/wgnode/cmd/internal/daemon"
	"github.com/wgnode/wgnode/cmd/internal/naming"
	"github.com/wgnode/wgnode/probe"
)

// Exit statuses of exec when the command has none, as env(1) and timeout(1) have
// them.
const (
	statusNotStarted    = 125
	statusNotExecutable = 126
	statusNotFound      = 127
)

func NewExecCommand() *cobra.Command {
	var f execFlags
	cmd := &cobra.Command{
		Use:   "exec [flags] CONF|NAME [--] COMMAND [ARG]...",
		Short: "Run a command whose only network is a tunnel, without privileges",
		Long: `Exec runs COMMAND in a network of its own that holds nothing but the tunnel of
CONF: its addresses, the routes of its AllowedIPs, its name servers. Whatever the
command does, no packet and no DNS query leaves outside of the tunnel, not even those of a
static program or of one that ignores proxies. It cannot reach what is not in
AllowedIPs. The host's network does not change. No privileges are needed, only
/dev/net/tun and a kernel that lets users create namespaces.

The command has this terminal, folder and user. When it ends, so does the tunnel;
processes that it left in the background lose their network. If wgnode is killed,
so is the command. Signals to wgnode are forwarded to it. Explain, doctor and
watch work meanwhile, and wgnode down NAME ends the command with SIGTERM.

Hooks, Table, kill_switch and other settings for a host's own interface are
ignored; exec names each. Programs that already run outside are not confined: a
browser or desktop service that the command only calls uses its own network. So
exec does not confine a command of root: it cannot enter the host's network, but it
can have other programs of root use that. As root, exec protects from mistakes only.

Exit status: that of the command; if a signal ended it, wgnode ends by the same
signal. 125 if the tunnel failed, 126 if COMMAND cannot be run, 127 if it does
not exist.`,
		Example: "  wgnode exec wg0 curl https://example.com\n  wgnode exec ./wg0.conf -- bash\n" +
			"  wgnode exec --quiet ./wg0.conf -- dig example.com",
		Args: execArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := enterInside(); err != nil {
				return cli.ExitStatus(statusNotStarted) // it is told outside
			}
			if f.recorder < 1 || f.recorder > maxRecorder {
				return cli.NewUsageError(cmd, fmt.Errorf("--recorder %d: want 1 to %d MiB", f.recorder, maxRecorder))
			}
			conf, command := splitExec(args)
			return runExec(cmd, conf, command, &f)
		},
		ValidArgsFunction: completeExec,
	}
	// What follows CONF is the command's.
	cmd.Flags().SetInterspersed(false)
	cmd.Flags().BoolVarP(&f.quiet, "quiet", "q", false, "do not name the settings of CONF that are ignored, do not warn")
	cmd.Flags().UintVar(&f.recorder, "recorder", probe.DefaultRecorderBytes>>20,
		"memory of the flight recorder in `MIB`: 1 holds some 8,000 events")
	f.log.Add(cmd)
	return cmd
}

type execFlags struct {
	quiet    bool
	recorder uint // MiB
	log      daemon.LogFlags
}

// splitExec takes the "--" out that may stand between CONF and the command.
func splitExec(args []string) (conf string, command []string) {
	conf, command = args[0], args[1:]
	if len(command) > 0 && command[0] == "--" {
		command = command[1:]
	}
	return conf, command
}

func execArgs(cmd *cobra.Command, args []string) error {
	if len(args) > 1 && args[1] != "--" && strings.HasPrefix(args[1], "-") {
		return fmt.Errorf("%s stands where the command should: flags of wgnode come before %s", args[1], args[0])
	}
	if len(args) > 1 && args[1] == "--" {
		args = append(args[:1:1], args[2:]...)
	}
	return cli.ArgsOfUse(cmd, args)
}

// completeExec completes CONF, the command, and files for its arguments.
func completeExec(cmd *cobra.Command, args []string, toComplete string) ([]string, cobra.ShellCompDirective) {
	if len(args) == 0 {
		return naming.CompleteConfigs(cmd, args, toComplete)
	}
	_, command := splitExec(args)
	if len(command) > 0 || strings.Contains(toComplete, "/") {
		return nil, cobra.ShellCompDirectiveDefault
	}
	return programs(toComplete), cobra.ShellCompDirectiveNoFileComp
}

// programs returns the programs of $PATH that begin so.
func programs(prefix string) []string {
	var names []string
	for _, dir := range filepath.SplitList(os.Getenv("PATH")) {
		entries, _ := os.ReadDir(dir) // as far as it can be read
		for _, e := range entries {
			if strings.HasPrefix(e.Name(), prefix) {
				names = append(names, e.Name())
			}
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}
