package recording

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"net/netip"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/wgnode/wgnode/probe"
	"github.com/wgnode/wgnode/probe/evidence"
	"github.com/wgnode/wgnode/probe/key"
)

var start = time.Date(2026, 5, 4, 3, 2, 1, 123456789, time.UTC)

func testMeta() *Meta {
	return &Meta{
		Version: "v1", Host: "alpha", Interface: "wg0", PublicKey: key.Public{1, 2}, ListenPort: 51820, Kernel: true, ID: 0xfeedfacecafebeef,
		Clock: Clock{Started: start, Monotonic: 17, Source: "tsc"}, Snaplen: Headers,
		Peers: []Peer{{ID: 1, PublicKey: key.Public{3}, Name: "alice", Configured: true,
			AllowedIPs: []netip.Prefix{netip.MustParsePrefix("10.0.0.2/32")}, Endpoint: netip.MustParseAddrPort("192.0.2.1:51820")}},
	}
}

// inner is a TCP packet from 10.0.0.1:45734 to 10.0.0.2:80, with content.
func inner(content string) []byte {
	b := []byte{0x45, 0, 0, byte(40 + len(content)), 0, 1, 0, 0, 64, 6, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2,
		0xb2, 0xa6, 0, 80, 0, 0, 0, 7, 0, 0, 0, 9, 0x50, 0x18, 1, 0, 0, 0, 0, 0}
	return append(b, content...)
}

// session is a request in a tunnel as one host sees it: with its events, and what
// was captured of each.
func session() (events []probe.Event, captured [][]byte) {
	host, peer := probe.AddrFrom(netip.MustParseAddr("198.51.100.1")), probe.AddrFrom(netip.MustParseAddr("192.0.2.1"))
	packet := inner("GET /")
	a1 := probe.Event{Time: start.UnixNano() + 1, Seq: 1, Seam: probe.SeamTUNRead, Checkpoint: probe.A1, Kind: probe.KindInner, Peer: 1}
	a1.DecodeInner(packet)
	a1.PrefixBits = 32
	a4 := a1
	a4.Time, a4.Pair, a4.Kind, a4.PrefixBits = a1.Time+1, 1, probe.KindData, probe.NoPrefix
	a4.Seam, a4.Checkpoint = probe.SeamUDPSend, probe.A4
	a4.OuterSrc, a4.OuterDst, a4.OuterSrcPort, a4.OuterDstPort, a4.OuterLen = host, peer, 51820, 51821, 80
	a4.Receiver, a4.Counter = 0x1a2b3c4d, 5
	hello := probe.Event{Time: a4.Time + 1, Seam: probe.SeamUDPReceive, Checkpoint: probe.A3, Kind: probe.KindResponse, Peer: 1,
		OuterSrc: peer, OuterSrcPort: 51821, OuterDstPort: 51820, OuterLen: 92, Sender: 7, Receiver: 9, PrefixBits: probe.NoPrefix}
	note := probe.Event{Time: hello.Time + 1, Seam: probe.SeamDevice, Kind: probe.KindResponse, Peer: 1, PrefixBits: probe.NoPrefix}
	return []probe.Event{a1, a4, hello, note}, [][]byte{packet[:40], nil, bytes.Repeat([]byte{2}, 92), nil}
}

func record(t *testing.T, m *Meta, lost uint64) []byte {
	t.Helper()
	var out bytes.Buffer
	w, err := NewWriter(&out, m)
	if err != nil {
		t.Fatal(err)
	}
	events, captured := session()
	for i := range events {
		if err := w.Event(&events[i], captured[i], lost); err != nil {
			t.Fatal(err)
		}
		lost = 0
	}
	if err := w.Close(Loss{Events: 3, Contents: 2}); err != nil {
		t.Fatal(err)
	}
	if int64(out.Len()) != w.size {
		t.Errorf("size says %d, is %d", w.size, out.Len())
	}
	return out.Bytes()
}

