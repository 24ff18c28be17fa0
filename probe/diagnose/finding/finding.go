// Package finding looks for what is wrong with a configuration on this host,
// whether or not it hurts at the moment. It does no I/O: what is known is in
// [Facts], and each rule is a function of them.
//
// A finding that is none costs more trust than one that is missing. So each rule
// speaks up only where its evidence leaves no harmless reading; what that takes
// is said with each.
package finding

import (
	"net/netip"
	"time"

	"github.com/wgnode/wgnode/probe/diagnose"
	"github.com/wgnode/wgnode/probe/evidence"
	"github.com/wgnode/wgnode/probe/fix"
	"github.com/wgnode/wgnode/probe/key"
)

// Facts are what is known of a configuration and of the host it runs on. What is
// zero is not known, and no rule speaks of it.
type Facts struct {
	Interface  string
	Config     string         // path of the configuration file, "" if there is none
	MTU        int            // bytes
	Addresses  []netip.Prefix // of the interface, with their host bits
	RoutesOff  bool           // Table = off: its routes are made by somebody else
	KillSwitch bool           // nothing leaves the host but by the tunnel,
	LANOpen    bool           // except to the networks that it is in
	Peers      []Peer

	Networks     []Network    // of the host's other links that are up
	Default      []Way        // where what no AllowedIPs cover goes, for each family that has a way
	Forwarding   []Forwarding // of what comes out of the tunnel, for each family
	PassedOn     []PassedOn
	Unmatched    []PassedOn // what peers sent lately that came back to the tunnel, which knows no peer for it
	Clock        Clock
	SystemAsks   []Server // whom the system asks for names, in order
	Resolver     string   // what asks them: "/etc/resolv.conf", "systemd-resolved"
	DNS          []netip.Addr
	ResolverOff  bool // the configuration wants name servers set nowhere
	ResolverSeen bool // SystemAsks is known
	Asked        []Asked
	Changed      []Changed
	Unapplied    []string // peers and prefixes that the file has by now, and the tunnel lacks
	OfKernel     bool     // the tunnel is a device of the kernel's, which others may change at any time
}

// Peer is what is known of one peer.
type Peer struct {
	Key        key.Public
	Name       string // "" if it has none
	AllowedIPs []netip.Prefix
	CallsIn    bool // no endpoint is configured: only the peer can begin
	Keepalive  time.Duration
	Endpoint   netip.AddrPort // now; zero if none is known
	Written    string         // the endpoint as configured, "" if it is not
	// Addresses are all that the name has which that is, the preferred one first; Left are
	// those that the peer was given before and did not keep, the latest last.
	Addresses, Left []netip.AddrPort
	Since, Heard    time.Time              // when it was given Endpoint; when it was heard last
	Route           evidence.RouteDecision // of the endpoint, with the tunnel's mark
	RouteMTU        int                    // bytes; of that route, 0 if not known
	// Opened is the latest connection that somebody behind the peer began
	// towards this side; zero if none was seen.
	Opened time.Time

	// Clock is the time that the peer stated in its latest initiation, ClockAt
	// when that was by this host's clock.
	Clock, ClockAt time.Time
}

// Network is the network of an address of another link.
type Network struct {
	Link string
	Net  netip.Prefix // masked
	// Proxied: the host answers for others in it (proxy ARP), so that a part of
	// it may well be elsewhere.
	Proxied bool
}

// Way is where a packet to the internet goes.
type Way struct {
	IPv6   bool
	Link   string
	Tunnel bool // the link is itself one
	Text   string
}

// Forwarding is whether packets of a family are passed on.
type Forwarding struct {
	IPv6     bool
	On       bool
	Evidence string
	Sysctl   string // what must be 1 for it, "" if it is on
}

// PassedOn is a packet that a peer sent for another host than this one.
type PassedOn struct {
	Peer string // name or short key
	Key  key.Public
	Dst  netip.Addr
}

