package lifecycle

import (
	"context"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/wgnode/wgnode/cmd/internal/cli"
	"github.com/wgnode/wgnode/cmd/internal/daemon"
	"github.com/wgnode/wgnode/cmd/internal/naming"
	"github.com/wgnode/wgnode/node"
	"github.com/wgnode/wgnode/node/config"
	"github.com/wgnode/wgnode/node/control"
	"github.com/wgnode/wgnode/node/running"
	"github.com/wgnode/wgnode/probe/schema"
)

// statusWouldChange is what `apply --check` ends with if something would change: neither
// well nor wrong.
const statusWouldChange = cli.ExitStatus(3)

// ApplyResult is what `wgnode apply --json` prints.
type ApplyResult struct {
	Schema    schema.Version `json:"schema"`
	Interface string         `json:"interface"`
	File      string         `json:"file"`
	Changed   bool           `json:"changed"` // whether anything has changed; with --check, whether anything would
	Action    string         `json:"action"`  // up, reload, or none
	Lines     []string       `json:"lines"`   // what that does, as up and reload print it
}

// applyOptions are the flags of apply.
type applyOptions struct{ check, quiet, json, netstack bool }

func NewApplyCommand() *cobra.Command {
	var o applyOptions
	cmd := &cobra.Command{
		Use:   "apply CONF|NAME",
		Short: "Make a tunnel match its file, for scripts",
		Long: `Apply is for scripts and configuration management: whatever the state before, the
tunnel is up afterwards and matches its file. It prints "changed" or "unchanged" and
exits with 0 in both cases, with 1 if it failed. Each step goes to standard error.

With --check it changes nothing. It prints the same, and exits with 3 if something
would change.`,
		Example: "  wgnode apply wg0\n  wgnode apply ./wg0.toml --check --quiet || echo differs",
		RunE: func(cmd *cobra.Command, args []string) error {
			path, err := naming.FindConfig(args)
			if err != nil {
				return err
			}
			if o.netstack = o.netstack || describesStack([]string{path}); !o.netstack {
				if err := cli.BecomeRoot(cmd); err != nil {
					return err
				}
			}
			ctx, stop := cli.Interrupted(cmd.Context())
			defer stop()
			result, err := o.apply(ctx, cmd, path)
			if err != nil {
				return err
			}
			err = cli.PrintReport(cmd, result, o.json, func() error {
				word := "unchanged"
				if result.Changed {
					word = "changed"
				}
				_, err := fmt.Fprintln(cmd.OutOrStdout(), word)
				return err
			})
			if err == nil && o.check && result.Changed {
				return statusWouldChange
			}
			return err
		},
		ValidArgsFunction: naming.CompleteConfigs,
	}
	cmd.Flags().BoolVar(&o.check, "check", false, "change nothing; exit with 3 if something would change")
	cmd.Flags().BoolVar(&o.netstack, "netstack", false, "where it is to come up: in a userspace network stack, as with wgnode up")
	cmd.Flags().BoolVarP(&o.quiet, "quiet", "q", false, "do not print what is done, only what is wrong")
	cmd.Flags().BoolVar(&o.json, "json", false, "print one JSON object")
	return cmd
}

func (o *applyOptions) apply(ctx context.Context, cmd *cobra.Command, path string) (*ApplyResult, error) {
	name, err := naming.InterfaceOf(path)
	if err != nil {
		return nil, err
	}
	r := &ApplyResult{Interface: name, File: path, Lines: []string{}}
	var lines strings.Builder
	out := io.Writer(&lines)
	if !o.json {
		out = io.MultiWriter(&lines, o.lines(cmd.ErrOrStderr()))
	}
	k, _ := running.Find(name) // what cannot be seen is not in the way of up, or up says so
	if k != nil && k.State == running.StateRunning {
		r.Action = "reload"
		r.Changed, err = reloadNode(ctx, cmd, name, control.ReloadRequest{Config: path, Check: o.check}, out)
	} else {
		r.Action, r.Changed = "up", true
		err = o.up(ctx, cmd, path, out)
	}
	if err != nil {
		return nil, err
	}
	if !r.Changed {
		r.Action = "none"
	}
	for line := range strings.Lines(lines.String()) {
		r.Lines = append(r.Lines, strings.TrimSuffix(line, "\n"))
	}
	return r, nil
}

// lines is w, or what passes only what is wrong on to it.
func (o *applyOptions) lines(w io.Writer) io.Writer {
	if o.quiet {
		return &cli.QuietLines{To: w}
	}
	return w
}

// up brings the tunnel up, or says what that would do.
func (o *applyOptions) up(ctx context.Context, cmd *cobra.Command, path string, out io.Writer) error {
	if o.check {
		cfg, err := config.Read(path)
		if err == nil {
			_, err = cfg.ResolveFiles()
		}
		if err != nil || o.netstack {
			return cli.WithHint(err, naming.KeyHints(err)...)
		}
		steps, err := node.Plan(ctx, cfg, node.Options{Out: out})
		if err != nil {
			return explainRefusal(err, false)
		}
		for _, s := range steps {
			if _, err := fmt.Fprintln(out, s.Line(false)); err != nil {
				return err
			}
		}
		return nil
	}
	f := newUpFlags()
	f.quiet = o.quiet || o.json
	f.netstack = o.netstack
	child, err := f.childArgs(path)
	if err != nil {
		return err
	}
	return daemon.Background(ctx, daemon.Launch{Args: child})
}

// reloadNode has a node take over a file, or say what that would change.
func reloadNode(ctx context.Context, cmd *cobra.Command, name string, req control.ReloadRequest, out io.Writer) (changed bool, err error) {
	c, err := naming.DialNode(cmd, name)
	if err != nil {
		return false, err
	}
	out, done := cli.UntilOutput(cmd, out, "waiting for %s to apply its file", name)
	defer done()
	return c.ReloadWith(ctx, req, out)
}

// isUpAsIn reports whether a node runs that a file would not change. One that it would
// change is an error.
func isUpAsIn(ctx context.Context, cmd *cobra.Command, name, path string, quiet bool) (bool, error) {
	if k, _ := running.Find(name); k == nil || k.State != running.StateRunning {
		return false, nil // up says what else is there
	}
	changes, err := reloadNode(ctx, cmd, name, control.ReloadRequest{Config: path, Check: true}, io.Discard)
	switch {
	case err != nil:
		return false, err
	case changes:
		return false, cli.WithHint(fmt.Errorf("%s is up, and not as %s says", name, path),
			"what differs: wgnode reload --dry-run "+config.ShellQuote(path), "to apply it: wgnode reload "+config.ShellQuote(path))
	case quiet:
		return true, nil
	}
	return true, cli.Warn(cmd, "%s is up, and as %s says: nothing was done", name, path)
}
