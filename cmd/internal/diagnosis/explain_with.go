package diagnosis

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/wgnode/wgnode/cmd/internal/cli"
	"github.com/wgnode/wgnode/cmd/internal/naming"
	"github.com/wgnode/wgnode/node/control"
	"github.com/wgnode/wgnode/node/explain"
	"github.com/wgnode/wgnode/node/remote"
	"github.com/wgnode/wgnode/probe"
	"github.com/wgnode/wgnode/probe/diagnose"
	"github.com/wgnode/wgnode/probe/merge"
	"github.com/wgnode/wgnode/probe/recording"
)

const (
	// remoteReady is how long the other host may take to begin: ssh may ask for a
	// passphrase.
	remoteReady = time.Minute
	// settleTime is how long both record on after the verdict of this side: what was
	// sent last must have had time to arrive, or to be missed.
	settleTime = 1300 * time.Millisecond
	// sshVariable names what is run in place of ssh.
	sshVariable = "WGNODE_SSH"
)

// withOptions say how the other host is reached.
type withOptions struct {
	host    string // user@host
	command string // in place of ssh and wgnode there
	name    string // of the interface there; "" for the only one
}

func (o *withOptions) used() bool { return o.host != "" || o.command != "" }

// args is the command that records on the other host.
func (o *withOptions) args(limit time.Duration) []string {
	record := []string{"record"}
	if o.name != "" {
		record = append(record, o.name)
	}
	record = append(record, "-w", "-", "--until-eof", "--since", recordedBefore.String(), "--for", limit.String())
	return o.wgnode(record...)
}

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

// askBoth explains here while both ends record, and combines what they saw.
func askBoth(ctx context.Context, cmd *cobra.Command, c *control.Client, name string, req explain.Request,
	with *withOptions) (*BothReport, error) {
	dir, err := os.MkdirTemp("", "wgnode-explain-")
	if err != nil {
		return nil, fmt.Errorf("make a place for recordings: %w", err)
	}
	defer os.RemoveAll(dir)
	heard, err := explainBoth(ctx, cmd, c, req, with, dir)
	if err != nil {
		return nil, fmt.Errorf("explain %s on %s: %w", probe.FlowText(req.Target, req.UDP), name, err)
	}
	both, err := combine(ctx, heard, &req)
	if err != nil {
		return nil, fmt.Errorf("explain %s on %s with %s: %w", probe.FlowText(req.Target, req.UDP), name, with.there(), err)
	}
	return both, nil
}

// heardBoth is what was explained here while both ends recorded.
type heardBoth struct {
	report *diagnose.Report
	files  []string  // the recordings, this host's first
	began  time.Time // when the probe was about to be sent
}

