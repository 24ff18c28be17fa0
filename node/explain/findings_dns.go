package explain

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/net/dns/dnsmessage"

	"github.com/wgnode/wgnode/node/resolver"
	"github.com/wgnode/wgnode/probe"
	"github.com/wgnode/wgnode/probe/diagnose/finding"
	"github.com/wgnode/wgnode/probe/evidence"
)

const (
	dnsPort = 53
	// resolverTime is how long systemd-resolved may take to say whom it asks.
	resolverTime = 2 * time.Second
	// askTime is how long a name server may take, and askEvery how long until
	// the question is sent again.
	askTime  = 2 * time.Second
	askEvery = 700 * time.Millisecond
)

// resolver finds out whom the system asks for names, where that matters: the
// configuration says who it should be, or nobody should be asked outside of the
// tunnel.
func (g *gathering) resolver(ctx context.Context) {
	full := func(p finding.Peer) bool {
		return slices.ContainsFunc(p.AllowedIPs, func(a netip.Prefix) bool { return a.Bits() <= 1 })
	}
	if len(g.facts.DNS) == 0 && !slices.ContainsFunc(g.facts.Peers, full) {
		return
	}
	var want resolver.Kind
	if g.File != nil {
		want = resolver.Kind(g.File.Interface.Resolver)
	}
	ctx, cancel := context.WithTimeout(ctx, resolverTime)
	defer cancel()
	asks, err := resolver.Host{}.Asks(ctx, want)
	if err != nil {
		g.failed("whom the system asks for names", err)
		return
	}
	g.facts.Resolver, g.facts.ResolverSeen = asks.By, true
	for _, a := range asks.Servers {
		g.facts.SystemAsks = append(g.facts.SystemAsks, finding.Server{Addr: a, Route: g.routeOfServer(a)})
	}
}

func (g *gathering) routeOfServer(a netip.Addr) evidence.RouteDecision {
	return routeTo(netip.AddrPortFrom(a, dnsPort), probe.ProtoUDP, 0, g.Interface)
}

// ask asks those of the configuration's name servers something that are behind a
// peer through which packets were just seen to go both ways.
func (g *gathering) ask(ctx context.Context, via probe.PeerID) {
	var servers []netip.Addr
	for _, a := range g.facts.DNS {
		r, ok := g.Tunnel.Lookup(a)
		if ok && r.Peer == via && g.routeOfServer(a).Interface == g.Interface {
			servers = append(servers, a)
		}
	}
	answers := make([]answer, len(servers))
	began := time.Now()
	var all sync.WaitGroup
	for i, a := range servers {
		all.Go(func() { answers[i] = g.question(ctx, netip.AddrPortFrom(a, dnsPort)) })
	}
	all.Wait()
	for i := range answers {
		a := &answers[i]
		asked := finding.Asked{Server: servers[i], Took: askTime, Refused: errors.Is(a.err, syscall.ECONNREFUSED),
			Rejects: a.err == nil && a.code == dnsmessage.RCodeRefused}
		silent := errors.Is(a.err, context.DeadlineExceeded)
		switch {
		case ctx.Err() != nil, a.err == nil && !asked.Rejects:
			continue
		case a.err != nil && !asked.Refused && !silent:
			g.failed("name server "+servers[i].String(), a.err)
			continue
		case silent:
			asked.From, asked.Disallowed = g.elsewhere(a.local, servers[i], began)
		}
		g.facts.Asked = append(g.facts.Asked, asked)
	}
}

// question asks a name server for those of the root, which every one has an answer to. One
// that refuses that may be there for names of its own alone: then those are asked for.
func (g *gathering) question(ctx context.Context, server netip.AddrPort) answer {
	a := query(ctx, server, ".", dnsmessage.TypeNS)
	if a.err == nil && a.code == dnsmessage.RCodeRefused && g.File != nil && len(g.File.Interface.Search) > 0 {
		return query(ctx, server, strings.TrimSuffix(g.File.Interface.Search[0], ".")+".", dnsmessage.TypeSOA)
	}
	return a
}

// elsewhere looks for an answer to a question that came from another address than the
// server's, which the socket does not take: either it came out of the tunnel, or its source
// is not in the peer's AllowedIPs. The address is invalid if there is none.
func (g *gathering) elsewhere(asker netip.AddrPort, server netip.Addr, since time.Time) (from netip.Addr, disallowed bool) {
	for _, e := range g.Tunnel.Recorder().Snapshot(since, func(e *probe.Event) bool {
		return e.Proto == probe.ProtoUDP && e.InnerSrcPort == dnsPort && e.InnerDstPort == asker.Port() &&
			(e.Reason == probe.DisallowedSource || e.Kind == probe.KindInner && e.Seam == probe.SeamTUNWrite && !e.Dropped())
	}) {
		if src, dst := e.Inner(); dst.Addr() == asker.Addr() && src.Addr() != server {
			return src.Addr(), e.Dropped()
		}
	}
	return netip.Addr{}, false
}

// answer is what became of a question.
type answer struct {
	local netip.AddrPort // that it was asked from
	code  dnsmessage.RCode
	err   error
}

// query asks a name server a question. Any answer to it will do.
func query(ctx context.Context, server netip.AddrPort, name string, kind dnsmessage.Type) answer {
	var a answer
	a.err = a.query(ctx, server, name, kind)
	return a
}

func (a *answer) query(ctx context.Context, server netip.AddrPort, name string, kind dnsmessage.Type) error {
	ctx, cancel := context.WithTimeout(ctx, askTime)
	defer cancel()
	c, err := net.DialUDP("udp", nil, net.UDPAddrFromAddrPort(server))
	if err != nil {
		return fmt.Errorf("ask %s: %w", server, err)
	}
	defer c.Close() // nothing is left to be sent
	a.local = c.LocalAddr().(*net.UDPAddr).AddrPort()
	a.local = netip.AddrPortFrom(a.local.Addr().Unmap(), a.local.Port())
	asked, err := dnsmessage.NewName(name)
	if err != nil {
		return fmt.Errorf("ask %s: %w", server, err)
	}
	id := uint16(rand.Uint32())
	question, err := (&dnsmessage.Message{
		Header:    dnsmessage.Header{ID: id, RecursionDesired: true},
		Questions: []dnsmessage.Question{{Name: asked, Type: kind, Class: dnsmessage.ClassINET}},
	}).Pack()
	if err != nil {
		return fmt.Errorf("ask %s: %w", server, err)
	}
	buf := make([]byte, 1500)
	for ctx.Err() == nil {
		if _, err := c.Write(question); err != nil {
			return fmt.Errorf("ask %s: %w", server, err)
		}
		again := time.Now().Add(askEvery)
		if end, _ := ctx.Deadline(); end.Before(again) {
			again = end
		}
		if err := c.SetReadDeadline(again); err != nil {
			return fmt.Errorf("ask %s: %w", server, err)
		}
		for {
			n, err := c.Read(buf)
			var timeout net.Error
			if errors.As(err, &timeout) && timeout.Timeout() {
				break
			}
			if err != nil {
				return fmt.Errorf("ask %s: %w", server, err)
			}
			var p dnsmessage.Parser
			if h, err := p.Start(buf[:n]); err == nil && h.Response && h.ID == id {
				a.code = h.RCode
				return nil
			}
		}
	}
	return ctx.Err()
}
