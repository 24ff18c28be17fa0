//go:build linux

package explain

import (
	"net/netip"
	"slices"
	"testing"

	"github.com/wgnode/wgnode/node/observe"
	"github.com/wgnode/wgnode/probe"
	"github.com/wgnode/wgnode/probe/diagnose"
	"github.com/wgnode/wgnode/probe/evidence"
	"github.com/wgnode/wgnode/probe/host/netfilter"
)

// An answer is told by its connection, or, where connection tracking does not know it, by the
// addresses that the request had when it left. Others from the same service are none.
func TestOursByAddresses(t *testing.T) {
	tracked := func(id uint32) netfilter.Conntrack {
		return netfilter.Conntrack{Known: true, State: netfilter.Established, ID: id}
	}
	untracked := netfilter.Conntrack{Known: true, State: netfilter.Untracked}
	packet := func(src, dst string, ct netfilter.Conntrack, on evidence.Segment) *observe.Packet {
		a, b := netip.MustParseAddrPort(src), netip.MustParseAddrPort(dst)
		h := netfilter.Header{Proto: probe.ProtoTCP, Src: a.Addr(), SrcPort: a.Port(), Dst: b.Addr(), DstPort: b.Port(), Conntrack: ct}
		p := &observe.Packet{Packet: &netfilter.Packet{First: h, Last: h}}
		p.Match.On = on
		return p
	}
	const client, gateway, server = "10.0.0.1:4000", "192.168.200.2:4000", "192.168.200.22:80"
	for _, c := range []struct {
		name    string
		left    string // the request's source
		request netfilter.Conntrack
		to      string // the answer's destination
		answer  netfilter.Conntrack
		want    bool
	}{
		{name: "tracked", left: client, request: tracked(7), to: client, answer: tracked(7), want: true},
		{name: "translated", left: gateway, request: tracked(7), to: gateway, answer: tracked(7), want: true},
		{name: "not tracked", left: client, request: untracked, to: client, answer: untracked, want: true},
		{name: "not tracked, another's", left: client, request: untracked, to: "10.0.0.1:4001", answer: untracked},
		{name: "answer not tracked", left: client, request: tracked(7), to: client, answer: untracked, want: true},
		{name: "answer not tracked, translated", left: gateway, request: tracked(7), to: gateway, answer: untracked, want: true},
		{name: "answer of a connection of its own", left: client, request: tracked(7), to: client, answer: tracked(8), want: true},
		{name: "another connection", left: client, request: tracked(7), to: "10.0.0.9:4000", answer: tracked(8)},
		{name: "an older kernel", left: gateway, to: gateway, want: true},
		{name: "an older kernel, another's", left: gateway, to: "192.168.200.2:4001"},
	} {
		f := &diagnose.Facts{Side: probe.SideB, Flow: &diagnose.Flow{}}
		w := &kernelWatch{link: "wg0"}
		w.ours(f, packet(c.left, server, c.request, evidence.FromTunnel))
		if got := w.ours(f, packet(server, c.to, c.answer, evidence.ToTunnel)); got != c.want {
			t.Errorf("%s: %v", c.name, got)
		}
	}
}

// A client's port that is that of WireGuard by chance stands for no service: the next
// connection has another.
func TestServices(t *testing.T) {
	f := &diagnose.Facts{Side: probe.SideB, ListenPort: 51820, Flow: &diagnose.Flow{Target: netip.MustParseAddrPort("192.168.200.22:80")},
		Peer: &diagnose.Peer{Endpoint: netip.MustParseAddrPort("198.51.100.1:51821")}}
	for _, c := range []struct {
		on       evidence.Segment
		src, dst uint16
		want     []uint16
	}{
		{evidence.FromTunnel, 51820, 80, []uint16{80}},
		{evidence.FromTunnel, 51821, 80, []uint16{80}},
		{evidence.FromTunnel, 51820, 8080, []uint16{8080}}, // a port forward leads there
		{evidence.ToTunnel, 80, 51820, []uint16{80}},
		{evidence.FromWire, 51821, 51820, []uint16{51820, 51821}},
		{evidence.ToWire, 51820, 80, []uint16{51820}},
	} {
		service := services(f, c.on, c.src, c.dst)
		for _, port := range []uint16{0, c.src, c.dst} {
			if got := service(port); got != slices.Contains(c.want, port) {
				t.Errorf("%v, %d > %d: port %d: %v", c.on, c.src, c.dst, port, got)
			}
		}
	}
}
