package diagnosis

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/wgnode/wgnode/cmd/internal/cli"
	"github.com/wgnode/wgnode/cmd/internal/naming"
	"github.com/wgnode/wgnode/node/bothends"
	"github.com/wgnode/wgnode/node/control"
	"github.com/wgnode/wgnode/node/explain"
	"github.com/wgnode/wgnode/node/remote"
	"github.com/wgnode/wgnode/probe"
	"github.com/wgnode/wgnode/probe/diagnose"
	"github.com/wgnode/wgnode/probe/merge"
)

// sshVariable names what is run in place of ssh.
const sshVariable = "WGNODE_SSH"

// withOptions say how the other host is reached.
type withOptions struct {
	host    string // user@host
	command string // in place of ssh and wgnode there
	name    string // of the interface there; "" for the only one
}

func (o *withOptions) used() bool { return o.host != "" || o.command != "" }

// wgnode is the command that runs wgnode on the other host.
func (o *withOptions) wgnode(args ...string) []string {
	if o.command != "" {
		return append([]string{"sh", "-c", o.command + ` "$@"`, "sh"}, args...)
	}
	ssh := strings.Fields(os.Getenv(sshVariable))
	if len(ssh) == 0 {
		ssh = []string{"ssh"}
	}
	return append(append(ssh, o.host, "wgnode"), args...)
}

// far is the other end of the tunnel.
func (o *withOptions) far() *bothends.Far {
	return &bothends.Far{Name: o.there(), Interface: o.name, Wgnode: o.wgnode}
}

// there is how the other host is called in errors.
func (o *withOptions) there() string {
	if o.host != "" {
		return o.host
	}
	return "the other host"
}

// login is what ssh takes for the other host, or the form of that.
func (o *withOptions) login() string { return cmp.Or(o.host, "USER@HOST") }

// BothReport is what explain says when both ends were heard. Otherwise it says a
// Report, which lacks Merge.
type BothReport struct {
	*diagnose.Report
	// Merge is what the recordings of both ends tell together: with --with only.
	Merge *merge.Result `json:"merge,omitempty"`
	// Applied is what became of the fix: with --fix only.
	Applied *applied `json:"applied,omitempty"`
}

func (o *explainOptions) explainWith(cmd *cobra.Command, name string, req explain.Request) error {
	c, err := naming.DialNode(cmd, name)
	if err != nil {
		return err
	}
	ctx, stop := cli.Interrupted(cmd.Context())
	defer stop()
	ask := func(ctx context.Context) (*BothReport, error) { return askBoth(ctx, cmd, c, name, req, &o.with) }
	both, err := ask(ctx)
	if err != nil {
		return err
	}
	return o.answer(cmd, both, ask)
}

// askBoth explains here while both ends record.
func askBoth(ctx context.Context, cmd *cobra.Command, c *control.Client, name string, req explain.Request,
	with *withOptions) (*BothReport, error) {
	done := func() {}
	report, merged, err := bothends.Explain(ctx, c, req, with.far(), func() {
		done = cli.Waiting(cmd, "probing %s for up to %v, and recording here and on %s",
			probe.FlowText(req.Target, req.UDP), req.Timeout, with.there())
	})
	if done(); err != nil {
		return nil, fmt.Errorf("explain %s on %s: %w", probe.FlowText(req.Target, req.UDP), name, withRemedy(err, with))
	}
	return &BothReport{Report: report, Merge: merged}, nil
}

// withRemedy says what to do about another host that does not record.
func withRemedy(err error, with *withOptions) error {
	switch {
	case errors.Is(err, remote.ErrConnect) && with.command != "":
		return cli.WithHint(err, "does the command work by itself? Try: "+with.command+" version")
	case errors.Is(err, remote.ErrConnect):
		return cli.WithHint(err, "can you log in? Try: ssh "+with.host+" true",
			sshVariable+"=\"ssh -p 2222\" sets options; --with-command is for other transports")
	case errors.Is(err, remote.ErrNoProgram):
		return cli.WithHint(err,
			"install wgnode on "+with.there()+", or give its path: --with-command 'ssh "+with.login()+" /usr/local/bin/wgnode'")
	case errors.Is(err, remote.ErrDenied):
		return cli.WithHint(err, "log in as root, or: --with-command 'ssh "+with.login()+" sudo wgnode'")
	case errors.Is(err, remote.ErrSeveral):
		return cli.WithHint(err, "name the interface there with --with-name")
	case errors.Is(err, remote.ErrNoTunnel) && with.name != "":
		return cli.WithHint(err, "is "+with.name+" the interface there? On "+with.there()+", wgnode lists them")
	case errors.Is(err, remote.ErrUnknown):
		return cli.WithHint(err, "is the wgnode on "+with.there()+" as new as this one?")
	}
	return err
}
