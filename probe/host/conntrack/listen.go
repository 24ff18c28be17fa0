//go:build linux

package conntrack

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync/atomic"
	"time"

	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"
)

// Change is what happened to an entry.
type Change uint8

// The changes.
const (
	Added Change = iota
	Updated
	Removed
)

var changeNames = [...]string{"added", "updated", "removed"}

// String returns a word for the change.
func (c Change) String() string { return changeNames[c] }

// Event is a change of the table. Entry is the state after it; some fields are
// only there if they matter for the change.
type Event struct {
	Change Change
	Entry  Entry
}

// Listener gets the changes of the table, of all flows, until it is closed. The
// kernel makes events while someone listens. Next is for one goroutine at a
// time.
type Listener struct {
	conn    *netlink.Conn
	waiting []Event
	lost    atomic.Uint64
	closed  atomic.Bool
}

// Listen begins to listen in the network namespace of the calling thread.
func Listen() (*Listener, error) {
	c, err := dial()
	if err != nil {
		return nil, fmt.Errorf("listen for connections: %w", err)
	}
	for _, group := range []uint32{unix.NFNLGRP_CONNTRACK_NEW, unix.NFNLGRP_CONNTRACK_UPDATE, unix.NFNLGRP_CONNTRACK_DESTROY} {
		if err := c.JoinGroup(group); err != nil {
			_ = c.Close() // the first error is the one that matters
			return nil, fmt.Errorf("listen for connections: %w", explain(err))
		}
	}
	return &Listener{conn: c}, nil
}

// Close ends it. A Next that waits returns an error that wraps os.ErrClosed.
func (l *Listener) Close() error {
	if l.closed.Swap(true) {
		return os.ErrClosed
	}
	return l.conn.Close()
}

// Lost returns how often events were lost because they were not read in time.
func (l *Listener) Lost() uint64 { return l.lost.Load() }

// Next waits for an event, or for ctx to be done.
func (l *Listener) Next(ctx context.Context) (Event, error) {
	for len(l.waiting) == 0 {
		if err := ctx.Err(); err != nil {
			return Event{}, err
		}
		if err := l.read(ctx); err != nil {
			if l.closed.Load() {
				err = os.ErrClosed
			}
			return Event{}, fmt.Errorf("listen for connections: %w", err)
		}
	}
	e := l.waiting[0]
	l.waiting = l.waiting[1:]
	return e, nil
}

// read takes the events of one datagram. It returns without any when ctx is
// done.
func (l *Listener) read(ctx context.Context) error {
	if err := l.conn.SetReadDeadline(time.Time{}); err != nil {
		return err
	}
	// Also when ctx is done already: then at once.
	stop := context.AfterFunc(ctx, func() { _ = l.conn.SetReadDeadline(time.Unix(1, 0)) })
	defer stop()
	messages, err := l.conn.Receive()
	switch {
	case errors.Is(err, os.ErrDeadlineExceeded):
		return nil
	case errors.Is(err, unix.ENOBUFS):
		l.lost.Add(1)
		return nil
	case err != nil:
		return err
	}
	for _, m := range messages {
		e := Event{Change: Updated}
		switch {
		case m.Header.Type == msgDelete:
			e.Change = Removed
		case m.Header.Type != msgNew:
			continue
		case m.Header.Flags&netlink.Create != 0:
			e.Change = Added
		}
		if e.Entry, err = decode(m.Data); err != nil {
			return err
		}
		l.waiting = append(l.waiting, e)
	}
	return nil
}
