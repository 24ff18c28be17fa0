package flowtrace

import (
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/wgnode/wgnode/probe"
)

const whole = `alpha flow
  alpha A1-A4
  alpha wire
    hub B3-B8
      hub B3-B4
      hub B4-B7
        hub flow
          hub A1-A4
          hub wire
            beta B3-B8
              beta B3-B4
              beta B4-B7
              beta B7-B8
          hub A5-A6
      hub B7-B8
  alpha A5-A6
`

var snat = netip.MustParseAddr("10.9.0.1")

const second = int64(1e9)

var oneTrace = []struct {
	name string
	run  func(f *fleet)
	want string
}{
	{"healthy", func(f *fleet) { f.goes(syn(1), second, netip.Addr{}) }, whole},
	{"translated by the hub", func(f *fleet) { f.goes(syn(1), second, snat) }, whole},
	{"after a rekey", func(f *fleet) {
		f.goes(syn(1), second, netip.Addr{})
		f.a.rekey(f.hub, 2*second, true)
		f.hub.rekey(f.b, 2*second, true)
		data := syn(1)
		data.flags = probe.TCPAck
		f.goes(data, 3*second, netip.Addr{})
	}, whole},
	{"dropped by the hub", func(f *fleet) {
		p := syn(1)
		now := f.a.send(f.hub, p, second, false)
		f.hub.drops(p, now+1000)
	}, `alpha flow ! no answer
  alpha A1-A4
  alpha wire ! no answer
    hub B3-B8 ! no answer
      hub B3-B4
      hub B4-B7 ! no answer
        hub flow ! no-allowedips-match
          hub A1-A4 ! no-allowedips-match
`},
	{"lost before the hub", func(f *fleet) { f.a.send(f.hub, syn(1), second, true) },
		"alpha flow ! no answer\n  alpha A1-A4\n  alpha wire ! no answer\n"},
	{"not forwarded by the hub", func(f *fleet) { f.a.send(f.hub, syn(1), second, false) },
		`alpha flow ! no answer
  alpha A1-A4
  alpha wire ! no answer
    hub B3-B8 ! no answer
      hub B3-B4
      hub B4-B7 ! no answer
`},
	{"refused by the server", func(f *fleet) {
		p := syn(1)
		now := f.a.send(f.hub, p, second, false)
		now = f.hub.send(f.b, p, now, false)
		r := p.reply()
		r.flags = probe.TCPRst | probe.TCPAck
		now = f.b.send(f.hub, r, now, false)
		f.hub.send(f.a, r, now, false)
	}, `alpha flow ! tcp-reset
  alpha A1-A4
  alpha wire
    hub B3-B8 ! tcp-reset
      hub B3-B4
      hub B4-B7
        hub flow ! tcp-reset
          hub A1-A4
          hub wire
            beta B3-B8 ! tcp-reset
              beta B3-B4
              beta B4-B7
              beta B7-B8
          hub A5-A6
      hub B7-B8
  alpha A5-A6
`},
	{"repeated, as the first was lost", func(f *fleet) {
		p := syn(1)
		f.a.send(f.hub, p, second, true)
		p = syn(1)
		p.stamp += 1000
		f.goes(p, 2*second, netip.Addr{})
	}, whole + "--\nalpha flow ! no answer\n  alpha A1-A4\n  alpha wire ! no answer\n"},
	{"an echo", func(f *fleet) {
		for i := range int64(4) {
			f.goes(echo(uint16(i)), second+i*second, netip.Addr{})
		}
	}, whole},
}

// A connection over a hub is one trace of all three hosts, whatever happens to it on the way.
func TestOneTrace(t *testing.T) {
	for _, c := range oneTrace {
		t.Run(c.name, func(t *testing.T) {
			f := newFleet(Options{})
			c.run(f)
			f.tick(100 * second)
			if d := cmp.Diff(c.want, only(t, f)); d != "" {
				t.Errorf("(-want +got)\n%s", d)
			}
		})
	}
}

func echo(seq uint16) *packet {
	return &packet{proto: probe.ProtoICMP, flags: 8, src: netip.MustParseAddrPort("10.1.0.1:4711"),
		dst: netip.AddrPortFrom(netip.MustParseAddr("10.2.0.1"), seq)}
}

// The spans of a trace lie within their parents, as far as one clock tells, and say which message,
// whose peer, and what became of it.
func TestTimesAndAttributes(t *testing.T) {
	f := newFleet(Options{})
	f.hub.clock, f.b.clock = 0, 0
	f.goes(syn(1), 1e9, netip.Addr{})
	byID := make(map[SpanID]placed)
	for _, spans := range f.traces() {
		for _, s := range spans {
			byID[s.ID] = s
		}
	}
	for _, s := range byID {
		p, ok := byID[s.Parent]
		if ok && (s.Start < p.Start || s.End > p.End) {
			t.Errorf("%s %s is not within %s %s", s.host, s.Name, p.host, p.Name)
		}
		if s.Remote != (ok && s.host != p.host) {
			t.Errorf("%s %s: remote %t", s.host, s.Name, s.Remote)
		}
		switch s.Name {
		case "wire":
			if s.Get("wgnode.message.receiver") == "" || s.Kind != Client {
				t.Errorf("%+v", s)
			}
		case "flow":
			if s.Get("wgnode.outcome") != "answered" || s.Get("destination.address") != "10.2.0.1" || s.Get("destination.port") != "443" {
				t.Errorf("%+v", s)
			}
		case "B3-B8":
			if p.Name != "wire" || s.Get("wgnode.message.receiver") != p.Get("wgnode.message.receiver") || s.Kind != Server {
				t.Errorf("%+v below %+v", s, p)
			}
		}
	}
	if len(byID) != 16 {
		t.Errorf("%d spans", len(byID))
	}
}

