package plan

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/wgnode/wgnode/node/config"
	"github.com/wgnode/wgnode/node/hook"
	"github.com/wgnode/wgnode/node/resolver"
)

// State is what Build needs to know about the host. [Gather] finds it out.
type State struct {
	// LinkExists says that the interface's name is taken.
	LinkExists bool
	// EndpointMTUs are the MTUs in bytes of the ways to the peers' endpoints.
	EndpointMTUs []int
	// Loops are the endpoints that the routes would make unreachable.
	Loops []Loop
	// DefaultMTU is that of the default route, 0 if there is none.
	DefaultMTU int
	// OnLink are addresses that the link has already, because a hook has given
	// it some, with the sizes of their networks.
	OnLink []netip.Prefix
	// NoIPv6 is why the host has no IPv6, "" if it has.
	NoIPv6 string
	// NoNftables is why the firewall cannot be set, "" if it can.
	NoNftables string
	// What follows is filled in only for a configuration that needs it: what a
	// default route has to fit in with, a kill switch, a host that forwards, and
	// where name servers are set.
	Default    DefaultState
	KillSwitch KillSwitchState
	Forward    ForwardState
	Resolver   resolver.Choice
}

const (
	// overhead is what a tunnelled packet grows by at most: an IPv6 header (40),
	// UDP (8), and WireGuard's data message (32).
	overhead = 80
	// fallbackMTU is assumed if nothing is known of the way: Ethernet's.
	fallbackMTU = 1500
)

// Build returns the steps that bring cfg up, in wg-quick's order, but that the device of one that has
// firewall tables is configured once these are there. The error says why it cannot be.
func Build(cfg *config.Config, host State) ([]Step, error) {
	if !config.ValidName(cfg.Name) {
		return nil, fmt.Errorf("%q is not the name of an interface", cfg.Name)
	}
	if host.LinkExists {
		return nil, &LinkExistsError{cfg.Name}
	}
	b := builder{cfg: cfg, host: host}
	if err := b.chooseTable(); err != nil {
		return nil, err
	}
	for _, check := range []func() error{b.checkKillSwitch, b.checkExclude, b.checkForward} {
		if err := check(); err != nil {
			return nil, err
		}
	}
	b.killSwitch()
	b.forwarding()
	b.add(Step{Op: OpLink, Why: "the interface that packets enter the tunnel by; this process serves it"})
	b.hooks(hook.PreUp, cfg.Interface.PreUp,
		"a PreUp of the configuration: before the link has the configuration's keys and addresses; what it sets itself stays")
	configure, firewalls := Step{Op: OpConfigure, Mark: b.mark, Why: b.whyConfigure()}, b.firewalls()
	if len(firewalls) == 0 {
		b.add(configure)
	}
	for _, a := range cfg.Interface.Addresses {
		b.add(Step{Op: OpAddress, Prefix: a, Why: "this host's address in the tunnel"})
	}
	mtu, why, err := b.mtu()
	if err != nil {
		return nil, err
	}
	for _, s := range firewalls {
		b.add(s)
	}
	if len(firewalls) > 0 {
		b.add(configure)
	}
	b.add(Step{Op: OpUp, MTU: mtu, Why: why})
	if err := b.dns(); err != nil {
		return nil, err
	}
	b.routes(mtu)
	if err := b.checkMTU(mtu, why); err != nil {
		return nil, err
	}
	b.gateway()
	b.hooks(hook.PostUp, cfg.Interface.PostUp, "a PostUp of the configuration: if it fails, all of this is undone")
	return b.steps, nil
}

type builder struct {
	cfg   *config.Config
	host  State
	steps []Step
	mark  uint32 // of the encrypted packets, 0: none
}

func (b *builder) add(s Step) {
	s.Link = b.cfg.Name
	if s.Prefix.Addr().Is6() && b.host.NoIPv6 != "" {
		s.Skip = b.host.NoIPv6
	}
	b.steps = append(b.steps, s)
}

func (b *builder) whyConfigure() string {
	peers := fmt.Sprintf("%d peers", len(b.cfg.Peers))
	if len(b.cfg.Peers) == 1 {
		peers = "1 peer"
	}
	if b.mark != 0 {
		return fmt.Sprintf("the private key, the port, %s, and the mark %d for encrypted packets", peers, b.mark)
	}
	return "the private key, the port, and " + peers
}

func (b *builder) mtu() (mtu int, why string, err error) {
	if m := b.cfg.Interface.MTU; m > 0 {
		return m, "the MTU that the configuration gives", nil
	}
	return b.host.MTU()
}

// MTU returns the MTU in bytes of a tunnel whose configuration gives none, and
// where it comes from. It is wg-quick's rule: the smallest on the ways to the
// endpoints, or else the default route's, or else Ethernet's, less WireGuard's
// overhead.
func (s State) MTU() (mtu int, why string, err error) {
	outer, from := fallbackMTU, "assumed: no default route"
	switch {
	case len(s.EndpointMTUs) > 0:
		outer, from = slices.Min(s.EndpointMTUs), "the smallest on the paths to the endpoints"
	case s.DefaultMTU > 0:
		outer, from = s.DefaultMTU, "that of the default route"
	}
	if outer <= overhead {
		return 0, "", fmt.Errorf("compute MTU: %d (%s) leaves nothing for the tunnel", outer, from)
	}
	return outer - overhead, fmt.Sprintf("%d (%s) less the %d that WireGuard adds", outer, from, overhead), nil
}

