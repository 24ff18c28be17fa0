package web

import (
	"errors"
	"testing"
	"time"

	"github.com/wgnode/wgnode/probe"
	"github.com/wgnode/wgnode/probe/flows"
)

// A page that gets more than it can show asks for less. What is past comes all at once, and is not more
// than it can show.
func TestBusyFlows(t *testing.T) {
	v := &flowView{q: &flowRequest{}, every: 1, table: flows.New(flows.Options{}), peers: make(map[probe.PeerID]peerNames)}
	feed := func() error {
		for range busy + 1 {
			if err := v.Event(&probe.Event{Time: 1}, nil); err != nil {
				return err
			}
		}
		return nil
	}
	if v.begun() {
		t.Error("there is something to show before the watch has begun")
	}
	if err := v.Begin(0); err != nil || !v.begun() {
		t.Error(err)
	}
	v.began, v.since = time.Now().Add(time.Hour), time.Now().Add(time.Hour) // however long this takes
	if err := feed(); err != nil {
		t.Errorf("of what is past: %v", err)
	}
	if err := v.Flush(); err != nil {
		t.Error(err)
	}
	v.since = time.Now().Add(time.Hour)
	if err := feed(); !errors.Is(err, errBusy) {
		t.Errorf("of what passes: %v", err)
	}
	v.every, v.counted = mostEvery, 0
	if err := feed(); err != nil {
		t.Errorf("when there is no less to ask for: %v", err)
	}
	if s := v.state(time.Now()); s.Events < 2*busy || s.Every != mostEvery {
		t.Errorf("%d events, every %d", s.Events, s.Every)
	}
}
