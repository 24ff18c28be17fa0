package traffic

import (
	"bufio"
	"fmt"
	"io"
	"sync"

	"github.com/wgnode/wgnode/node/droplist"
	"github.com/wgnode/wgnode/probe"
	"github.com/wgnode/wgnode/probe/eventtext"
	"github.com/wgnode/wgnode/probe/recording"
)

// maxPeerWidth is how wide the column of peers becomes in a watch.
const maxPeerWidth = 16

// eventLines prints events, of a node or of a recording, a line each. It implements
// control.Watcher. What the kernel drops may come from another goroutine.
type eventLines struct {
	mu   sync.Mutex // held by its methods
	out  *bufio.Writer
	json bool
	opt  eventtext.Options
	line []byte // reused
}

func newEventLines(out io.Writer, asJSON bool, opt eventtext.Options) *eventLines {
	return &eventLines{out: bufio.NewWriterSize(out, 64<<10), json: asJSON, opt: opt}
}

// Begin makes room for the names of peers.
func (l *eventLines) Begin(longestName int) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.opt.PeerWidth = min(longestName, maxPeerWidth)
	return nil
}

// Event prints one.
func (l *eventLines) Event(e *probe.Event, names eventtext.Names) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.json {
		l.line = eventtext.AppendJSON(l.line[:0], e, names)
	} else {
		l.line = eventtext.AppendLine(l.line[:0], e, names, &l.opt)
	}
	l.line = append(l.line, '\n')
	_, err := l.out.Write(l.line)
	return err
}

// Drop prints a packet that the kernel has dropped.
func (l *eventLines) Drop(r *droplist.Row) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	d := r.Drop()
	if err := l.drop(r.Event(), r.Reason, &d, r); err != nil {
		return err
	}
	return l.flush()
}

// Recorded prints one of a recording.
func (l *eventLines) Recorded(e *probe.Event, d *recording.Drop, names eventtext.Names) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.drop(e, d.Reason, d.Text(e), names)
}

func (l *eventLines) drop(e *probe.Event, reason string, d *eventtext.Drop, names eventtext.Names) error {
	if l.json {
		l.line = eventtext.AppendDropJSON(l.line[:0], e, reason, d, names)
	} else {
		l.line = eventtext.AppendDropLine(l.line[:0], e, reason, d, names, &l.opt)
	}
	l.line = append(l.line, '\n')
	if _, err := l.out.Write(l.line); err != nil {
		return fmt.Errorf("print drops: %w", err)
	}
	return nil
}

// Line prints one that a node of an earlier release has made.
func (l *eventLines) Line(line []byte) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	_, err := l.out.Write(line)
	return err
}

// Flush prints what has been collected.
func (l *eventLines) Flush() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.flush()
}

func (l *eventLines) flush() error { return l.out.Flush() }