// What a flow waited for is in its trace, and leads to the trace of the handshake, which both have.
func TestHandshake(t *testing.T) {
	f := newFleet(Options{})
	p := syn(1)
	e := p.event(f.a, probe.SeamTUNRead, 1e9)
	e.Peer, e.Checkpoint, e.Flags = 1, probe.A1, e.Flags|probe.FlagInitiatedHere
	f.a.t.tell(e)
	f.a.rekey(f.hub, 1e9+500, true)
	m := p.event(f.a, probe.SeamUDPSend, 1e9+10_000)
	m.Kind, m.Peer, m.Pair, m.Checkpoint, m.Flags = probe.KindData, 1, e.Seq, probe.A4, probe.FlagInitiatedHere
	f.a.t.tell(m)
	f.tick(100e9)
	var link *Link
	for _, s := range f.a.spans {
		if s.Name == "handshake" {
			link = &s.Links[0]
		}
	}
	if link == nil {
		t.Fatalf("no handshake in %+v", f.a.spans)
	}
	if got, want := tree(f.traces()[link.Trace]), "alpha A2-A3\n  hub B1-B2\n"; got != want {
		t.Errorf("handshake:\n%swant:\n%s", got, want)
	}
	if s := f.traces()[link.Trace][0]; s.ID != link.Span {
		t.Error("the link leads elsewhere")
	}
}

// One that gets no response is told, whatever the threshold.
func TestFailedHandshake(t *testing.T) {
	f := newFleet(Options{Threshold: ThresholdOf(0)})
	f.a.rekey(f.hub, 1e9, false)
	f.a.rekey(f.hub, 6e9, true)
	if n := len(f.a.spans); n != 1 || f.a.spans[0].Error != "no answer" || f.a.spans[0].End-f.a.spans[0].Start != 5e9 {
		t.Errorf("%d: %+v", n, f.a.spans)
	}
}

// A datagram over a hub is a trace on each side of it, and each leads to the other.
func TestLinksOverHub(t *testing.T) {
	f := newFleet(Options{})
	p := &packet{proto: probe.ProtoUDP, src: netip.MustParseAddrPort("10.1.0.1:5000"), dst: netip.MustParseAddrPort("10.2.0.1:53")}
	f.goes(p, 1e9, netip.Addr{})
	f.goes(p, 2e9, netip.Addr{})
	traces := f.traces()
	if len(traces) != 2 {
		t.Fatalf("%d traces:\n%s", len(traces), only(t, f))
	}
	want := `alpha flow
  alpha A1-A4
  alpha wire
    hub B3-B8
      hub B3-B4
      hub B4-B7
      hub B7-B8
  alpha A5-A6
--
hub flow
  hub A1-A4
  hub wire
    beta B3-B8
      beta B3-B4
      beta B4-B7
      beta B7-B8
  hub A5-A6
`
	if d := cmp.Diff(want, only(t, f)); d != "" {
		t.Error(d)
	}
	links := 0
	for id, spans := range traces {
		for _, s := range spans {
			for _, l := range s.Links {
				links++
				if traces[l.Trace] == nil || l.Trace == id {
					t.Errorf("%s %s: link to %v", s.host, s.Name, l)
				}
			}
		}
	}
	if links != 2 {
		t.Errorf("%d links", links)
	}
}

// With addresses kept out, none is in any span.
func TestAnonymize(t *testing.T) {
	f := newFleet(Options{Anonymize: true})
	f.goes(syn(1), 1e9, netip.Addr{})
	f.goes(echo(1), 2e9, netip.Addr{})
	f.a.rekey(f.hub, 3e9, true)
	allowed := map[string]bool{"wgnode.outcome": true, "wgnode.side": true, "network.transport": true, "network.type": true,
		"destination.port": true, "wgnode.peer.instance_id": true, "wgnode.message.receiver": true, "wgnode.message.counter": true,
		"wgnode.handshake": true, "wgnode.handshake.index": true}
	n := 0
	for _, h := range f.hosts() {
		for _, s := range h.spans {
			for _, a := range s.Attrs {
				if n++; !allowed[a.Key] {
					t.Errorf("%s has %s = %s", s.Name, a.Key, a.Value())
				}
			}
		}
	}
	if n == 0 {
		t.Error("no attributes at all")
	}
}