// explainBoth explains here while both ends record, into files in dir.
func explainBoth(ctx context.Context, cmd *cobra.Command, c *control.Client, req explain.Request, with *withOptions,
	dir string) (*heardBoth, error) {
	here, there := filepath.Join(dir, "here.pcapng"), filepath.Join(dir, "there.pcapng")
	file, err := os.OpenFile(there, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	args := with.args(remoteReady + 2*req.Timeout + time.Minute)
	far, err := remote.Start(ctx, args, file)
	if err != nil {
		return nil, withRemedy(err, with)
	}
	finished := false
	defer func() {
		if !finished {
			far.Abort()
		}
	}()
	ready, cancel := context.WithTimeout(ctx, remoteReady)
	defer cancel()
	if err := far.Ready(ready); err != nil {
		return nil, withRemedy(fmt.Errorf("record on %s: %w", with.there(), err), with)
	}
	near, err := recordHere(ctx, c, here)
	if err != nil {
		return nil, err
	}
	done := cli.Waiting(cmd, "probing %s for up to %v, and recording here and on %s",
		probe.FlowText(req.Target, req.UDP), req.Timeout, with.there())
	defer done()
	began := time.Now()
	report, err := c.Explain(ctx, req)
	if err == nil {
		select {
		case <-time.After(settleTime):
		case <-ctx.Done():
			err = ctx.Err()
		}
	}
	err = errors.Join(err, near())
	if err != nil {
		return nil, err
	}
	finished = true
	if err := far.Finish(); err != nil {
		return nil, withRemedy(fmt.Errorf("record on %s: %w", with.there(), err), with)
	}
	return &heardBoth{report, []string{here, there}, began}, nil
}

// begun is an output that tells when it has begun.
type begun struct {
	*recording.Output
	at chan struct{}
}

// Begin is Output's.
func (b begun) Begin(m *recording.Meta) error {
	defer close(b.at)
	return b.Output.Begin(m)
}

// recordHere records this host into a file until the function that it returns is
// called.
func recordHere(ctx context.Context, c *control.Client, path string) (end func() error, err error) {
	out, err := recording.Create(path, recording.OutputOptions{})
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(ctx)
	into, result := begun{out, make(chan struct{})}, make(chan error, 1)
	go func() {
		lost, err := c.Record(ctx, control.RecordRequest{Since: recordedBefore, Snaplen: recording.Headers}, into)
		result <- errors.Join(err, out.Close(lost))
	}()
	select {
	case <-into.at:
		return func() error {
			cancel()
			return <-result
		}, nil
	case err := <-result:
		cancel()
		return nil, errors.Join(err, out.Abort())
	}
}

// recordedBefore is how far back both ends begin: the handshake that made a session
// may be a little older.
const recordedBefore = 5 * time.Second

// combine takes the ladder of both sides, and their verdict unless this side's is
// certain: it has sent the probe, and knows best what became of it.
func combine(ctx context.Context, heard *heardBoth, req *explain.Request) (*BothReport, error) {
	report := heard.report
	r, err := merge.Merge(ctx, heard.files, merge.Options{Target: req.Target, Since: heard.began})
	if err != nil {
		return nil, err
	}
	here := r.Hosts[0].Name
	v := &report.Verdict
	if !v.Healthy() {
		v.Host = here
	}
	for i := range report.Ladder {
		report.Ladder[i].Host = here
	}
	var flow *merge.Flow
	udp := probe.ProtocolName(probe.ProtoUDP)
	for i := range r.Flows { // the latest is the probe's
		if f := &r.Flows[i]; (f.Proto == udp) == req.UDP && len(f.Hops) > 0 && f.Hops[0].A == here && (flow == nil || f.Began.After(flow.Began)) {
			flow = f
		}
	}
	if flow == nil {
		return &BothReport{Report: report, Merge: r}, nil
	}
	if !v.Certain {
		*v = flow.Verdict
	} else if v.Healthy() || v.Code == diagnose.ConnectionRefused {
		v.Evidence = append(v.Evidence, flow.Verdict.Evidence...)
	}
	report.Ladder = merge.Mark(flow.Ladder, v)
	return &BothReport{Report: report, Merge: r}, nil
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
	case errors.Is(err, remote.ErrRefused) && strings.Contains(err.Error(), "permission denied"):
		return cli.WithHint(err, "log in as root, or: --with-command 'ssh "+with.login()+" sudo wgnode'")
	case errors.Is(err, remote.ErrRefused) && severalThere(err):
		return cli.WithHint(err, "name the interface there with --with-name")
	case errors.Is(err, remote.ErrRefused) && with.name != "" &&
		(strings.Contains(err.Error(), "unknown word") || strings.Contains(err.Error(), "there is no tunnel")):
		return cli.WithHint(err, "is "+with.name+" the interface there? On "+with.there()+", wgnode lists them")
	case errors.Is(err, remote.ErrRefused) && strings.Contains(err.Error(), "unknown"):
		return cli.WithHint(err, "is the wgnode on "+with.there()+" as new as this one?")
	}
	return err
}

// severalThere reports whether the other host runs several nodes and cannot tell which
// is meant. An older wgnode there has other words for it.
func severalThere(err error) bool {
	return strings.Contains(err.Error(), "more than one tunnel") || strings.Contains(err.Error(), "several nodes")
}
