package explain

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"slices"
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
	errs := make([]error, len(servers))
	var all sync.WaitGroup
	for i, a := range servers {
		all.Go(func() { errs[i] = query(ctx, netip.AddrPortFrom(a, dnsPort)) })
	}
	all.Wait()
	for i, err := range errs {
		refused := errors.Is(err, syscall.ECONNREFUSED)
		switch {
		case err == nil || ctx.Err() != nil:
		case refused || errors.Is(err, context.DeadlineExceeded):
			g.facts.Asked = append(g.facts.Asked, finding.Asked{Server: servers[i], Took: askTime, Refused: refused})
		default:
			g.failed("name server "+servers[i].String(), err)
		}
	}
}

// query asks a name server for those of the root, which every one has an answer
// to, if only that it refuses. Any answer will do.
func query(ctx context.Context, server netip.AddrPort) error {
	ctx, cancel := context.WithTimeout(ctx, askTime)
	defer cancel()
	c, err := net.DialUDP("udp", nil, net.UDPAddrFromAddrPort(server))
	if err != nil {
		return fmt.Errorf("ask %s: %w", server, err)
	}
	defer c.Close() // nothing is left to be sent
	id := uint16(rand.Uint32())
	question, err := (&dnsmessage.Message{
		Header:    dnsmessage.Header{ID: id, RecursionDesired: true},
		Questions: []dnsmessage.Question{{Name: dnsmessage.MustNewName("."), Type: dnsmessage.TypeNS, Class: dnsmessage.ClassINET}},
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
				return nil
			}
		}
	}
	return ctx.Err()
}
