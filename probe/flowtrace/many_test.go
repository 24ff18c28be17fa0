package flowtrace

import (
	"net/netip"
	"testing"

	"github.com/wgnode/wgnode/probe"
)

// manyPacket is the opening of one of many flows: connections with and without timestamps, echoes and
// datagrams, of which all have another destination, so that a span tells which flow it is of.
func manyPacket(n int) *packet {
	src := netip.AddrFrom4([4]byte{10, 1, byte(n % 7), 1})
	dst := netip.AddrFrom4([4]byte{10, 2, byte(n >> 8), byte(n)})
	switch n % 5 {
	case 0:
		return &packet{proto: probe.ProtoUDP, src: netip.AddrPortFrom(src, 5353), dst: netip.AddrPortFrom(dst, 53)}
	case 1:
		return &packet{proto: probe.ProtoICMP, flags: 8, src: netip.AddrPortFrom(src, 1), dst: netip.AddrPortFrom(dst, 1)}
	case 2: // without timestamps, and of a program that gives all the same number
		return &packet{proto: probe.ProtoTCP, flags: probe.TCPSyn, seq: 42, src: netip.AddrPortFrom(src, 40000), dst: netip.AddrPortFrom(dst, 80)}
	}
	p := syn(n)
	p.dst = netip.AddrPortFrom(dst, 443)
	if n%50 == 3 { // forged: as another one
		p.seq, p.stamp = 7, 7
	}
	return p
}

// Of 10,000 flows no two are ever in one trace, and none that a hub sees by its content is in two.
func TestManyFlows(t *testing.T) {
	const n = 10_000
	f := newFleet(Options{MaxFlows: 4 * n})
	for i := range n {
		now := int64(1e9) + int64(i)*1_000_000
		if i%1000 == 500 {
			f.a.rekey(f.hub, now, true)
			f.hub.rekey(f.b, now, true)
		}
		var translated netip.Addr
		if i%3 == 0 {
			translated = snat
		}
		p := manyPacket(i)
		switch i % 11 {
		case 9:
			f.a.send(f.hub, p, now, true)
		case 10:
			f.hub.drops(p, f.a.send(f.hub, p, now, false))
		default:
			f.goes(p, now, translated)
		}
	}
	f.tick(1e15)
	traces := f.traces()
	flowsOf := make(map[string]map[TraceID]bool)
	for id, spans := range traces {
		dst := ""
		ids := make(map[SpanID]bool)
		for _, s := range spans {
			ids[s.ID] = true
		}
		roots := 0
		for _, s := range spans {
			if at := s.Get("destination.address"); at != "" {
				if dst != "" && dst != at {
					t.Fatalf("%s and %s are one trace:\n%s", dst, at, tree(spans))
				}
				dst = at
			}
			if !ids[s.Parent] {
				roots++
			}
		}
		if roots != 1 {
			t.Fatalf("%d roots in\n%s", roots, tree(spans))
		}
		if dst != "" {
			if flowsOf[dst] == nil {
				flowsOf[dst] = make(map[TraceID]bool)
			}
			flowsOf[dst][id] = true
		}
	}
	var missing, apart int
	for i := range n {
		p := manyPacket(i)
		got := len(flowsOf[p.dst.Addr().String()])
		byContent := i%5 > 2 && i%50 != 3 || i%5 == 1 && i%3 != 0
		switch {
		case got == 0:
			missing++
		case got > 1 && byContent:
			apart++
		}
	}
	counted := uint64(0)
	for _, h := range f.hosts() {
		c := h.t.Counts()
		counted += c.Limited + c.Forgotten + c.Incomplete + c.Unsampled
	}
	if missing > 0 || apart > 0 || counted > 0 {
		t.Errorf("of %d flows %d are in no trace, and %d in more than one; counted %d", n, missing, apart, counted)
	}
}

// All hosts keep the same of them, and of those with a drop all, with what leads to the drop.
func TestSampling(t *testing.T) {
	const n = 5_000
	f := newFleet(Options{Threshold: ThresholdOf(0.1)})
	for i := range n {
		now := int64(1e9) + int64(i)*50_000_000
		if p := syn(i); i%100 == 99 {
			f.hub.drops(p, f.a.send(f.hub, p, now, false))
		} else {
			f.goes(p, now, netip.Addr{})
		}
	}
	f.tick(1e15)
	dropped, healthy := 0, 0
	for id, spans := range f.traces() {
		switch len(spans) {
		case 16:
			if healthy++; !ThresholdOf(0.1).Keeps(id) || !spans[0].Sampled {
				t.Error("a trace is kept that is not to be")
			}
		case 8:
			dropped++
		default:
			t.Errorf("%d spans:\n%s", len(spans), tree(spans))
		}
	}
	if dropped != n/100 || healthy < n/10-n/50 || healthy > n/10+n/50 {
		t.Errorf("%d with a drop, %d others", dropped, healthy)
	}
	if c := f.a.t.Counts(); c.Traced+c.Unsampled != n {
		t.Errorf("%+v", c)
	}
}

