package rules

import (
	"fmt"
	"net/netip"
	"slices"

	"github.com/wgnode/wgnode/probe"
	"github.com/wgnode/wgnode/probe/diagnose"
	"github.com/wgnode/wgnode/probe/evidence"
	"github.com/wgnode/wgnode/probe/fix"
)

// This file keeps addresses out of a tunnel that never belong in one: a fix that leads them
// there breaks the host, or the tunnel itself.

// unfit says what a is, if it is of that kind; "" if it may be behind a peer. The endpoint of
// a peer may be in AllowedIPs and yet must have its way past the tunnel.
func (f facts) unfit(a netip.Addr) string {
	switch {
	case a.IsUnspecified():
		return "the unspecified address"
	case a.IsLoopback():
		return "a loopback address, which each host has to itself"
	case a.IsMulticast():
		return "a multicast address"
	case a == netip.AddrFrom4([4]byte{255, 255, 255, 255}):
		return "a broadcast address"
	case a.IsLinkLocalUnicast():
		return "a link-local address, which is of one link alone"
	case f.Flow != nil && a == f.Flow.Target.Addr() && f.Flow.Route.Broadcast:
		return "a broadcast address"
	}
	if slices.ContainsFunc(f.Addresses, func(p netip.Prefix) bool { return p.Addr() == a }) ||
		f.Back != nil && f.Back.Local && f.Peer != nil && f.Peer.Disallowed != nil && sourceOf(f.Peer.Disallowed) == a {
		return "this host's own address"
	}
	for _, p := range []*diagnose.Peer{f.Outside, f.Peer} {
		if p != nil && p.Endpoint.Addr().Unmap() == a {
			return "the endpoint of " + p.Label()
		}
	}
	return ""
}

// sourceOf is the inner source of a packet.
func sourceOf(e *probe.Event) netip.Addr {
	src, _ := e.Inner()
	return src.Addr()
}

// askInside is what to do where the target is not for a tunnel.
func (f facts) askInside(what string) fix.Steps {
	s := fix.Steps{fix.Notef("%s is %s: leave it out of the tunnel, and ask about an address that is behind a peer; who has what:",
		f.Flow.Target.Addr(), what)}
	return append(s, fix.Check("wg show %s allowed-ips", f.Interface))
}

// unfitTarget words a verdict on packets to an address that does not belong in the tunnel.
func (f facts) unfitTarget(v *diagnose.Verdict, what string) {
	v.Summary = fmt.Sprintf("%s is %s: packets to it do not belong in %s", f.Flow.Target.Addr(), what, f.Interface)
	v.Fix = f.askInside(what)
}

// foreignSource says where this host's own packets enter the tunnel with a source that is
// not an address of the interface: the peer is not likely to allow it. It returns what gives
// them one that is; nil where they have one, or were sent by others.
func (f facts) foreignSource(v *diagnose.Verdict) fix.Steps {
	a1 := f.Flow.Seen[probe.A1]
	if a1 == nil || !f.Flow.Probe.Sent || f.Kernel.On(evidence.ToTunnel).Translated != "" {
		return nil
	}
	from, _ := a1.Inner()
	src, dst := from.Addr(), f.Flow.Target.Addr()
	var own netip.Addr
	for _, a := range f.Addresses {
		switch a := a.Addr(); {
		case a == src:
			return nil
		case a.Is4() == dst.Is4() && !a.IsLinkLocalUnicast() && !own.IsValid():
			own = a
		}
	}
	if !own.IsValid() {
		return nil // none that it could have: see incomplete
	}
	v.Evidence = append(v.Evidence, evidence.Kernel.Says("the packets have the source %s, which is not an address of %s: %s", src, f.Interface,
		f.Flow.Route.Describe()))
	last(v, diagnose.ForwardingDisabled, diagnose.ForwardFirewall, diagnose.NoRouteOnward, diagnose.NoReplyFromDestination,
		diagnose.ReturnRouteWrong, diagnose.NoReply)
	return fix.Steps{fix.Notef("send from an address of %s: without a source in the route (src), or with this one", f.Interface),
		fix.Command("ip route replace %s dev %s src %s", hostPrefix(dst), f.Interface, own)}
}
