package explain

import (
	"bytes"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/wgnode/wgnode/probe"
	"github.com/wgnode/wgnode/probe/diagnose"
	"github.com/wgnode/wgnode/probe/evidence"
	"github.com/wgnode/wgnode/probe/key"
	"github.com/wgnode/wgnode/probe/recording"
)

// entry is an event of a recording, or what the kernel has dropped.
type entry struct {
	probe.Event
	drop *recording.Drop
}

// kernelDrops is the packet of an event, so many seconds into the recording, that the kernel has
// dropped.
func kernelDrops(e probe.Event, after float64, on evidence.Segment, reason, place string) entry {
	e.Seam, e.Checkpoint, e.Seq, e.Pair = 0, probe.CheckpointNone, 0, 0
	e.Time = recordAt.Add(time.Duration(after * float64(time.Second))).UnixNano()
	src, dst := e.Inner()
	if on == evidence.ToWire || on == evidence.FromWire {
		e.InnerSrc, e.InnerDst = probe.Addr{}, probe.Addr{}
		src, dst = e.Outer()
	}
	return entry{e, &recording.Drop{Segment: on, KernelDrop: evidence.KernelDrop{At: e.When(), Count: 1, Reason: reason, Place: place,
		Hook: "egress", Device: "eth0", Src: src, Dst: dst, Data: e.Kind == probe.KindData, Hint: place == "", Packet: "a packet"}}}
}

func entries(events ...probe.Event) (all []entry) {
	for _, e := range events {
		all = append(all, entry{Event: e})
	}
	return all
}

// reader is a recording with what the kernel drops.
func reader(t *testing.T, all ...entry) *recording.Reader {
	t.Helper()
	var out bytes.Buffer
	w, err := recording.NewWriter(&out, &recording.Meta{ID: 1, Interface: "wg0", PublicKey: key.Public{9},
		Clock: recording.Clock{Started: recordAt}, Drops: true,
		Peers: []recording.Peer{{ID: 1, Name: "gateway", PublicKey: key.Public{1}, Configured: true,
			Endpoint: netip.MustParseAddrPort("203.0.113.2:51820"), AllowedIPs: []netip.Prefix{netip.MustParsePrefix("192.168.200.0/24")}}}})
	if err != nil {
		t.Fatal(err)
	}
	for i := range all {
		if e := &all[i]; e.drop != nil {
			err = w.Drop(&e.Event, e.drop)
		} else {
			err = w.Event(&e.Event, nil, 0)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(recording.Loss{}); err != nil {
		t.Fatal(err)
	}
	r, err := recording.NewReader(&out)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// What the kernel has dropped decides, if it is a packet of the connection that is explained.
func TestExplainRecordingDrops(t *testing.T) {
	bad, good := connect(2, 2000, false), connect(2, 2000, true)
	for i := range bad {
		bad[i].Receiver, bad[i].Counter = 7, 9
	}
	tick := connect(12, 1000, true)[0] // the recording goes on
	tick.InnerDstPort = 81
	later := entries(tick)
	const reason, place = "TC_EGRESS", "__dev_queue_xmit"
	other := bad[1]
	other.Counter = 10
	asked := kernelDrops(bad[0], 2, evidence.ToTunnel, reason, place)
	hinted := kernelDrops(bad[0], 2, evidence.ToTunnel, reason, "")
	message := kernelDrops(bad[1], 2.01, evidence.ToWire, reason, place)
	others := kernelDrops(other, 2.01, evidence.ToWire, reason, place)
	early := kernelDrops(bad[1], 1, evidence.ToWire, reason, place)
	request, sent := entries(bad[0]), entries(bad[1])
	for name, test := range map[string]struct {
		all     [][]entry
		want    diagnose.Code
		certain bool
	}{
		"before the tunnel":     {[][]entry{{asked}, later}, diagnose.BPFDrop, true},
		"a hint":                {[][]entry{{hinted}, later}, diagnose.Idle, false},
		"the message":           {[][]entry{request, sent, later, {message}}, diagnose.BPFDrop, true},
		"told before its event": {[][]entry{request, {message}, sent, later}, diagnose.BPFDrop, true},
		"another's message":     {[][]entry{request, sent, later, {others}}, diagnose.NoReply, false},
		"an earlier connection": {[][]entry{{early}, request, sent, later}, diagnose.NoReply, false},
		"answered all the same": {[][]entry{entries(good...), later, {message}}, diagnose.Healthy, false},
	} {
		r, err := ExplainRecording(reader(t, slices.Concat(test.all...)...), Request{Target: webServer})
		if err != nil || r.Verdict.Code != test.want || test.certain && !r.Verdict.Certain {
			t.Errorf("%s: %+v, %v, want %s", name, r.Verdict, err, test.want)
		}
	}
}

// What was dropped counts for a peer that was not heard since.
func TestDoctorRecordingDrops(t *testing.T) {
	call := probe.Event{Time: recordAt.Add(time.Second).UnixNano(), Seam: probe.SeamUDPSend, Checkpoint: probe.A2, Kind: probe.KindInitiation,
		Peer: 1, Sender: 5, OuterDst: probe.AddrFrom(netip.MustParseAddr("203.0.113.2")), OuterDstPort: 51820, OuterLen: 148,
		PrefixBits: probe.NoPrefix}
	dropped := kernelDrops(call, 1.01, evidence.ToWire, "TC_EGRESS", "__dev_queue_xmit")
	tick := call
	tick.Time = recordAt.Add(12 * time.Second).UnixNano()
	silent := append(entries(call), dropped, entries(tick)[0])
	r, err := DoctorRecording(reader(t, silent...))
	if err != nil || r.Peers[0].Verdict.Code != diagnose.BPFDrop || !r.Peers[0].Verdict.Certain || r.Peers[0].Drops["TC_EGRESS"] != 1 {
		t.Errorf("%+v, %v", r, err)
	}
	answer := probe.Event{Time: recordAt.Add(2 * time.Second).UnixNano(), Seam: probe.SeamUDPReceive, Checkpoint: probe.A3,
		Kind: probe.KindResponse, Peer: 1, Receiver: 5, OuterSrc: call.OuterDst, OuterSrcPort: 51820, OuterLen: 92, PrefixBits: probe.NoPrefix}
	done := answer
	done.Time++
	done.Seam, done.Checkpoint = probe.SeamDevice, probe.CheckpointNone
	r, err = DoctorRecording(reader(t, append(entries(call), dropped, entries(answer)[0], entries(done)[0])...))
	if err != nil || r.Peers[0].Verdict.Code == diagnose.BPFDrop {
		t.Errorf("answered since: %+v, %v", r.Peers[0].Verdict, err)
	}
}
