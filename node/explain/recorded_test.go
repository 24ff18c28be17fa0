package explain

import (
	"bytes"
	"io"
	"math/rand/v2"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/wgnode/wgnode/probe"
	"github.com/wgnode/wgnode/probe/diagnose"
	"github.com/wgnode/wgnode/probe/key"
	"github.com/wgnode/wgnode/probe/recording"
	"github.com/wgnode/wgnode/probe/render"
)

var (
	webServer = netip.MustParseAddrPort("192.168.200.22:80")
	recordAt  = time.Date(2026, 5, 4, 3, 2, 1, 0, time.UTC)
)

func recordingOf(t testing.TB, events ...probe.Event) []byte {
	t.Helper()
	var out bytes.Buffer
	clock := recording.Clock{Started: recordAt}
	w, err := recording.NewWriter(&out, &recording.Meta{ID: 1, Interface: "wg0", Clock: clock, Peers: []recording.Peer{
		{ID: 1, Name: "gateway", PublicKey: key.Public{1}, Configured: true, Endpoint: netip.MustParseAddrPort("203.0.113.2:51820"),
			AllowedIPs: []netip.Prefix{netip.MustParsePrefix("192.168.200.0/24")}}}})
	if err != nil {
		t.Fatal(err)
	}
	for i := range events {
		if err := w.Event(&events[i], nil, 0); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(recording.Loss{}); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func explainBytes(t testing.TB, b []byte, req Request) (*diagnose.Report, error) {
	t.Helper()
	r, err := recording.NewReader(bytes.NewReader(b))
	if err != nil {
		return nil, err
	}
	return ExplainRecording(r, req)
}

// connect is a connection from a port to the web server as A sees it, so many
// seconds into the recording; answered or not.
func connect(after float64, port uint16, answered bool) []probe.Event {
	at := recordAt.Add(time.Duration(after * float64(time.Second))).UnixNano()
	e := probe.Event{Time: at, Seam: probe.SeamTUNRead, Checkpoint: probe.A1, Kind: probe.KindInner, Peer: 1, Proto: probe.ProtoTCP,
		Info: probe.TCPSyn, InnerSrc: probe.AddrFrom(netip.MustParseAddr("10.0.0.1")), InnerSrcPort: port,
		InnerDst: probe.AddrFrom(webServer.Addr()), InnerDstPort: 80, InnerLen: 60, Flags: probe.FlagInitiatedHere, PrefixBits: 24}
	sent := e
	sent.Time, sent.Seam, sent.Checkpoint, sent.Kind, sent.OuterLen = at+1, probe.SeamUDPSend, probe.A4, probe.KindData, 96
	events := []probe.Event{e, sent}
	if answered {
		back := e
		back.Time, back.Seam, back.Checkpoint, back.Info = at+2, probe.SeamTUNWrite, probe.A6, probe.TCPSyn|probe.TCPAck
		back.InnerSrc, back.InnerDst, back.InnerSrcPort, back.InnerDstPort = e.InnerDst, e.InnerSrc, 80, port
		events = append(events, back)
	}
	return events
}

// The latest connection is the one that is explained, whatever others do beside it.
func TestExplainRecordingLatestConnection(t *testing.T) {
	good, bad := connect(1, 1000, true), connect(2, 2000, false)
	later := connect(2.5, 1000, true)[2] // another answer to the first one
	tick := connect(12, 1000, true)[0]   // the recording goes on
	tick.InnerDstPort = 81
	for _, test := range []struct {
		name   string
		events []probe.Event
		want   diagnose.Code
	}{
		{"none", nil, diagnose.Idle},
		{"good", good, diagnose.Healthy},
		{"bad", append(bad[:2:2], tick), diagnose.NoReply},
		{"good, then bad", append(append(good[:3:3], bad...), later, tick), diagnose.NoReply},
		{"bad, then good", append(bad[:2:2], connect(3, 3000, true)...), diagnose.Healthy},
	} {
		r, err := explainBytes(t, recordingOf(t, test.events...), Request{Target: webServer})
		if err != nil || r.Verdict.Code != test.want {
			t.Errorf("%s: %+v, %v, want %s", test.name, r, err, test.want)
		}
	}
	elsewhere := Request{Target: webServer, From: netip.MustParsePrefix("10.9.9.9/32")}
	r, err := explainBytes(t, recordingOf(t, append(good[:3:3], bad...)...), elsewhere)
	if err != nil || r.Verdict.Code != diagnose.Idle {
		t.Errorf("from somebody else: %+v, %v", r, err)
	}
}

// Events in no sensible order, as a hostile recording holds them, give a report and
// no crash.
func TestExplainAnything(t *testing.T) {
	rnd := rand.New(rand.NewPCG(3, 4))
	_, checkpoints, kinds, _ := probe.Names()
	base := connect(1, 1000, true)
	for range 300 {
		var events []probe.Event
		for range 1 + rnd.IntN(12) {
			e := base[rnd.IntN(3)]
			e.Time += rnd.Int64N(20e9)
			if rnd.IntN(2) == 0 {
				e.Seam, e.Kind = probe.Seam(rnd.IntN(6)), probe.Kind(rnd.IntN(len(kinds)+1))
				e.Checkpoint, e.Reason = probe.Checkpoint(rnd.IntN(len(checkpoints)+1)), probe.Reason(rnd.IntN(probe.NumReasons))
				e.Peer, e.Flags, e.Info, e.Proto = probe.PeerID(rnd.IntN(3)), probe.Flags(rnd.IntN(256)), uint8(rnd.IntN(40)), uint8(rnd.IntN(60))
			}
			events = append(events, e)
		}
		explainAll(t, recordingOf(t, events...))
	}
}

// explainAll has everybody look at a recording who does.
func explainAll(t testing.TB, b []byte) {
	t.Helper()
	for _, target := range []netip.AddrPort{webServer, netip.AddrPortFrom(webServer.Addr(), 0)} {
		if r, err := explainBytes(t, b, Request{Target: target}); err == nil {
			if err := render.Report(io.Discard, r, render.Options{}); err != nil {
				t.Fatal(err)
			}
		}
	}
	r, err := recording.NewReader(bytes.NewReader(b))
	if err != nil {
		return
	}
	if report, err := DoctorRecording(r); err == nil {
		if err := render.Doctor(io.Discard, report, render.Options{}); err != nil {
			t.Fatal(err)
		}
	}
}

// FuzzExplainRecording takes its input for a file, and for the events of one.
func FuzzExplainRecording(f *testing.F) {
	for _, answered := range []bool{true, false} {
		var events []byte
		for _, e := range connect(1, 1000, answered) {
			events, _ = e.AppendBinary(events)
		}
		f.Add(events)
		f.Add(recordingOf(f, connect(1, 1000, answered)...))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		explainAll(t, b)
		var events []probe.Event
		for chunk := range slices.Chunk(b, probe.EventSize) {
			var e probe.Event
			if len(chunk) == probe.EventSize {
				e.SetBinary((*[probe.EventSize]byte)(chunk))
				events = append(events, e)
			}
		}
		explainAll(t, recordingOf(t, events...))
	})
}

// A doctor as of a time knows nothing of what was later, and as of the end says what one says who is
// asked for no time.
func TestDoctorRecordingAt(t *testing.T) {
	at := func(at time.Time) *diagnose.PeerReport {
		t.Helper()
		f, err := recording.Open("../../probe/recording/testdata/v2/client.pcapng")
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		r, err := DoctorRecordingAt(f.Reader, at)
		if err != nil || len(r.Peers) != 1 {
			t.Fatalf("%+v, %v", r, err)
		}
		return &r.Peers[0]
	}
	end := at(time.Time{})
	if end.State != diagnose.StateUp || end.HandshakeAge == 0 {
		t.Fatalf("at the end: %+v", end)
	}
	last := time.Date(2026, 11, 30, 1, 33, 37, 433e6, time.UTC)
	completed := last.Add(-end.HandshakeAge)
	if before := at(completed.Add(-100 * time.Millisecond)); before.State == diagnose.StateUp || before.HandshakeAge != 0 {
		t.Errorf("before the handshake: %+v", before)
	}
	after := at(completed.Add(time.Second))
	if after.State != diagnose.StateUp || after.HandshakeAge > 2*time.Second || after.HandshakeAge <= 0 {
		t.Errorf("a second after the handshake: %s, %v", after.State, after.HandshakeAge)
	}
}