// Clock is what is known of this host's clock.
type Clock struct {
	Now   time.Time
	Built time.Time // when this program was; zero if not known
	// Synchronized: the kernel says that something keeps the clock right.
	Synchronized bool
}

// Server is a name server that the system asks.
type Server struct {
	Addr  netip.Addr
	Route evidence.RouteDecision
}

// Asked is what became of a question that was sent to a configured name server
// while the tunnel was seen to work.
type Asked struct {
	Server  netip.Addr
	Took    time.Duration
	Refused bool // nothing listens there
	Rejects bool // it has answered that it refuses to answer
	// From is the other address that the answer came from, invalid if there was none, and
	// Disallowed says that this is not in the peer's AllowedIPs.
	From       netip.Addr
	Disallowed bool
}

// Changed is something that the node set on this host and that is no longer so.
type Changed struct {
	What string // in words, the object first
	// Protects: without it packets leave outside the tunnel, or others are let in.
	Protects bool
	DNS      bool      // it is about name servers
	Since    time.Time // when it was noticed, zero if only now
	By       string    // who did it, or could have done it, in words; "" if there is no trace
}

// rule looks for one thing, whose code it need not write into what it finds.
type rule struct {
	code diagnose.Code
	find func(f *Facts) []diagnose.Finding
}

// rules are in the order in which findings are reported.
var rules = []rule{
	{code: diagnose.AddressConflict, find: conflicts},
	{code: diagnose.DuplicateAddress, find: duplicates},
	{code: diagnose.EndpointInTunnel, find: endpointInTunnel},
	{code: diagnose.NoResponse, find: failedOver},
	{code: diagnose.MTUTooLarge, find: tooLarge},
	{code: diagnose.NoKeepalive, find: noKeepalive},
	{code: diagnose.FullTunnelOneFamily, find: oneFamily},
	{code: diagnose.NotAsApplied, find: notAsApplied},
	{code: diagnose.NotAsApplied, find: unapplied},
	{code: diagnose.ForwardingDisabled, find: forwarding},
	{code: diagnose.NoAllowedIPsMatch, find: unmatched},
	{code: diagnose.ClockSkew, find: clock},
	{code: diagnose.DNSNotApplied, find: dnsNotApplied},
	{code: diagnose.DNSLeak, find: dnsLeak},
	{code: diagnose.DNSUnreachable, find: dnsUnreachable},
}

// All returns what is found, in a fixed order.
func All(f *Facts) []diagnose.Finding {
	var all []diagnose.Finding
	for _, r := range rules {
		for _, found := range r.find(f) {
			found.Code = r.code
			all = append(all, found)
		}
	}
	return all
}

func (p *Peer) label() string {
	return diagnose.PeerLabel(p.Key, p.Name)
}

// ownSection is this node's own section of its configuration.
func (f *Facts) ownSection() fix.Where { return fix.Where{File: f.Config, Section: "Interface"} }

// sectionOf is a peer's section of the configuration.
func (f *Facts) sectionOf(p *Peer) fix.Where {
	return fix.Where{File: f.Config, Section: "Peer", Peer: p.Key.String(), Name: p.label()}
}

func family(ipv6 bool) string {
	if ipv6 {
		return "IPv6"
	}
	return "IPv4"
}

// full reports whether prefixes cover all addresses of a family: by a default
// route, or by its two halves.
func full(prefixes []netip.Prefix, ipv6 bool) bool {
	halves := 0
	for _, p := range prefixes {
		if p.Addr().Is6() != ipv6 {
			continue
		}
		switch p.Bits() {
		case 0:
			return true
		case 1:
			halves++
		}
	}
	return halves == 2
}

// fullTunnel returns the first peer that all packets of a family are for, nil if
// there is none.
func (f *Facts) fullTunnel(ipv6 bool) *Peer {
	if f.RoutesOff {
		return nil // what is for the tunnel somebody else decides
	}
	for i := range f.Peers {
		if full(f.Peers[i].AllowedIPs, ipv6) {
			return &f.Peers[i]
		}
	}
	return nil
}
