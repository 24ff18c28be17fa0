package bothends

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/wgnode/wgnode/node/control"
	"github.com/wgnode/wgnode/node/explain"
	"github.com/wgnode/wgnode/node/remote"
	"github.com/wgnode/wgnode/probe"
	"github.com/wgnode/wgnode/probe/diagnose"
	"github.com/wgnode/wgnode/probe/merge"
	"github.com/wgnode/wgnode/probe/recording"
)

const (
	// ReadyTime is how long the other host may take to begin: ssh may ask for a passphrase.
	ReadyTime = time.Minute
	// SettleTime is how long both record on after the verdict of this side: what was
	// sent last must have had time to arrive, or to be missed.
	SettleTime = 1300 * time.Millisecond
	// before is how far back both ends begin: the handshake that made a session may be a
	// little older.
	before = 5 * time.Second
)

// Far is the other end of the tunnel.
type Far struct {
	Name      string // of the host, in errors
	Interface string // there; "" for the only one
	// Wgnode is the command that runs wgnode there with those arguments.
	Wgnode func(args ...string) []string
}

// record is the command that records there, for at most limit.
func (f *Far) record(limit time.Duration) []string {
	args := []string{"record"}
	if f.Interface != "" {
		args = append(args, f.Interface)
	}
	return f.Wgnode(append(args, "-w", "-", "--until-eof", "--since", before.String(), "--for", limit.String())...)
}

// Explain has c explain a flow while both ends record. It calls probing when they do, before the
// probe is sent. The report has the verdict and the ladder of both sides; what their recordings
// tell beside that is the result of the merge. The errors of node/remote are what keeps the
// other host from recording.
func Explain(ctx context.Context, c *control.Client, req explain.Request, far *Far,
	probing func()) (*diagnose.Report, *merge.Result, error) {
	dir, err := os.MkdirTemp("", "wgnode-explain-")
	if err != nil {
		return nil, nil, fmt.Errorf("make a place for recordings: %w", err)
	}
	defer os.RemoveAll(dir)
	heard, err := hear(ctx, c, req, far, dir, probing)
	if err != nil {
		return nil, nil, err
	}
	merged, err := heard.combine(ctx, &req)
	if err != nil {
		return nil, nil, fmt.Errorf("merge the recordings of here and %s: %w", far.Name, err)
	}
	return heard.report, merged, nil
}

// heard is what was explained here while both ends recorded.
type heard struct {
	report *diagnose.Report
	files  []string  // the recordings, this host's first
	began  time.Time // when the probe was about to be sent
}

// hear explains here while both ends record, into files in dir.
func hear(ctx context.Context, c *control.Client, req explain.Request, with *Far, dir string, probing func()) (*heard, error) {
	here, there := filepath.Join(dir, "here.pcapng"), filepath.Join(dir, "there.pcapng")
	file, err := os.OpenFile(there, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	far, err := remote.Start(ctx, with.record(ReadyTime+2*req.Timeout+time.Minute), file)
	if err != nil {
		return nil, err
	}
	finished := false
	defer func() {
		if !finished {
			far.Abort()
		}
	}()
	ready, cancel := context.WithTimeout(ctx, ReadyTime)
	defer cancel()
	if err := far.Ready(ready); err != nil {
		return nil, fmt.Errorf("record on %s: %w", with.Name, err)
	}
	near, err := recordHere(ctx, c, here)
	if err != nil {
		return nil, err
	}
	probing()
	began := time.Now()
	report, err := c.Explain(ctx, req)
	if err == nil {
		select {
		case <-time.After(SettleTime):
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
		return nil, fmt.Errorf("record on %s: %w", with.Name, err)
	}
	return &heard{report, []string{here, there}, began}, nil
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
		lost, err := c.Record(ctx, control.RecordRequest{Since: before, Snaplen: recording.Headers}, into)
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

// combine takes the ladder of both sides, and their verdict unless this side's is
// certain.
func (h *heard) combine(ctx context.Context, req *explain.Request) (*merge.Result, error) {
	r, err := merge.Merge(ctx, h.files, merge.Options{Target: req.Target, Since: h.began})
	if err != nil {
		return nil, err
	}
	here := r.Hosts[0].Name
	v := &h.report.Verdict
	if !v.Healthy() {
		v.Host = here
	}
	for i := range h.report.Ladder {
		h.report.Ladder[i].Host = here
	}
	var flow *merge.Flow
	udp := probe.ProtocolName(probe.ProtoUDP)
	for i := range r.Flows { // the latest is the probe's
		if f := &r.Flows[i]; (f.Proto == udp) == req.UDP && len(f.Hops) > 0 && f.Hops[0].A == here && (flow == nil || f.Began.After(flow.Began)) {
			flow = f
		}
	}
	if flow == nil {
		return r, nil
	}
	if !v.Certain {
		*v = flow.Verdict
	} else if v.Healthy() || v.Code == diagnose.ConnectionRefused {
		v.Evidence = append(v.Evidence, flow.Verdict.Evidence...)
	}
	h.report.Ladder = merge.Mark(flow.Ladder, v)
	return r, nil
}
