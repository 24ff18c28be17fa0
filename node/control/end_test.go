package control

import (
	"bytes"
	"context"
	"testing"
	"time"

	"github.com/wgnode/wgnode/node/control/controltest"
	"github.com/wgnode/wgnode/probe"
	"github.com/wgnode/wgnode/probe/recording"
)

// began ends what is recorded or watched as soon as that has begun.
type began struct {
	*recording.Output
	end func()
}

// Flush implements [Recording].
func (b began) Flush() error { b.end(); return b.Output.Flush() }

// late are events of which two come to the flight recorder when all that has happened is asked
// for: one of before that, and one of a little later.
func late(it *oneFake) (settle func(), later time.Time) {
	later = time.Now().Add(time.Hour)
	return func() {
		for i, at := range []time.Time{time.Now().Add(-time.Minute), later} {
			it.recorder.Record(probe.LaneUDPReceive, &probe.Event{Time: at.UnixNano(), Seam: probe.SeamUDPReceive, Kind: probe.KindData,
				Counter: uint64(i), Peer: 1, PrefixBits: probe.NoPrefix})
		}
	}, later
}

// What has happened before its end is in a recording, however late it becomes known, and nothing
// that happened later; and it says when that was.
func TestRecordingEnds(t *testing.T) {
	it := newFake(t)
	settle, later := late(it)
	ctx, cancel := context.WithCancel(t.Context())
	it.settled = func() {
		if ctx.Err() != nil { // it is asked at the beginning, too
			settle()
		}
	}
	var file bytes.Buffer
	out := recording.To(&file)
	lost, err := it.serve(t).Record(ctx, RecordRequest{Since: time.Hour, NoKernel: true}, began{out, cancel})
	if err != nil {
		t.Fatal(err)
	}
	if err := out.Close(lost); err != nil {
		t.Fatal(err)
	}
	r, packets := controltest.ReadAll(t, file.Bytes())
	if len(packets) != 1 || packets[0].Event.Counter != 0 || lost != (recording.Loss{}) {
		t.Errorf("%d packets, lost %+v", len(packets), lost)
	}
	if end := r.EndedAt(); !end.Before(later) || end.Before(r.Meta().Clock.Started) {
		t.Errorf("it ended at %v", end)
	}
}

// A node of an earlier release does not say when its recording ended: then nothing is claimed of
// what came after its latest event.
func TestRecordingOfOldNodeEnds(t *testing.T) {
	var file bytes.Buffer
	out := recording.To(&file)
	f := &recordFrames{into: out}
	_ = readFrames(bytes.NewReader(goldenOf(t, "v2", "record.frames")), f.take) // TestGoldenRecord has its end
	out.Ended(f.end())
	if err := out.Close(f.lost.Loss); err != nil {
		t.Fatal(err)
	}
	r, packets := controltest.ReadAll(t, file.Bytes())
	latest := int64(0)
	for i := range packets {
		latest = max(latest, packets[i].Event.Time)
	}
	if end := r.EndedAt().UnixNano(); end != latest {
		t.Errorf("it ended %v after the latest event", time.Duration(end-latest))
	}
}

// The same of a watch.
func TestWatchEnds(t *testing.T) {
	it := newFake(t)
	it.settled, _ = late(it)
	ctx, cancel := context.WithCancel(t.Context())
	var lines bytes.Buffer
	into := &ending{EventLines: controltest.EventLines{W: &lines}, end: cancel}
	if lost, err := it.serve(t).Watch(ctx, WatchRequest{}, into); err != nil || lost != 0 {
		t.Fatal(lost, err)
	}
	if n := bytes.Count(lines.Bytes(), []byte("\n")); n != 1 {
		t.Errorf("%d events\n%s", n, lines.Bytes())
	}
}

// ending is a watcher that ends the watch when it has begun.
type ending struct {
	controltest.EventLines
	end func()
}

// Begin implements [Watcher].
func (e *ending) Begin(int) error { e.end(); return nil }
