package node

import (
	"bytes"
	"context"
	"errors"
	"io"
	"testing"
	"time"

	"github.com/wgnode/wgnode/node/control"
	"github.com/wgnode/wgnode/node/control/controltest"
	"github.com/wgnode/wgnode/probe"
	"github.com/wgnode/wgnode/probe/key"
	"github.com/wgnode/wgnode/probe/patience"
	"github.com/wgnode/wgnode/probe/recording"
	"github.com/wgnode/wgnode/tunnel/uapi"
)

// kept is a recording in memory that tells of each event.
type kept struct {
	*recording.Output
	events chan probe.Event
	begun  chan struct{}
	err    error // what Event returns
}

func newKept(w io.Writer) *kept {
	return &kept{Output: recording.To(w), events: make(chan probe.Event, 1<<16), begun: make(chan struct{})}
}

func (k *kept) Begin(m *recording.Meta) error {
	defer close(k.begun)
	return k.Output.Begin(m)
}

func (k *kept) Event(e *probe.Event, captured []byte, lost uint64) error {
	if k.err != nil {
		return k.err
	}
	k.events <- *e
	return k.Output.Event(e, captured, lost)
}

// until waits for an event.
func (k *kept) until(t *testing.T, what string, ok func(*probe.Event) bool) {
	t.Helper()
	timeout := patience.After()
	for {
		select {
		case e := <-k.events:
			if ok(&e) {
				return
			}
		case <-timeout:
			t.Fatalf("not recorded: %s", what)
		}
	}
}

// A recording holds the past, what passes, and peers that are new; it ends with what
// passed before its end was asked for.
func TestRecord(t *testing.T) {
	alice, _ := pair(t)
	alice.get("http://10.0.0.2/past")
	var file bytes.Buffer
	rec := newKept(&file)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	ended := make(chan error, 1)
	var lost recording.Loss
	go func() {
		var err error
		lost, err = alice.dial().Record(ctx, control.RecordRequest{Since: time.Hour, Snaplen: 0}, rec)
		ended <- err
	}()
	rec.until(t, "the past", func(e *probe.Event) bool { return e.Kind == probe.KindInitiation })
	carol := key.GeneratePrivate().Public()
	status, err := alice.tun.Status()
	if err != nil {
		t.Fatal(err)
	}
	alice.tun.Name(status.Peers[0].PublicKey, "bob")
	alice.tun.Name(carol, "carol")
	if err := alice.tun.Apply(&uapi.Change{Peers: []uapi.PeerChange{{PublicKey: carol, Endpoint: status.Peers[0].Endpoint}}},
		nil); err != nil {
		t.Fatal(err)
	}
	if err := alice.tun.InitiateHandshake(carol); err != nil {
		t.Fatal(err)
	}
	rec.until(t, "carol", func(e *probe.Event) bool { return e.Peer == 2 && e.Kind == probe.KindInitiation })
	alice.get("http://10.0.0.2/present")
	cancel() // at once: what has passed is still on its way
	if err := errors.Join(<-ended, rec.Close(lost)); err != nil {
		t.Fatal(err)
	}

	r, packets := controltest.ReadAll(t, file.Bytes())
	m := r.Meta()
	if len(m.Peers) != 2 || m.Peers[0].Name != "bob" || m.Peers[1].Name != "carol" || m.Peers[1].PublicKey != carol ||
		m.Kernel || m.Interface != "alice" || m.Clock.Started.IsZero() || m.Clock.Monotonic == 0 {
		t.Errorf("meta %+v", m)
	}
	var last int64
	contents := map[string]bool{}
	for i := range packets {
		p := &packets[i]
		if p.Event.Time < last-int64(100*time.Millisecond) { // a receipt that nothing follows comes late
			t.Errorf("packet %d is %v older than the one before", i, time.Duration(last-p.Event.Time))
		}
		last = max(last, p.Event.Time)
		for _, what := range []string{"/past", "/present"} {
			if p.Interface == recording.Inside && bytes.Contains(p.Data, []byte("GET "+what)) {
				contents[what] = true
			}
		}
		if p.Interface == recording.Wire && !p.Made && p.Event.Kind == probe.KindData && len(p.Data) != p.Length {
			t.Errorf("packet %d: %d of %d bytes", i, len(p.Data), p.Length)
		}
	}
	if contents["/past"] || !contents["/present"] {
		t.Errorf("there is content of %v", contents)
	}
	if end := packets[len(packets)-1].Event; end.Info&probe.TCPFin == 0 && end.Info&probe.TCPAck == 0 {
		t.Errorf("the last event is %+v", end)
	}
}

