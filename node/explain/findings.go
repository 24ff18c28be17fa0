package explain

import (
	"context"
	"fmt"
	"maps"
	"net/netip"
	"os"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	"github.com/wgnode/wgnode/node/config"
	"github.com/wgnode/wgnode/node/resolver"
	"github.com/wgnode/wgnode/probe"
	"github.com/wgnode/wgnode/probe/diagnose"
	"github.com/wgnode/wgnode/probe/diagnose/finding"
	"github.com/wgnode/wgnode/probe/evidence"
	"github.com/wgnode/wgnode/probe/host/clock"
	"github.com/wgnode/wgnode/probe/host/routing"
	"github.com/wgnode/wgnode/tunnel"
	"github.com/wgnode/wgnode/tunnel/uapi"
)

// addFindings completes the report of a flow. It also asks the configuration's
// name servers something, if the tunnel was seen to work.
func (x *explanation) addFindings(ctx context.Context, r *diagnose.Report) {
	g := x.gather(ctx, x.concerned())
	if r.Verdict.Healthy() && !x.req.Passive && x.Kernel {
		g.ask(ctx, x.peer)
	}
	r.Findings, r.Unchecked = diagnose.Beside(g.findings(), &r.Verdict), g.unchecked
	r.Findings = append(r.Findings, x.knocked(&r.Verdict)...)
	if !x.Kernel && !r.Verdict.Certain && !r.Verdict.Healthy() {
		r.Unchecked = append(r.Unchecked, kernelUnasked)
	}
}

// kernelUnasked is what is said where a node has no interface.
const kernelUnasked = "what this host's kernel does with the encrypted packets: of a node without an interface " +
	"`wgnode trace` and `wgnode drops` look at that"

// addFindings completes the report of a doctor.
func (s *Subject) addFindings(ctx context.Context, r *diagnose.DoctorReport) {
	g := s.gather(ctx, nil)
	var told []*diagnose.Verdict
	for i := range r.Peers {
		told = append(told, &r.Peers[i].Verdict)
	}
	r.Findings, r.Unchecked = diagnose.Beside(g.findings(), told...), g.unchecked
	r.Degrade()
}

// gathering collects the facts that findings are made of.
type gathering struct {
	*Subject
	facts     finding.Facts
	unchecked []string // what could not be found out, and why
}

func (g *gathering) failed(what string, err error) {
	g.unchecked = append(g.unchecked, fmt.Sprintf("%s: %v", what, err))
}

// manyPeers is from how many peers on an explanation looks for problems of those alone
// that its flow has to do with: of all of them a doctor does.
const manyPeers = 256

// concerned are the peers that the flow has to do with, by the ID; nil for all, where they
// are not many.
func (x *explanation) concerned() map[probe.PeerID]bool {
	if len(x.col.Peers) < manyPeers {
		return nil
	}
	peers := map[probe.PeerID]bool{x.peer: true, x.behind: true, x.col.Via: true, x.know.Lookup(x.flow.Target.Addr()): true}
	if x.from.IsValid() {
		peers[x.know.Lookup(x.from.Addr())] = true
	}
	if p := x.facts.Peer; p != nil && p.Disallowed != nil {
		src, _ := p.Disallowed.Inner()
		peers[x.know.Lookup(src.Addr())] = true
	}
	delete(peers, 0)
	return peers
}

// gather finds out about the configuration and the host, and about the peers in only,
// nil for all. It sends nothing.
func (s *Subject) gather(ctx context.Context, only map[probe.PeerID]bool) *gathering {
	g := &gathering{Subject: s, facts: finding.Facts{Interface: s.Interface, Config: s.Config}}
	st, err := s.configuration()
	if err != nil {
		g.failed("the peers", err)
		return g
	}
	g.peers(st, only)
	g.clock()
	if s.Unread != nil {
		g.unchecked = append(g.unchecked, s.Unread.Error())
	}
	g.facts.OfKernel = s.Tunnel.Level().Kernel()
	if s.File != nil {
		i := &s.File.Interface
		g.facts.RoutesOff, g.facts.DNS = i.Table == config.TableOff, i.DNS
		g.facts.KillSwitch, g.facts.LANOpen = i.KillSwitch, i.KillSwitchLAN
		g.facts.ResolverOff = resolver.Kind(i.Resolver) == resolver.Off
		if !s.Kernel {
			g.facts.Addresses = i.Addresses
		}
	}
	g.facts.Unapplied = s.unappliedPeers(s.filed())
	if s.Changed != nil {
		if g.facts.Changed, err = s.Changed(ctx); err != nil {
			g.failed("whether others have changed what the node set", err)
		}
	}
	if s.Kernel {
		g.host()
		g.resolver(ctx)
	}
	return g
}

// findings are those of the configuration alone, which "up" has warned of as
// well, and those of the configuration on this host.
func (g *gathering) findings() []diagnose.Finding {
	var found []diagnose.Finding
	if g.File != nil {
		for _, w := range g.File.WarningsNow() {
			if code, ok := warningCodes[w.Kind]; ok {
				found = append(found, diagnose.Finding{Code: code, Summary: w.Text, Fix: w.Fix})
			}
		}
	}
	return append(found, finding.All(&g.facts)...)
}

var warningCodes = map[config.WarningKind]diagnose.Code{
	config.WarnOverlap:       diagnose.OverlappingAllowedIPs,
	config.WarnOwnKey:        diagnose.KeyIsOwn,
	config.WarnWorldReadable: diagnose.WorldReadableConfig,
}

