package setup

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/wgnode/wgnode/node/config"
	"github.com/wgnode/wgnode/probe/key"
)

// Client is what a new peer of a server is to be.
type Client struct {
	Name string
	// Private is the peer's own key. If it is zero only Public is known here.
	Private   key.Private
	Public    key.Public
	Preshared key.Preshared
	Addresses []netip.Addr // of the families that it has
	// Endpoint is where it finds the server: HOST:PORT.
	Endpoint  string
	Server    string // what the server is called there
	DNS       []netip.Addr
	Search    []string
	Full      bool           // all of its packets go through the tunnel
	Routes    []netip.Prefix // what does besides the server's networks
	Keepalive uint16         // seconds
}

// Peer is the section that the server's file gets.
func (c *Client) Peer() *config.Peer {
	return &config.Peer{Name: c.Name, PublicKey: c.Public, PresharedKey: c.Preshared, AllowedIPs: hosts(c.Addresses)}
}

// Config is the client's own file. server is resolved.
func (c *Client) Config(server *config.Config) *config.Config {
	allowed := Networks(server)
	for i, n := range allowed {
		allowed[i] = n.Masked()
	}
	for _, a := range server.Interface.Addresses {
		if !slices.ContainsFunc(allowed, func(n netip.Prefix) bool { return n.Contains(a.Addr()) }) && !a.Addr().IsLinkLocalUnicast() {
			allowed = append(allowed, netip.PrefixFrom(a.Addr(), a.Addr().BitLen()))
		}
	}
	if c.Full {
		allowed = []netip.Prefix{netip.PrefixFrom(netip.IPv4Unspecified(), 0), netip.PrefixFrom(netip.IPv6Unspecified(), 0)}
	}
	for _, r := range c.Routes {
		if !slices.Contains(allowed, r) && !c.Full {
			allowed = append(allowed, r)
		}
	}
	return &config.Config{
		Interface: config.Interface{PrivateKey: c.Private, Addresses: hosts(c.Addresses), DNS: c.DNS, Search: c.Search,
			MTU: server.Interface.MTU},
		Peers: []config.Peer{{Name: c.Server, PublicKey: server.Interface.PrivateKey.Public(), PresharedKey: c.Preshared,
			Endpoint: c.Endpoint, AllowedIPs: allowed, PersistentKeepalive: c.Keepalive}},
	}
}

// hosts are prefixes of one address each.
func hosts(addrs []netip.Addr) []netip.Prefix {
	all := make([]netip.Prefix, len(addrs))
	for i, a := range addrs {
		all[i] = netip.PrefixFrom(a, a.BitLen())
	}
	return all
}

// ErrNoPort says that a server has no port that its clients could know.
var ErrNoPort = errors.New("the interface has no fixed port: without one it gets another each time that it comes up")

// Endpoint returns HOST:PORT of what was said about where a server is: a name or an
// address, with a port or without, which is then the server's.
func Endpoint(said string, port uint16) (string, error) {
	host, number := strings.Trim(said, "[]"), strconv.Itoa(int(port))
	_, err := netip.ParseAddr(host)
	if err != nil && strings.Contains(said, ":") {
		if host, number, err = net.SplitHostPort(said); err != nil {
			return "", fmt.Errorf("%q is not HOST or HOST:PORT", config.Redact(said))
		}
	} else if port == 0 {
		return "", ErrNoPort
	}
	b := config.NewBuilder()
	b.BeginPeer()
	if err := b.Set("Endpoint", net.JoinHostPort(host, number)); err != nil {
		return "", fmt.Errorf("%q is not HOST or HOST:PORT: %w", config.Redact(said), err)
	}
	return b.Config().Peers[0].Endpoint, nil
}

// Reach is how an address can be reached from outside.
type Reach uint8

// The kinds of Reach.
const (
	Nowhere Reach = iota // none: of this host or its link alone
	Private              // behind NAT, if at all
	Global
)

// carrier is what carriers have behind their NAT (RFC 6598).
var carrier = netip.MustParsePrefix("100.64.0.0/10")

// ReachOf tells how far an address of this host is known.
func ReachOf(a netip.Addr) Reach {
	switch {
	case !a.IsValid() || !a.IsGlobalUnicast():
		return Nowhere
	case a.IsPrivate() || carrier.Contains(a):
		return Private
	}
	return Global
}

// Uplink chooses among the addresses with which this host speaks to the internet by IPv4
// and IPv6, either of which may be none: one that can be reached from everywhere, by
// IPv4, as not all have IPv6.
func Uplink(four, six netip.Addr) (netip.Addr, Reach) {
	for _, want := range []Reach{Global, Private} {
		for _, a := range []netip.Addr{four, six} {
			if ReachOf(a) == want {
				return a, want
			}
		}
	}
	return netip.Addr{}, Nowhere
}