// read reads a whole recording; the packets have data of their own.
func read(b []byte) (*Reader, []Packet, error) {
	r, err := NewReader(bytes.NewReader(b))
	if err != nil {
		return nil, nil, err
	}
	var packets []Packet
	for {
		p, err := r.Next()
		if err != nil {
			return r, packets, err
		}
		packets = append(packets, *p)
		packets[len(packets)-1].Data = bytes.Clone(p.Data)
	}
}

func TestRoundTrip(t *testing.T) {
	m := testMeta()
	r, got, err := read(record(t, m, 3))
	if err != io.EOF {
		t.Fatal(err)
	}
	m.Format = Format
	if d := cmp.Diff(m, r.Meta(), cmpopts.IgnoreUnexported(Meta{}), cmp.Comparer(func(a, b netip.Prefix) bool { return a == b }),
		cmp.Comparer(func(a, b netip.AddrPort) bool { return a == b })); d != "" {
		t.Error(d)
	}
	events, captured := session()
	if len(got) != len(events) {
		t.Fatalf("%d packets, want %d", len(got), len(events))
	}
	for i, want := range []struct {
		in     Interface
		length int
		made   bool
		lost   uint64
	}{{Inside, 45, false, 3}, {Wire, 28 + 80, true, 0}, {Wire, 28 + 92, false, 0}, {Note, 0, true, 0}} {
		p := got[i]
		if p.Event != events[i] {
			t.Errorf("event %d: %+v, want %+v", i, p.Event, events[i])
		}
		if p.Interface != want.in || p.Length != want.length || p.Made != want.made || p.Lost != want.lost {
			t.Errorf("packet %d: %v length %d made %v lost %d, want %+v", i, p.Interface, p.Length, p.Made, p.Lost, want)
		}
		if !bytes.HasSuffix(p.Data, captured[i]) {
			t.Errorf("packet %d: %x does not end with what was captured", i, p.Data)
		}
	}
	if l := r.Loss(); l != (Loss{Events: 3, Contents: 2}) || !r.Complete() {
		t.Errorf("lost %+v, complete %v", l, r.Complete())
	}
}

// A made packet holds the message's own header, bit for bit.
func TestMadePacketsDecode(t *testing.T) {
	events, _ := session()
	for _, want := range events[:3] {
		var got probe.Event
		if interfaceOf(&want) == Inside {
			b, n := appendInside(nil, &want)
			if !got.DecodeInner(append(b, make([]byte, n-len(b))...)) {
				t.Fatal("no IP packet")
			}
			got.Info = want.Info // TCP flags were not made up
			if got.InnerSrc != want.InnerSrc || got.InnerDst != want.InnerDst || got.InnerSrcPort != want.InnerSrcPort ||
				got.InnerDstPort != want.InnerDstPort || got.InnerLen != want.InnerLen || got.Proto != want.Proto {
				t.Errorf("got %+v, want %+v", got, want)
			}
			continue
		}
		b, n := appendWire(nil, &want, nil)
		b = append(b, make([]byte, n-len(b))...)
		if reason := got.DecodeOuter(b[28:]); reason != probe.ReasonNone || got.Kind != want.Kind || got.OuterLen != want.OuterLen ||
			got.Receiver != want.Receiver || got.Sender != want.Sender || got.Counter != want.Counter {
			t.Errorf("%v: got %+v, want %+v", reason, got, want)
		}
		var outer probe.Event
		if !outer.DecodeInner(b) || outer.Proto != probe.ProtoUDP || outer.InnerSrcPort != want.OuterSrcPort ||
			outer.InnerDst != want.OuterDst && want.OuterDst != (probe.Addr{}) {
			t.Errorf("outer header: %+v", outer)
		}
	}
}

