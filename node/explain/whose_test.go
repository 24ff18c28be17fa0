//go:build linux

package explain

import (
	"net/netip"
	"testing"
	"time"

	"github.com/wgnode/wgnode/probe"
	"github.com/wgnode/wgnode/probe/diagnose"
	"github.com/wgnode/wgnode/probe/diagnose/collect"
	"github.com/wgnode/wgnode/probe/evidence"
	"github.com/wgnode/wgnode/tunnel"
)

// An initiation is its maker's, also if it is heard after it was dropped; what is not heard
// within a while is anybody's, and one that no peer has made is nobody's.
func TestWhose(t *testing.T) {
	a, b := nodes(t, nil)
	call := initiation(t, a, b)
	alice := b.Tunnel.Peers()[0].ID
	forged := append([]byte{probe.TypeInitiation, 0, 0, 0, 7}, make([]byte, probe.LenInitiation-5)...)
	start := time.Now()
	for _, c := range []struct {
		name string
		do   func(w *whose, ask func())
		msg  []byte
		sent bool
		want belongs
	}{
		{name: "heard before", do: func(w *whose, ask func()) { w.heard(call); ask() }, msg: call, want: belongs{alice, evidence.Authenticated}},
		{name: "heard later", do: func(w *whose, ask func()) { ask(); w.late(start); w.heard(call) }, msg: call,
			want: belongs{alice, evidence.Authenticated}},
		{name: "not heard", do: func(w *whose, ask func()) { ask(); w.late(start.Add(2 * readTime)) }, msg: call,
			want: belongs{known: evidence.Claimed}},
		{name: "nobody's", do: func(w *whose, ask func()) { ask(); w.heard(forged) }, msg: forged, want: belongs{known: evidence.Authenticated}},
		{name: "data of nobody's", do: func(_ *whose, ask func()) { ask() }, msg: []byte{probe.TypeData, 0, 0, 0, 7, 7, 7, 7, 0, 0, 0, 0},
			want: belongs{known: evidence.Claimed}},
		{name: "no message", do: func(_ *whose, ask func()) { ask() }, want: belongs{known: evidence.Claimed}},
		{name: "sent by another", do: func(_ *whose, ask func()) { ask() }, msg: call, sent: true, want: belongs{known: evidence.Claimed}},
	} {
		w, got := newWhose(b.Tunnel), []belongs(nil)
		c.do(w, func() {
			w.ask(c.msg[:min(len(c.msg), tunnel.HeadLen)], c.sent, netip.AddrPort{}, start, func(b belongs) { got = append(got, b) })
		})
		if w.end(); len(got) != 1 || got[0] != c.want {
			t.Errorf("%s: %+v, want %+v", c.name, got, c.want)
		}
	}
	w, told := newWhose(a.Tunnel), 0
	w.ask(call[:tunnel.HeadLen], true, netip.AddrPort{}, start, func(b belongs) {
		if b.known != evidence.Secret || b.peer == 0 {
			t.Errorf("its own initiation: %+v", b)
		}
	})
	for i := range 10 * waitingKept {
		w.ask([]byte{probe.TypeInitiation, 0, 0, 0, byte(i), byte(i >> 8), 0, 0, 0, 0, 0, 0}, false,
			netip.AddrPort{}, start, func(belongs) { told++ })
	}
	if len(w.waiting) != waitingKept || told != 9*waitingKept {
		t.Errorf("%d packets wait, and %d were told of", len(w.waiting), told)
	}
}

