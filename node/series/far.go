package series

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/wgnode/wgnode/node/bothends"
	"github.com/wgnode/wgnode/node/remote"
	"github.com/wgnode/wgnode/probe"
	"github.com/wgnode/wgnode/probe/eventtext"
	"github.com/wgnode/wgnode/probe/merge"
	"github.com/wgnode/wgnode/probe/recording"
)

// farEnd is the other host, which records while the probes are sent.
type farEnd struct {
	with *bothends.Far
	file *os.File
	rec  *remote.Recorder
	done bool
}

// hear has the other host begin to record.
func (p *pinger) hear(ctx context.Context) (*farEnd, error) {
	file, err := tempRecording()
	if err != nil {
		return nil, err
	}
	f := &farEnd{with: p.o.Far, file: file}
	limit := 24 * time.Hour
	if p.o.Request.Count > 0 {
		limit = bothends.ReadyTime + time.Duration(p.o.Request.Count)*p.req.Interval + 2*p.req.Wait + 2*time.Minute
	}
	record := []string{"record"}
	if p.o.Far.Interface != "" {
		record = append(record, p.o.Far.Interface)
	}
	record = append(record, "-w", "-", "--until-eof", "--no-kernel", "--since", "0s", "--for", limit.String())
	// Ctrl-C ends the series; the recording ends after that, so that it has the last of it.
	f.rec, err = remote.Start(context.WithoutCancel(ctx), p.o.Far.Wgnode(append(record, p.filter()...)...), file)
	if err != nil {
		f.drop()
		return nil, err
	}
	ready, cancel := context.WithTimeout(ctx, bothends.ReadyTime)
	defer cancel()
	if err := f.rec.Ready(ready); err != nil {
		f.drop()
		return nil, fmt.Errorf("record on %s: %w", f.with.Name, err)
	}
	return f, nil
}

// drop ends it, if it has not ended, and takes the file away.
func (f *farEnd) drop() {
	if f.rec != nil && !f.done {
		f.rec.Abort()
	}
	_ = f.file.Close()           // it is not read any more
	_ = os.Remove(f.file.Name()) // a file in the folder for such
}

// join ends the recording and adds what it has to the probes.
func (f *farEnd) join(p *pinger) error {
	time.Sleep(bothends.SettleTime) // what was sent last must have had time to arrive
	f.done = true
	if err := f.rec.Finish(); err != nil {
		return fmt.Errorf("record on %s: %w", f.with.Name, err)
	}
	r, err := recording.Open(f.file.Name())
	if err != nil {
		return err
	}
	defer r.Close()
	var bounds merge.Bounds
	for {
		packet, err := r.Next()
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			break
		}
		if err != nil {
			return fmt.Errorf("the recording of %s: %w", f.with.Name, err)
		}
		e := packet.Event
		p.near.meet(&e, &bounds)
		p.tracker.Event(&e, true)
	}
	if n := r.Loss().Events; n > 0 {
		p.report.Remarks = append(p.report.Remarks, fmt.Sprintf("of %s, %s", f.with.Name, eventtext.MissingEvents(n, "heard of")))
	}
	if _, _, ok := bounds.At(time.Now().UnixNano()); !ok {
		p.report.Remarks = append(p.report.Remarks, "nothing bounds how the clocks of the two hosts lie: "+
			"no message of the probes was seen by both hosts in both directions; so the legs there and back have no times")
		p.tracker.Align(nil)
		return nil
	}
	p.tracker.Align(func(t int64) (lo, hi float64) { lo, hi, _ = bounds.At(t); return lo, hi })
	return nil
}

// messagesKept bounds how many messages are remembered.
const messagesKept = 1 << 18

// dataMessage tells a data message from all others: by the index of its session at the receiver, and
// its counter there.
type dataMessage struct {
	receiver uint32
	counter  uint64
}

// messages are those of this host that carried the probes, and their answers.
type messages struct{ sent, got map[dataMessage]int64 }

func newMessages() *messages {
	return &messages{make(map[dataMessage]int64), make(map[dataMessage]int64)}
}

func (m *messages) add(e *probe.Event) {
	if e.Kind != probe.KindData || e.Receiver == 0 || len(m.sent)+len(m.got) >= messagesKept {
		return
	}
	switch e.Seam {
	case probe.SeamUDPSend:
		m.sent[dataMessage{e.Receiver, e.Counter}] = e.Time
	case probe.SeamUDPReceive:
		m.got[dataMessage{e.Receiver, e.Counter}] = e.Time
	}
}

// meet bounds the clocks by a message that both hosts have seen.
func (m *messages) meet(far *probe.Event, b *merge.Bounds) {
	if far.Kind != probe.KindData {
		return
	}
	k := dataMessage{far.Receiver, far.Counter}
	switch far.Seam {
	case probe.SeamUDPReceive:
		if at, ok := m.sent[k]; ok {
			b.Forth(at, far.Time)
		}
	case probe.SeamUDPSend:
		if at, ok := m.got[k]; ok {
			b.Back(far.Time, at)
		}
	}
}

// tempRecording is a file that the other host's recording goes into.
func tempRecording() (*os.File, error) {
	f, err := os.CreateTemp("", "wgnode-ping-*.pcapng")
	if err != nil {
		return nil, fmt.Errorf("make a place for a recording: %w", err)
	}
	return f, nil
}