// The recording's own errors end it, and are returned; so is the node's end.
func TestRecordEnds(t *testing.T) {
	alice, bob := pair(t)
	alice.get("http://10.0.0.2/")
	full := newKept(io.Discard)
	full.err = recording.ErrFull
	if _, err := alice.dial().Record(t.Context(), control.RecordRequest{Since: time.Hour}, full); !errors.Is(err, recording.ErrFull) {
		t.Errorf("a recording that is full: %v", err)
	}
	_, err := alice.dial().Record(t.Context(), control.RecordRequest{Filter: []string{"peer", "carol"}}, newKept(io.Discard))
	if err == nil || errors.Is(err, control.ErrEnded) {
		t.Errorf("a peer that there is none of: %v", err)
	}
	_, err = alice.dial().Record(t.Context(), control.RecordRequest{Keys: true}, newKept(io.Discard))
	if err == nil || errors.Is(err, control.ErrEnded) {
		t.Errorf("keys of a node that keeps none: %v", err)
	}
	rec := newKept(io.Discard)
	ended := make(chan error, 1)
	go func() {
		_, err := bob.dial().Record(context.Background(), control.RecordRequest{}, rec)
		ended <- err
	}()
	<-rec.begun
	if err := bob.stop(); err != nil {
		t.Fatal(err)
	}
	if err := <-ended; !errors.Is(err, control.ErrEnded) {
		t.Errorf("a node that ends: %v", err)
	}
}

// slow is a recording that takes nothing until it is let.
type slow struct {
	*kept
	let chan struct{}
}

func (s *slow) Event(e *probe.Event, captured []byte, lost uint64) error {
	<-s.let
	return s.kept.Event(e, captured, lost)
}

// What a recording could not take is counted in its file, to the event.
func TestRecordCountsWhatIsLost(t *testing.T) {
	const events = 200_000
	alice, _ := pair(t)
	var file bytes.Buffer
	rec := &slow{newKept(&file), make(chan struct{})}
	rec.events = make(chan probe.Event, events)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	ended := make(chan error, 1)
	var lost recording.Loss
	go func() {
		var err error
		lost, err = alice.dial().Record(ctx, control.RecordRequest{Filter: []string{"seam", "tun-read"}}, rec)
		ended <- err
	}()
	<-rec.begun
	r := alice.tun.Recorder()
	for i := range events {
		r.Record(probe.LaneTUNRead, &probe.Event{Time: time.Now().UnixNano(), Seam: probe.SeamTUNRead, Kind: probe.KindInner,
			Counter: uint64(i + 1)})
	}
	close(rec.let)
	rec.until(t, "the last event", func(e *probe.Event) bool { return e.Counter == events })
	cancel()
	if err := errors.Join(<-ended, rec.Close(lost)); err != nil {
		t.Fatal(err)
	}
	got, packets := controltest.ReadAll(t, file.Bytes())
	told := uint64(0)
	for i := range packets {
		told += packets[i].Lost
	}
	if n := uint64(len(packets)); lost.Events == 0 || n == 0 || n+lost.Events != events ||
		got.Loss().Events != lost.Events || told != lost.Events || !got.Complete() {
		t.Errorf("%d packets and %d lost of %d; the file says %+v, its packets %d", n, lost.Events, events, got.Loss(), told)
	}
	if got.Loss().Contents != uint64(len(packets)) { // these events have no packets
		t.Errorf("content of %d packets is missing, the file says %d", len(packets), got.Loss().Contents)
	}
}
