package plan

import (
	"fmt"
	"slices"
	"strings"

	"github.com/wgnode/wgnode/node/config"
	"github.com/wgnode/wgnode/node/internal/nftables"
	"github.com/wgnode/wgnode/node/internal/sysctl"
)

// Forwarding is turned on for all of the host, because packets come back by
// interfaces that nobody has named; per interface the kernel does not know it
// for IPv6 (before Linux 6.17). It is turned on before the link is there and
// turned off after the link has gone: that is how nodes that end at the same
// time find out which of them is the last.
//
// What turning it off again would change besides is put right by further steps,
// which set what is set already and are undone after it.

const (
	forward4 = "net.ipv4.ip_forward"
	forward6 = "net.ipv6.conf.all.forwarding"
)

// ForwardState is what Build needs to know about a host that is to forward.
type ForwardState struct {
	V4, V6 Forwarding
	// Routers are IPv6's default routes that were learnt from a router's
	// advertisement, by the interfaces that have accept_ra set to 1: these lose
	// them once the host forwards.
	Routers []Router
	// Missing are the interfaces to masquerade on that are not there.
	Missing []string
	// Dropping are chains that drop what is forwarded unless a rule of theirs
	// accepts it, in nft(8)'s words.
	Dropping []string
}

// Forwarding is what one family's parameter is now.
type Forwarding struct {
	On bool
	// Fixed is why it cannot be turned on, "" if it can.
	Fixed string
	// Keep are parameters that it changes when it is turned off, with the values
	// that they have now.
	Keep []Sysctl
	// Done are the steps by which the node itself has turned it on.
	Done []Step
}

// except makes f what it was before the step was done.
func (f *ForwardState) except(s Step) {
	family := &f.V4
	if strings.Contains(s.Sysctl, "ipv6") {
		family = &f.V6
	}
	family.Done = append(family.Done, s)
}

// Sysctl is a kernel parameter and its value.
type Sysctl struct{ Name, Value string }

// Router is a default route through a router that has advertised itself.
type Router struct{ Link, Via string }

// forwards reports whether cfg makes the host forward.
func forwards(cfg *config.Config) bool {
	i := &cfg.Interface
	return i.Forward || len(i.Masquerade) > 0 || len(i.PortForwards) > 0
}

// forwardsFamily reports whether the tunnel carries packets of a family.
func forwardsFamily(cfg *config.Config, ipv6 bool) bool {
	for _, a := range cfg.Interface.Addresses {
		if a.Addr().Is6() == ipv6 {
			return true
		}
	}
	return slices.ContainsFunc(cfg.AllowedRoutes(), func(r config.Route) bool { return r.Prefix.Addr().Is6() == ipv6 })
}

func (b *builder) checkForward() error {
	i := &b.cfg.Interface
	if b.host.NoNftables != "" && len(i.Masquerade)+len(i.PortForwards) > 0 {
		return fmt.Errorf("masquerade and port forwards: %s; without nftables there are none", b.host.NoNftables)
	}
	if !forwards(b.cfg) {
		return nil
	}
	for _, f := range []struct {
		ipv6 bool
		name string
		Forwarding
	}{{false, forward4, b.host.Forward.V4}, {true, forward6, b.host.Forward.V6}} {
		if forwardsFamily(b.cfg, f.ipv6) && !f.On && f.Fixed != "" && !(f.ipv6 && b.host.NoIPv6 != "") {
			return fmt.Errorf("forward: %s; a container gets it by the option --sysctl %s=1", f.Fixed, f.name)
		}
	}
	return nil
}

// forwarding adds the steps that turn it on. They are there also if it is on:
// another node that turned it on must not turn it off while this one needs it.
func (b *builder) forwarding() {
	if !forwards(b.cfg) {
		return
	}
	if forwardsFamily(b.cfg, false) {
		b.forwardingOf(forward4, b.host.Forward.V4)
	}
	if !forwardsFamily(b.cfg, true) || b.host.NoIPv6 != "" {
		return
	}
	if !b.host.Forward.V6.On && len(b.host.Forward.V6.Done) == 0 {
		for _, r := range b.host.Forward.Routers {
			b.add(Step{Op: OpSysctl, Sysctl: sysctl.Name("net", "ipv6", "conf", r.Link, "accept_ra"), Value: "2", Before: "1", For: forward6,
				Why: fmt.Sprintf("or else %s loses its default route via %s, which a router has advertised: a host that forwards "+
					"ignores that", r.Link, r.Via)})
		}
	}
	b.forwardingOf(forward6, b.host.Forward.V6)
}

func (b *builder) forwardingOf(name string, f Forwarding) {
	if len(f.Done) > 0 {
		for _, s := range f.Done {
			b.add(s)
		}
		return
	}
	if f.On {
		b.add(Step{Op: OpSysctl, Sysctl: name, Value: "1", Before: "1",
			Why: "forward: it is 1 already, and must stay so while " + b.cfg.Name + " is up"})
		return
	}
	for _, k := range f.Keep {
		b.add(Step{Op: OpSysctl, Sysctl: k.Name, Value: k.Value, Before: k.Value, For: name,
			Why: "it is so now, and turning forwarding off again would change it"})
	}
	b.add(Step{Op: OpSysctl, Sysctl: name, Value: "1", Before: "0", Why: "forward: packets pass between " + b.cfg.Name +
		" and other interfaces; it was 0"})
}

// gateway adds the table that translates addresses, and keeps connections within
// the tunnel's MTU.
func (b *builder) gateway() {
	if !forwards(b.cfg) {
		return
	}
	i := &b.cfg.Interface
	g := &nftables.Gateway{Link: b.cfg.Name, Masquerade: i.Masquerade}
	why := fmt.Sprintf("table %s: segments of TCP that are forwarded fit through the tunnel", g.Name())
	for _, link := range i.Masquerade {
		why += fmt.Sprintf("; what comes out of %s leaves %s with the host's address there", b.cfg.Name, link)
	}
	for _, f := range i.PortForwards {
		g.Forwards = append(g.Forwards, nftables.Forward{UDP: f.Protocol == "udp", From: f.From, Port: f.Port, To: f.To})
		by := f.From
		if by == "" {
			by = "any interface but " + b.cfg.Name
		}
		why += fmt.Sprintf("; %s port %d by %s goes to %s, as from this host", f.Protocol, f.Port, by, f.To)
	}
	s := Step{Op: OpGateway, Gateway: g, Why: why}
	if b.host.NoNftables != "" {
		s.Skip = b.host.NoNftables + "; connections that are forwarded may stall where a message about the MTU is lost"
	}
	b.add(s)
}