func TestThreshold(t *testing.T) {
	for ratio, want := range map[float64]string{1: "ot=th:0", 0.5: "ot=th:8", 0.01: "ot=th:fd70a3d70a3d71"} {
		if got := ThresholdOf(ratio).State(); got != want {
			t.Errorf("%v: %s, want %s", ratio, got, want)
		}
	}
	if ThresholdOf(0).Keeps(TraceID{15: 0xff, 9: 0xff, 10: 0xff, 11: 0xff, 12: 0xff, 13: 0xff, 14: 0xff}) {
		t.Error("nothing is to be kept, and something is")
	}
}

// What programs send has a bound here, whatever it is, and what goes for it is counted.
func TestBounds(t *testing.T) {
	f := newFleet(Options{MaxFlows: 100})
	for i := range 1000 {
		f.a.send(f.hub, syn(i), int64(1e9)+int64(i), false)
	}
	if c := f.a.t.Counts(); f.a.t.Len() != 100 || c.Forgotten != 900 || len(f.a.t.traces) > 100 || len(f.hub.t.within) > 100 {
		t.Errorf("%d flows, %d traces, %d within, %+v", f.a.t.Len(), len(f.a.t.traces), len(f.hub.t.within), c)
	}
	f.a.t.opt.Threshold = ThresholdOf(0)
	f.tick(100e9)
	before := f.a.t.Counts()
	f.a.t.limit = bucket{}
	for i := range 1000 { // none is answered
		p := syn(5000 + i)
		f.a.send(f.hub, p, int64(200e9)+int64(i), true)
		f.a.t.Tick(int64(210e9) + int64(i))
	}
	if c := f.a.t.Counts(); c.Traced-before.Traced > limitBurst+1 || c.Limited == 0 {
		t.Errorf("%+v, before %+v", c, before)
	}
}

// What became of a flow whose events were missed is not known, and so no fault.
func TestMissedEvents(t *testing.T) {
	f := newFleet(Options{Threshold: ThresholdOf(0)})
	f.a.send(f.hub, syn(1), 1e9, true)
	f.a.t.Missed(3)
	f.tick(100e9)
	if c := f.a.t.Counts(); len(f.a.spans) != 0 || c.Incomplete != 1 {
		t.Errorf("%+v, %+v", c, f.a.spans)
	}
}

// Of a flow that is answered nothing more is wanted, until it has been silent.
func TestWanted(t *testing.T) {
	f := newFleet(Options{})
	p := &packet{proto: probe.ProtoUDP, src: netip.MustParseAddrPort("10.1.0.1:5000"), dst: netip.MustParseAddrPort("10.2.0.1:53")}
	event := func(at int64) *probe.Event {
		e := p.event(f.a, probe.SeamTUNRead, at)
		e.Peer, e.Checkpoint = 1, probe.A1
		return e
	}
	if !f.a.t.Wanted(event(1e9)) {
		t.Error("the first is not wanted")
	}
	f.goes(p, 1e9, netip.Addr{})
	for at := int64(2e9); at < 1000e9; at += 100e9 {
		if f.a.t.Wanted(event(at)) {
			t.Errorf("one of a flow that goes on is wanted at %d", at)
		}
	}
	if !f.a.t.Wanted(event(2000e9)) {
		t.Error("the first after a silence is not wanted")
	}
}

func BenchmarkWanted(b *testing.B) {
	f := newFleet(Options{})
	for _, proto := range []uint8{probe.ProtoTCP, probe.ProtoUDP} {
		p := syn(1)
		p.proto, p.flags = proto, probe.TCPAck
		f.goes(p, 1e9, netip.Addr{})
		e := p.event(f.a, probe.SeamUDPSend, 2e9)
		e.Peer = 1
		b.Run(probe.ProtocolName(proto), func(b *testing.B) {
			for b.Loop() {
				if f.a.t.Wanted(e) {
					b.Fatal("wanted")
				}
			}
		})
	}
}

// BenchmarkFlow is what one flow costs that is not kept: the events of its packet on one host.
func BenchmarkFlow(b *testing.B) {
	f := newFleet(Options{Threshold: ThresholdOf(0)})
	b.ReportAllocs()
	n := 0
	for b.Loop() {
		p := &packet{proto: probe.ProtoUDP, src: netip.MustParseAddrPort("10.1.0.1:5000"),
			dst: netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 8, byte(n >> 8), byte(n)}), uint16(2000+n>>16))}
		f.a.send(f.hub, p, int64(1e9)+int64(n)*500_000, true)
		n++
	}
}
