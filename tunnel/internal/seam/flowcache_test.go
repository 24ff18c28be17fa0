package seam

import (
	"net/netip"
	"testing"

	"github.com/wgnode/wgnode/probe"
)

// TestFlowCacheFollowsChanges: a flow whose packets have passed goes elsewhere
// once the AllowedIPs say so, and its prefix is the new one.
func TestFlowCacheFollowsChanges(t *testing.T) {
	r := newRig(t, 2, 1, packetKinds[0])
	latest := func() (e probe.Event) {
		r.w.Recorder.Scan(probe.LaneTUNRead, func(p *probe.Event) bool { e = *p; return true })
		return e
	}
	send := func(times int) probe.Event {
		for range times {
			r.turn = 0 // always to the first peer's address
			r.outbound()
		}
		return latest()
	}
	first, second := r.w.Mirror.Peers.Get(1).ID, r.w.Mirror.Peers.Get(2).ID
	if e := send(3); e.Peer != first || e.PrefixBits != 32 {
		t.Fatalf("peer %d, prefix /%d", e.Peer, e.PrefixBits)
	}
	host := netip.PrefixFrom(addr4(0), 32)
	r.w.Mirror.Allowed.Insert(host, second)
	if e := send(2); e.Peer != second || e.PrefixBits != 32 {
		t.Errorf("after the change: peer %d, prefix /%d", e.Peer, e.PrefixBits)
	}
	r.w.Mirror.Allowed.Insert(netip.MustParsePrefix("10.0.0.0/8"), first)
	r.w.Mirror.Allowed.Remove(host, second)
	if e := send(2); e.Peer != first || e.PrefixBits != 8 {
		t.Errorf("with a wider prefix: peer %d, prefix /%d", e.Peer, e.PrefixBits)
	}
	r.w.Mirror.Allowed.RemovePeer(first)
	if e := send(2); e.Peer != 0 || e.Reason != probe.NoAllowedIPsMatch {
		t.Errorf("without a prefix: peer %d, %v", e.Peer, e.Reason)
	}
}
