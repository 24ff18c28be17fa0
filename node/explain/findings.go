package explain

import (
	"context"
	"fmt"
	"maps"
	"net/netip"
	"runtime/debug"
	"slices"
	"time"

	"github.com/wgnode/wgnode/node/config"
	"github.com/wgnode/wgnode/node/resolver"
	"github.com/wgnode/wgnode/probe"
	"github.com/wgnode/wgnode/probe/diagnose"
	"github.com/wgnode/wgnode/probe/diagnose/finding"
	"github.com/wgnode/wgnode/probe/host/clock"
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
