package transit

import (
	"net/netip"
	"slices"

	"github.com/wgnode/wgnode/probe"
	"github.com/wgnode/wgnode/tunnel/netstack"
)

// Rule allows flows to some hosts.
type Rule struct {
	Prefix netip.Prefix
	// Proto is an IP protocol, TCP or UDP; 0 for all, ICMP echo included.
	Proto uint8
	// First and Last are the ports that are allowed; both 0 for all. A rule with
	// ports allows no echo.
	First, Last uint16
}

// Rules allow what one of them allows.
type Rules []Rule

// Allow reports whether a flow may pass.
func (rs Rules) Allow(f netstack.Flow) bool {
	return netstack.Routable(f.To.Addr()) && slices.ContainsFunc(rs, func(r Rule) bool { return r.allows(f) })
}

func (r Rule) allows(f netstack.Flow) bool {
	ports := f.Proto == probe.ProtoTCP || f.Proto == probe.ProtoUDP
	return r.Prefix.Contains(f.To.Addr()) && (r.Proto == 0 || r.Proto == f.Proto) &&
		(r.First == 0 && r.Last == 0 || ports && r.First != 0 && r.First <= f.To.Port() && f.To.Port() <= r.Last)
}