// routes adds a route for each allowed prefix, longest first, to the table that
// the configuration names. In the main table those are left out that a route to
// the device covers already: the network of an address, and what is in it. It is
// what wg-quick asks `ip route show dev NAME match PREFIX` for. A default route
// is a case of its own there. mtu is that of the link, in bytes.
func (b *builder) routes(mtu int) {
	table := b.cfg.Interface.Table
	if table == config.TableOff {
		return
	}
	var have []netip.Prefix
	for _, a := range slices.Concat(b.cfg.Interface.Addresses, b.host.OnLink) {
		if n, ok := connected(a); ok {
			have = append(have, n)
		}
	}
	if b.host.NoIPv6 == "" && mtu >= minIPv6MTU {
		have = append(have, linkLocal)
	}
	for _, r := range longestFirst(b.cfg.AllowedRoutes()) {
		within, all := b.excluded(r.Prefix)
		switch {
		case all:
		case table != config.TableAuto:
			b.throws(within, int(table))
			b.add(Step{Op: OpRoute, Prefix: r.Prefix, Table: int(table), Why: b.whyRoute(r)})
		case r.Prefix.Bits() == 0:
			b.defaultRoute(r, within)
		case !slices.ContainsFunc(have, func(h netip.Prefix) bool { return covers(h, r.Prefix) }):
			// What is added needs no place in have: it covers nothing that follows,
			// as that is shorter, or of the same length and another prefix.
			if len(within) > 0 {
				b.split(r, within)
				continue
			}
			b.add(Step{Op: OpRoute, Prefix: r.Prefix, Why: b.whyRoute(r)})
		}
	}
}

// longestFirst puts routes in the order of wg-quick, which sorts with `sort -nr
// -k 2 -t /`: that settles equal lengths by the text, backwards.
func longestFirst(routes []config.Route) []config.Route {
	texts := make(map[netip.Prefix]string, len(routes)) // made once, as there may be thousands
	for _, r := range routes {
		texts[r.Prefix] = r.Prefix.String()
	}
	slices.SortFunc(routes, func(x, y config.Route) int {
		if x.Prefix.Bits() != y.Prefix.Bits() {
			return y.Prefix.Bits() - x.Prefix.Bits()
		}
		return strings.Compare(texts[y.Prefix], texts[x.Prefix])
	})
	return routes
}

func (b *builder) whyRoute(r config.Route) string {
	p := &b.cfg.Peers[r.Peer]
	why := fmt.Sprintf("AllowedIPs of %s", p)
	if line := p.AllowedIPsLine(r.Prefix); line > 0 {
		why = fmt.Sprintf("%s, line %d", why, line)
	}
	return why
}

// linkLocal is the network that the kernel routes to every link that has IPv6,
// because it gives the link an address there.
var linkLocal = netip.MustParsePrefix("fe80::/64")

// LinkExistsError says that the name of the interface is taken.
type LinkExistsError struct{ Name string }

func (e *LinkExistsError) Error() string { return fmt.Sprintf("`%s' already exists", e.Name) }

// MTUError says that a route of IPv6 was asked for on a link whose MTU is too small
// for IPv6: the kernel then takes IPv6 off the link.
type MTUError struct {
	MTU    int          // bytes
	Why    string       // it is that
	Prefix netip.Prefix // of the route
}

func (e *MTUError) Error() string {
	return fmt.Sprintf("MTU %d is too small for the route to %s: IPv6 needs %d (it is %s)", e.MTU, e.Prefix, minIPv6MTU, e.Why)
}

// checkMTU refuses routes that the kernel would refuse when half of all is done.
func (b *builder) checkMTU(mtu int, why string) error {
	if mtu >= minIPv6MTU {
		return nil
	}
	for _, s := range b.steps {
		if s.Op == OpRoute && s.Prefix.Addr().Is6() && s.Skip == "" {
			return &MTUError{mtu, why, s.Prefix}
		}
	}
	return nil
}

// minIPv6MTU in bytes is the least that a link must have for IPv6 (RFC 8200,
// section 5).
const minIPv6MTU = 1280

// connected returns the prefix that the kernel routes to a link by itself, once
// the link is up, because of an address: its network. An IPv4 address of full
// length has none, and neither has one in 0.0.0.0/8 (fib_add_ifaddr in the
// kernel's net/ipv4/fib_frontend.c); for IPv6 there is always one.
func connected(a netip.Prefix) (netip.Prefix, bool) {
	n := a.Masked()
	if n.Addr().Is4() && (n.IsSingleIP() || n.Addr().As4()[0] == 0) {
		return netip.Prefix{}, false
	}
	return n, true
}

func covers(outer, inner netip.Prefix) bool {
	return outer.Bits() <= inner.Bits() && outer.Contains(inner.Addr())
}