// Encrypted packets are evidence for the peer that they are of, and for no other.
func TestHalf(t *testing.T) {
	home, other := netip.MustParseAddrPort("192.0.2.1:51820"), netip.MustParseAddrPort("198.51.100.7:51820")
	x := func(peer probe.PeerID) *explanation {
		alice, bob := &diagnose.Peer{Endpoint: home}, &diagnose.Peer{}
		f := &diagnose.Facts{Kernel: &evidence.KernelEvidence{FromWire: evidence.Traversal{Packets: 1, Src: other, Whose: evidence.Claimed}}}
		x := &explanation{kernel: &kernelWatch{}, inquiry: inquiry{facts: f, peer: peer,
			col: &collect.Collector{Peers: map[probe.PeerID]*diagnose.Peer{1: alice, 2: bob}}}}
		f.Peer = x.col.Peers[peer]
		return x
	}
	secret, claimed := func(p probe.PeerID) belongs { return belongs{p, evidence.Secret} }, belongs{known: evidence.Claimed}
	for _, c := range []struct {
		name string
		peer probe.PeerID // under study
		on   evidence.Segment
		from netip.AddrPort
		of   belongs
		want bool
	}{
		{"the peer's", 1, evidence.FromWire, other, secret(1), true}, {"another peer's", 1, evidence.FromWire, home, secret(2), false},
		{"any peer's", 0, evidence.FromWire, home, secret(2), true},
		{"nobody's", 1, evidence.FromWire, home, belongs{known: evidence.Authenticated}, false},
		{"anybody's, from where the peer is", 1, evidence.FromWire, home, claimed, true},
		{"anybody's, from elsewhere", 1, evidence.FromWire, other, claimed, false},
		{"anybody's, of a peer that may be anywhere", 2, evidence.FromWire, other, claimed, true},
		{"anybody's, of no peer in particular", 0, evidence.FromWire, other, claimed, true},
		{"forwarded for another host", 1, evidence.ToWire, home, claimed, false},
	} {
		if got := x(c.peer).half(c.on, c.from, home, c.of); (got != nil) != c.want {
			t.Errorf("%s: taken %v", c.name, got != nil)
		}
	}
	for id, kept := range map[probe.PeerID]bool{1: false, 2: true} { // who turns out to call; bob may be anywhere
		one := x(0)
		one.only(id)
		if got := one.facts.Kernel.FromWire.Packets > 0; got != kept {
			t.Errorf("peer %d calls: what came from %s is kept: %v", id, other, got)
		}
		one.half(evidence.FromWire, home, home, secret(id))
		one.facts.Kernel.FromWire = evidence.Traversal{Packets: 1, Whose: evidence.Secret}
		if one.only(3 - id); one.facts.Kernel.FromWire.Packets > 0 {
			t.Errorf("the other calls, and what is peer %d's is kept", id)
		}
	}
}

// copied is a tunnel of which copies of packets tell.
type copied struct {
	Tunnel
	level probe.Level
	peers []tunnel.PeerState
}

func (c copied) Level() probe.Level                    { return c.level }
func (c copied) PeerOf([]byte, bool) probe.PeerID      { return 0 }
func (c copied) Peers() []tunnel.PeerState             { return c.peers }
func (c copied) Initiator([]byte) (probe.PeerID, bool) { return 0, false }

// Where a message that a rule drops leaves no copy, one of this host's own is the peer's by
// where it goes, if that is one peer alone; what comes in is not by where it came from.
func TestWhoseOfCopies(t *testing.T) {
	ep := netip.MustParseAddrPort("192.0.2.1:51820")
	one := tunnel.PeerState{ID: 1, Endpoint: ep, Configured: true}
	two, gone := one, one
	two.ID, gone.ID, gone.Configured = 2, 3, false
	head := []byte{probe.TypeData, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8}
	for _, c := range []struct {
		name  string
		level probe.Level
		peers []tunnel.PeerState
		sent  bool
		to    netip.AddrPort
		want  belongs
	}{
		{"sent", probe.LevelCapture, []tunnel.PeerState{gone, one}, true, ep, belongs{1, evidence.Kernel}},
		{"another host's", probe.LevelCapture, []tunnel.PeerState{one}, true, netip.AddrPort{}, belongs{known: evidence.Claimed}},
		{"either's", probe.LevelCapture, []tunnel.PeerState{one, two}, true, ep, belongs{known: evidence.Claimed}},
		{"came in", probe.LevelCapture, []tunnel.PeerState{one}, false, ep, belongs{known: evidence.Claimed}},
		{"told exactly", probe.LevelExact, []tunnel.PeerState{one}, true, ep, belongs{known: evidence.Claimed}},
	} {
		var got belongs
		newWhose(copied{level: c.level, peers: c.peers}).ask(head, c.sent, c.to, time.Now(), func(b belongs) { got = b })
		if got != c.want {
			t.Errorf("%s: %+v", c.name, got)
		}
	}
}
