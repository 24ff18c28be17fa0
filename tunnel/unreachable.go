package tunnel

import (
	"net/netip"
	"syscall"

	"github.com/wgnode/wgnode/probe"
	"github.com/wgnode/wgnode/tunnel/udp"
)

// ICMP records that a datagram of ours did not arrive: it is what a bind's
// [udp.Options.OnICMP] is meant to be. The event's kind is probe.KindICMP, and
// its peer the one whose endpoint the datagram was sent to. It does not block.
func (t *Tunnel) ICMP(e udp.ICMPError) {
	dst := netip.AddrPortFrom(e.Dst.Addr().Unmap().WithZone(""), e.Dst.Port())
	ev := probe.Event{
		Kind: probe.KindICMP, Peer: t.peers.at(dst), Reason: unreachableReason(&e),
		OuterSrc: probe.AddrFrom(e.From.Unmap()),
		OuterDst: probe.AddrFrom(dst.Addr()), OuterDstPort: dst.Port(),
	}
	if !e.Local {
		ev.Info, ev.Counter = e.Type, uint64(e.Code)
	}
	t.device(ev)
}

// at returns the configured peer with that endpoint, or 0. Such errors are
// rare enough, the kernel limits their rate, to look at all peers.
func (ps *peers) at(ep netip.AddrPort) probe.PeerID {
	for p := range ps.all() {
		if at := p.endpoint.Load(); at != nil && *at == ep && p.configured.Load() {
			return p.id
		}
	}
	return 0
}

// unreachableReason sorts the codes of destination unreachable (RFC 792; RFC
// 1812, 5.2.7.1; RFC 4443, 3.1) by what a person would do about them.
func unreachableReason(e *udp.ICMPError) probe.Reason {
	const unreachable4, unreachable6 = 3, 1
	switch {
	case e.Local:
		return errnoReason(e.Errno)
	case e.V6 && e.Type == unreachable6:
		switch e.Code {
		case 0: // no route
			return probe.ICMPNetUnreachable
		case 1, 5, 6: // prohibited; source address failed policy; reject route
			return probe.ICMPProhibited
		case 3: // address
			return probe.ICMPHostUnreachable
		case 4: // port
			return probe.ICMPPortUnreachable
		}
	case !e.V6 && e.Type == unreachable4:
		switch e.Code {
		case 0, 6, 11: // net; net unknown; net, for this type of service
			return probe.ICMPNetUnreachable
		case 1, 7, 8, 12: // host; host unknown; source isolated; host, for this type of service
			return probe.ICMPHostUnreachable
		case 3:
			return probe.ICMPPortUnreachable
		case 9, 10, 13: // net, host, communication prohibited
			return probe.ICMPProhibited
		}
	}
	return probe.ICMPOther
}

// errnoReason is for what this host's kernel said without an ICMP message.
func errnoReason(errno syscall.Errno) probe.Reason {
	switch errno {
	case syscall.ENETUNREACH:
		return probe.ICMPNetUnreachable
	case syscall.EHOSTUNREACH:
		return probe.ICMPHostUnreachable
	case syscall.EACCES, syscall.EPERM:
		return probe.ICMPProhibited
	}
	return probe.ICMPOther
}
