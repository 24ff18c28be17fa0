package node

import (
	"io"

	"github.com/wgnode/wgnode/probe"
	"github.com/wgnode/wgnode/probe/eventtext"
)

// eventLines makes a line of JSON of each event.
type eventLines struct {
	w       io.Writer
	longest int // name of a peer
	flushed int
}

func (l *eventLines) Begin(longestName int) error {
	l.longest = longestName
	return nil
}

func (l *eventLines) Event(e *probe.Event, names eventtext.Names) error {
	_, err := l.w.Write(append(eventtext.AppendJSON(nil, e, names), '\n'))
	return err
}

func (l *eventLines) Line(line []byte) error {
	_, err := l.w.Write(line)
	return err
}

func (l *eventLines) Flush() error {
	l.flushed++
	return nil
}
