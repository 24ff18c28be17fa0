// Package controltest has what tests of the control socket, and of those who serve it, read its
// answers with.
package controltest

import (
	"bytes"
	"errors"
	"io"
	"testing"

	"github.com/wgnode/wgnode/probe"
	"github.com/wgnode/wgnode/probe/eventtext"
	"github.com/wgnode/wgnode/probe/recording"
)

// EventLines is a watcher that makes a line of JSON of each event.
type EventLines struct {
	W       io.Writer
	Longest int // name of a peer
	Flushed int
}

// Begin implements control.Watcher.
func (l *EventLines) Begin(longestName int) error {
	l.Longest = longestName
	return nil
}

// Event implements control.Watcher.
func (l *EventLines) Event(e *probe.Event, names eventtext.Names) error {
	_, err := l.W.Write(append(eventtext.AppendJSON(nil, e, names), '\n'))
	return err
}

// Line implements control.Watcher.
func (l *EventLines) Line(line []byte) error {
	_, err := l.W.Write(line)
	return err
}

// Flush implements control.Watcher.
func (l *EventLines) Flush() error {
	l.Flushed++
	return nil
}

// ReadAll reads a recording, and fails the test if it cannot be read. What it returns is the
// caller's.
func ReadAll(t *testing.T, b []byte) (*recording.Reader, []recording.Packet) {
	t.Helper()
	r, err := recording.NewReader(bytes.NewReader(b))
	if err != nil {
		t.Fatal(err)
	}
	var packets []recording.Packet
	for {
		p, err := r.Next()
		if errors.Is(err, io.EOF) {
			return r, packets
		}
		if err != nil {
			t.Fatal(err)
		}
		packets = append(packets, *p)
		packets[len(packets)-1].Data = bytes.Clone(p.Data)
	}
}
