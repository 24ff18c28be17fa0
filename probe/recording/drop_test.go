package recording

import (
	"bytes"
	"errors"
	"io"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/wgnode/wgnode/probe"
	"github.com/wgnode/wgnode/probe/evidence"
)

// testDrop is what a kernel says, and the event beside it.
type testDrop struct {
	event probe.Event
	drop  Drop
}

// testDrops are an inner packet and a message of the session that the kernel has dropped.
func testDrops() []testDrop {
	events, _ := session()
	inner, message := events[0], events[1]
	drop := func(e *probe.Event, on evidence.Segment, d evidence.KernelDrop) testDrop {
		e.Seam, e.Checkpoint, e.Seq, e.Pair, e.PrefixBits = 0, probe.CheckpointNone, 0, 0, probe.NoPrefix
		d.At, d.Count = time.Unix(0, e.Time).UTC(), 1
		return testDrop{*e, Drop{d, on}}
	}
	message.InnerSrc, message.InnerDst, message.InnerSrcPort, message.InnerDstPort, message.Proto = probe.Addr{}, probe.Addr{}, 0, 0, 0
	message.InnerLen, message.Info, message.Flags = 0, 0, 0
	from, to := netip.MustParseAddrPort("10.0.0.1:45734"), netip.MustParseAddrPort("10.0.0.2:80")
	return []testDrop{
		drop(&inner, evidence.ToTunnel, evidence.KernelDrop{Reason: "TC_EGRESS", Place: "__dev_queue_xmit", Hook: "egress", Device: "wg0",
			Src: from, Dst: to, Packet: "tcp 10.0.0.1:45734 > 10.0.0.2:80, 45 bytes"}),
		drop(&message, evidence.ToWire, evidence.KernelDrop{Reason: "NO_SOCKET", Place: "__udp4_lib_rcv", Socket: true, Hint: true, Claimed: true,
			Data: true, Sender: 3, Src: netip.MustParseAddrPort("198.51.100.1:51820"), Dst: netip.MustParseAddrPort("192.0.2.1:51821"),
			Packet: "udp 198.51.100.1:51820 > 192.0.2.1:51821, 108 bytes"}),
	}
}

func recordDrops(t *testing.T) []byte {
	t.Helper()
	var out bytes.Buffer
	m := testMeta()
	m.Drops = true
	w, err := NewWriter(&out, m)
	if err != nil {
		t.Fatal(err)
	}
	events, _ := session()
	for _, d := range testDrops() {
		if err := errors.Join(w.Event(&events[0], nil, 0), w.Drop(&d.event, &d.drop)); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.CloseAt(Loss{Events: 1, Drops: 5}, start.Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// What the kernel has dropped is read as it was written, among the events, and other tools see it
// as a note.
func TestDrops(t *testing.T) {
	file := recordDrops(t)
	r, packets, err := read(file)
	if err != io.EOF || len(packets) != 4 || !r.Meta().Drops || r.Loss().Drops != 5 {
		t.Fatalf("%d packets, %+v, %v", len(packets), r.Loss(), err)
	}
	for i, want := range testDrops() {
		if event := packets[2*i]; event.Drop != nil || event.Event.Seam != probe.SeamTUNRead {
			t.Errorf("before drop %d: %+v", i, event)
		}
		got := packets[2*i+1]
		if got.Event != want.event || got.Interface != Note || got.Data != nil {
			t.Errorf("drop %d: %+v, want %+v", i, got, want.event)
		}
		if diff := cmp.Diff(&want.drop, got.Drop, cmp.Comparer(func(a, b netip.AddrPort) bool { return a == b })); diff != "" {
			t.Error(diff)
		}
	}
	comment := "kernel alice: 10.0.0.1:45734 > 10.0.0.2:80 tcp [P.] len 45 DROP TC_EGRESS in __dev_queue_xmit, at wg0 (egress)"
	if !bytes.Contains(file, []byte(comment)) {
		t.Errorf("no comment %q", comment)
	}
	if n := bytes.Count(file, []byte("wgnodeE")); n != 2 {
		t.Errorf("%d events: a release that knows no drops would take one for a packet that has passed", n)
	}
}

// Whatever a file says of a drop, it is of no seam, and its names are short.
func TestHostileDrops(t *testing.T) {
	d := testDrops()[0]
	d.drop.Reason, d.drop.Packet = strings.Repeat("R", 1000), strings.Repeat("P", 1000)
	d.drop.Fix, d.drop.Named = []string{"rm -rf /"}, &evidence.Drop{Rule: "x"}
	d.event.Seam, d.event.Checkpoint, d.event.Reason = probe.SeamUDPReceive, probe.B3, probe.NoEndpoint
	content, err := AppendDrop(nil, &d.event, &d.drop)
	if err != nil {
		t.Fatal(err)
	}
	var e probe.Event
	got, err := ParseDrop(content, &e)
	if err != nil || e.Seam != 0 || e.Checkpoint != 0 || e.Dropped() || len(got.Reason) != maxDropName || len(got.Packet) != maxDropPacket ||
		got.Fix != nil || got.Named != nil || got.Segment != evidence.ToTunnel {
		t.Errorf("%+v of %+v: %v", got, e, err)
	}
	event := content[:probe.EventSize]
	for name, b := range map[string][]byte{
		"nothing": nil, "an event alone": event, "no JSON": append(bytes.Clone(event), "no"...),
		"no reason": append(bytes.Clone(event), `{"segment":"to-wire"}`...),
		"too long":  append(bytes.Clone(event), `{"reason":"`+strings.Repeat("R", maxDrop)+`"}`...),
	} {
		if got, err := ParseDrop(b, &e); !errors.Is(err, errDrop) {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
	}
	if got, err := ParseDrop(append(bytes.Clone(event), `{"reason":"X","segment":"to-mars"}`...), &e); err != nil ||
		got.Segment.Known() || got.Segment.String() != "" {
		t.Errorf("a segment of a later release: %+v, %v", got, err)
	}
	// One block that says both is what it says last.
	for _, last := range []byte{kindEvent, kindDrop} {
		file := twice(event, content, last)
		_, packets, err := read(file)
		if err != io.EOF || len(packets) != 1 || (packets[0].Drop != nil) != (last == kindDrop) {
			t.Errorf("an event and a drop in one block, %c last: %+v, %v", last, packets, err)
		}
	}
}

// twice is a recording whose only block has an event and a drop.
func twice(event, drop []byte, last byte) []byte {
	note := append(beginBlock(nil, blockPacket), make([]byte, packetFixed)...)
	if last == kindEvent {
		note = appendCustom(note, kindDrop, 0, 1, drop)
	}
	note = appendCustom(note, kindEvent, 0, 1, event)
	if last == kindDrop {
		note = appendCustom(note, kindDrop, 0, 1, drop)
	}
	return append(describe(`{"format":2,"id":"1","peers":[]}`), endBlock(endOptions(note))...)
}