func TestEventsAreLossless(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	_, checkpoints, kinds, _ := probe.Names()
	for range 1000 {
		var e, got probe.Event
		e = probe.Event{Time: int64(r.Uint64()), Seq: r.Uint64(), Pair: r.Uint64(), Counter: r.Uint64(),
			InnerSrcPort: uint16(r.Uint32()), InnerDstPort: uint16(r.Uint32()), OuterSrcPort: uint16(r.Uint32()), OuterDstPort: uint16(r.Uint32()),
			Receiver: r.Uint32(), Sender: r.Uint32(), Peer: probe.PeerID(r.Uint32()), InnerLen: uint16(r.Uint32()), OuterLen: uint16(r.Uint32()),
			Seam: probe.Seam(r.IntN(6)), Checkpoint: probe.Checkpoint(r.IntN(len(checkpoints) + 1)), Kind: probe.Kind(r.IntN(len(kinds) + 1)),
			Proto: uint8(r.Uint32()), Reason: probe.Reason(r.IntN(probe.NumReasons)), PrefixBits: uint8(r.Uint32()),
			Flags: probe.Flags(r.Uint32()), Info: uint8(r.Uint32())}
		for _, a := range []*probe.Addr{&e.InnerSrc, &e.InnerDst, &e.OuterSrc, &e.OuterDst} {
			for i := range a {
				a[i] = byte(r.Uint32())
			}
		}
		b, _ := e.AppendBinary(nil)
		if got.SetBinary((*[probe.EventSize]byte)(b)); got != e {
			t.Fatalf("got %+v, want %+v", got, e)
		}
	}
}

// What a crash leaves is read up to the last whole packet.
func TestCutOff(t *testing.T) {
	whole := record(t, testMeta(), 0)
	_, all, _ := read(whole)
	most := 0
	for n := range whole {
		r, got, err := read(whole[:n])
		switch {
		case r == nil && n < 4 && !errors.Is(err, ErrForeign) && err == nil:
			t.Fatalf("%d bytes: %v", n, err)
		case r == nil && n >= 4 && !errors.Is(err, io.ErrUnexpectedEOF):
			t.Fatalf("%d bytes: %v", n, err)
		case r != nil && err != io.ErrUnexpectedEOF && err != io.EOF:
			t.Fatalf("%d bytes: %v", n, err)
		case r != nil && r.Complete() && n < len(whole)-200:
			t.Fatalf("%d bytes: said to be complete", n)
		}
		for i := range got {
			if got[i].Event != all[i].Event || !bytes.Equal(got[i].Data, all[i].Data) {
				t.Fatalf("%d bytes: packet %d differs", n, i)
			}
		}
		if len(got) < most {
			t.Fatalf("%d bytes: %d packets, %d with fewer bytes", n, len(got), most)
		}
		most = len(got)
	}
	if most != len(all) {
		t.Errorf("%d packets, want %d", most, len(all))
	}
}

// A node without peers, whom strangers call perhaps, is recorded like any other.
func TestNoPeers(t *testing.T) {
	var b bytes.Buffer
	w, err := NewWriter(&b, &Meta{ID: 1, Interface: "wg0"})
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Close(Loss{}); err != nil {
		t.Fatal(err)
	}
	r, err := NewReader(&b)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := r.Next(); err != io.EOF || len(r.Meta().Peers) != 0 || r.EndedAt().IsZero() {
		t.Errorf("%v, %v, %v", err, r.Meta().Peers, r.EndedAt())
	}
}

// What a host found out beside its events comes back from the file, also if it is
// longer than an option can be.
func TestObservations(t *testing.T) {
	want := evidence.Observations{Side: probe.SideB, Kernel: &evidence.KernelEvidence{Limits: []string{strings.Repeat("x", 100_000)}}}
	want.Kernel.FromWire.Drop = &evidence.Drop{Hook: "input", Rule: "drop"}
	var b bytes.Buffer
	w, err := NewWriter(&b, &Meta{ID: 1, Interface: "wg0"})
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(w.Observed(&want), w.Close(Loss{})); err != nil {
		t.Fatal(err)
	}
	r, err := NewReader(&b)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := r.Next(); err != io.EOF {
		t.Fatal(err)
	}
	if got := r.Observations(); len(got) != 1 || !reflect.DeepEqual(got[0], want) {
		t.Errorf("%+v", got)
	}
}