// clockFresh is for how long what a peer said of its clock is taken for its
// clock's state.
const clockFresh = 10 * time.Minute

func (g *gathering) peers(st *uapi.Status, only map[probe.PeerID]bool) {
	opened, told := g.opened(), st.ByKey()
	var states []tunnel.PeerState
	if only == nil {
		states = g.Tunnel.Peers()
	} else {
		for _, id := range slices.Sorted(maps.Keys(only)) {
			states = append(states, g.Tunnel.PeerState(id))
		}
		if others := len(st.Peers) - len(only); others > 0 {
			g.unchecked = append(g.unchecked, fmt.Sprintf("the other %d peers: `wgnode doctor %s` looks at them", others, g.Interface))
		}
	}
	var endpoints []netip.AddrPort
	for _, ps := range states {
		conf := told[ps.Key]
		if !ps.Configured || conf == nil {
			continue
		}
		p := finding.Peer{Key: ps.Key, Name: ps.Name, AllowedIPs: conf.AllowedIPs, CallsIn: true,
			Keepalive: conf.PersistentKeepalive, Endpoint: ps.Endpoint, Opened: opened[ps.ID]}
		if g.Endpoint != nil {
			written, _ := g.Endpoint(ps.Key) // why it does not resolve is a verdict's matter
			p.CallsIn, p.Written = written == "", written
		}
		g.places(&p, &ps)
		if since := time.Since(ps.ClockAt); since > -time.Minute && since < clockFresh {
			p.Clock, p.ClockAt = ps.Clock, ps.ClockAt
		}
		if p.Endpoint.IsValid() {
			endpoints = append(endpoints, p.Endpoint)
		}
		g.facts.Peers = append(g.facts.Peers, p)
	}
	routes := g.endpointRoutes(st.ListenPort, st.FwMark, endpoints)
	for i := range g.facts.Peers {
		p := &g.facts.Peers[i]
		r := routes[p.Endpoint]
		p.Route, p.RouteMTU = r.RouteDecision, r.mtu
	}
}

func (g *gathering) clock() {
	c := &g.facts.Clock
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, s := range info.Settings {
			if t, err := time.Parse(time.RFC3339, s.Value); err == nil && s.Key == "vcs.time" {
				c.Built = t
			}
		}
	}
	now, err := clock.Read()
	if c.Now, c.Synchronized = now.Wall, now.Synchronized; err != nil {
		g.failed("whether the clock is synchronized", err)
	}
}

// internet are addresses that only a default route leads to. Nothing is sent
// there.
var internet = [...]netip.Addr{netip.MustParseAddr("1.0.0.1"), netip.MustParseAddr("2000::1")}

// secretive are the kinds of links that are themselves encrypted tunnels.
var secretive = []string{"wireguard", "tun", "xfrm", "vti", "vti6"}

// host reads the kernel's tables.
func (g *gathering) host() {
	snap, err := routing.Take(routing.Options{Only: internet[:]})
	if err != nil {
		g.failed("the host's networks", err)
		return
	}
	for _, l := range snap.Links() {
		if l.Name == g.Interface {
			g.facts.MTU = l.MTU
		}
		for _, a := range l.Addrs {
			switch net := a.Peer.Masked(); {
			case a.Prefix.Addr().IsLinkLocalUnicast() || a.Prefix.Addr().IsLoopback():
			case l.Name == g.Interface:
				g.facts.Addresses = append(g.facts.Addresses, a.Prefix)
			case l.Up && net.IsValid() && !inVRF(snap, l):
				g.facts.Networks = append(g.facts.Networks, finding.Network{Link: l.Name, Net: net, Proxied: proxied(l.Name)})
			}
		}
	}
	for i, r := range routesOf([]routing.Flow{routing.Flow{Dst: internet[0]}.Own(), routing.Flow{Dst: internet[1]}.Own()}, g.Interface) {
		dst := internet[i]
		if l := snap.Link(r.link); r.Kind == evidence.RouteFound && l != nil {
			g.facts.Default = append(g.facts.Default, finding.Way{IPv6: dst.Is6(), Link: l.Name,
				Tunnel: slices.Contains(secretive, l.Kind), Text: r.Text})
		}
	}
	for _, ipv6 := range []bool{false, true} {
		fw := snap.Forwarding(ipv6, g.Interface)
		g.facts.Forwarding = append(g.facts.Forwarding, finding.Forwarding{IPv6: ipv6, On: fw.On, Evidence: fw.Evidence, Sysctl: fw.Sysctl})
		if !fw.On {
			g.passedOn(snap, ipv6)
		}
	}
	g.unmatched()
}

// inVRF reports whether a link's network has routing tables of its own.
func inVRF(snap *routing.Snapshot, l *routing.Link) bool {
	m := snap.Link(l.Master)
	return l.Kind == "vrf" || l.Master != "" && m != nil && m.Kind == "vrf"
}

// proxied reports whether the host answers ARP or NDP for others on a link.
func proxied(link string) bool {
	for _, path := range []string{"ipv4/conf/" + link + "/proxy_arp", "ipv4/conf/all/proxy_arp",
		"ipv6/conf/" + link + "/proxy_ndp", "ipv6/conf/all/proxy_ndp"} {
		if b, err := os.ReadFile("/proc/sys/net/" + path); err == nil && strings.TrimSpace(string(b)) != "0" {
			return true
		}
	}
	return false
}
