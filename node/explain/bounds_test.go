package explain

import (
	"net/netip"
	"testing"

	"github.com/wgnode/wgnode/node/observe"
	"github.com/wgnode/wgnode/probe"
	"github.com/wgnode/wgnode/probe/diagnose"
	"github.com/wgnode/wgnode/probe/evidence"
	"github.com/wgnode/wgnode/probe/host/netfilter"
)

// passed is a packet that came from an address.
func passed(from netip.AddrPort) *observe.Observation {
	h := netfilter.Header{Src: from.Addr(), SrcPort: from.Port()}
	return &observe.Observation{Packet: &observe.Packet{
		Packet: &netfilter.Packet{First: h, Last: h}, Match: observe.Match{On: evidence.FromWire}}}
}

func stranger(i int) netip.AddrPort {
	return netip.AddrPortFrom(netip.AddrFrom4([4]byte{198, 18, byte(i >> 8), byte(i)}), 1000)
}

// Anyone can call from any number of addresses. Of those there are some in a report,
// and the report says that there were more.
func TestStrangersAreBounded(t *testing.T) {
	w := newWireWatch("wg0", &evidence.KernelEvidence{}, nil)
	for i := range 10000 {
		w.stranger(stranger(i).Addr(), &evidence.Traversal{Drop: &evidence.Drop{}})
	}
	var r diagnose.DoctorReport
	w.complete(&r)
	if len(w.strangers) != strangersKept || len(r.Findings) != strangersKept {
		t.Errorf("%d strangers and %d findings", len(w.strangers), len(r.Findings))
	}
	if len(r.Unchecked) == 0 || r.Unchecked[0] != "what this host drops of more than 16 addresses that call" {
		t.Errorf("says %q", r.Unchecked)
	}
}

// A flood of strangers takes no peer's place in what a recording's observer keeps.
func TestObserverOfAFlood(t *testing.T) {
	peer := netip.MustParseAddrPort("192.0.2.1:51820")
	w := &Observer{facts: &diagnose.Facts{}, wire: kernelWatch{whose: newWhose(newStackNode(t, "10.0.0.1").Tunnel)},
		peers:   make(map[netip.AddrPort]probe.PeerID),
		kernels: map[netip.AddrPort]*evidence.KernelEvidence{peer: {}}}
	for i := range 10000 {
		w.add(passed(stranger(i)))
	}
	if len(w.kernels) != remotesKept+1 {
		t.Errorf("%d remote ends are kept", len(w.kernels))
	}
	if w.kernels[peer] == nil {
		t.Error("the peer is not among them")
	}
}
