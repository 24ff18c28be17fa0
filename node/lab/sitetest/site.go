//go:build linux

package sitetest

import (
	"fmt"
	"net"
	"net/netip"
	"strings"
	"testing"

	"github.com/wgnode/wgnode/node/lab"
)

// Site is the classic lab with a node on A, called alice, and one on H, called
// gateway. B serves HTTP.
type Site struct {
	*lab.Classic
	T      *testing.T
	Wgnode string
	V6     bool

	Alice, Gateway lab.Key
	ConfA, ConfH   *Conf
}

// Conf is a configuration file, as text to be edited.
type Conf struct{ Text string }

// Replace replaces text that must be there.
func (c *Conf) Replace(t *testing.T, old, new string) {
	t.Helper()
	if !strings.Contains(c.Text, old) {
		t.Fatalf("%q is not in the configuration:\n%s", old, c.Text)
	}
	c.Text = strings.ReplaceAll(c.Text, old, new)
}

// New builds a site whose addresses are IPv4, or IPv6. Both configurations are good, and
// neither node is up.
func New(t *testing.T, v6 bool) *Site {
	s := &Site{Classic: lab.NewClassic(t, lab.Options{}), T: t, Wgnode: lab.Wgnode(t), V6: v6,
		Alice: lab.NewKey(t), Gateway: lab.NewKey(t)}
	s.B.ServeHTTP(net.JoinHostPort(s.IP(s.Addr.B), "80"), "hello")
	s.ConfA = &Conf{fmt.Sprintf(`[Interface]
PrivateKey = %s
Address = 10.0.0.1/24, fd0a::1/64
ListenPort = 51821
[Peer]
# Name = gateway
PublicKey = %s
Endpoint = %s
AllowedIPs = 10.0.0.2/32, fd0a::2/128, %s, %s
`, s.Alice.Private, s.Gateway.Public, net.JoinHostPort(s.IP(s.Addr.HWan), "51820"),
		s.Addr.B.V4.Masked(), s.Addr.B.V6.Masked())}
	s.ConfH = &Conf{fmt.Sprintf(`[Interface]
PrivateKey = %s
Address = 10.0.0.2/24, fd0a::2/64
ListenPort = 51820
[Peer]
# Name = alice
PublicKey = %s
AllowedIPs = 10.0.0.1/32, fd0a::1/128
`, s.Gateway.Private, s.Alice.Public)}
	return s
}

// IP returns the address of an interface in the site's family.
func (s *Site) IP(p lab.Pair) string {
	if s.V6 {
		return p.V6.Addr().String()
	}
	return p.V4.Addr().String()
}

// Inner returns the address in the tunnel of A (1), H (2), or another.
func (s *Site) Inner(n int) string {
	if s.V6 {
		return fmt.Sprintf("fd0a::%d", n)
	}
	return fmt.Sprintf("10.0.0.%d", n)
}

// Web is where B serves HTTP.
func (s *Site) Web() string { return net.JoinHostPort(s.IP(s.Addr.B), "80") }

// Up writes a configuration and brings it up. When it returns the addresses can be used.
func (s *Site) Up(h *lab.Host, c *Conf) {
	s.T.Helper()
	h.WriteFile("/etc/wireguard/wg0.conf", c.Text, 0o600)
	h.Run(s.Wgnode, "up", "wg0")
	h.Settle()
}

// UpBoth brings both up, H first.
func (s *Site) UpBoth() {
	s.T.Helper()
	s.Up(s.H, s.ConfH)
	s.Up(s.A, s.ConfA)
}

// Upstream brings up wireguard-go's own program in place of a node.
func (s *Site) Upstream(h *lab.Host, c *Conf, addr string, routes ...string) {
	var wg []string // what wg setconf takes
	for line := range strings.Lines(c.Text) {
		if !strings.HasPrefix(line, "Address") {
			wg = append(wg, line)
		}
	}
	h.WireguardGo(lab.Tunnel{Name: "wg0", Conf: strings.Join(wg, ""), Addrs: []string{addr}, Routes: routes})
}

// Flag is that of ip for the site's family.
func (s *Site) Flag() string {
	if s.V6 {
		return "-6"
	}
	return "-4"
}

// HWan is H's address towards A, with its network.
func (s *Site) HWan() netip.Prefix {
	if s.V6 {
		return s.Addr.HWan.V6
	}
	return s.Addr.HWan.V4
}

// HLan is the network of H and B.
func (s *Site) HLan() netip.Prefix {
	if s.V6 {
		return s.Addr.HLan.V6.Masked()
	}
	return s.Addr.HLan.V4.Masked()
}

// LAN is A's network.
func (s *Site) LAN() netip.Prefix {
	if s.V6 {
		return s.Addr.A.V6.Masked()
	}
	return s.Addr.A.V4.Masked()
}

// Stranger removes alice from H.
func (s *Site) Stranger() {
	s.ConfH.Text = s.ConfH.Text[:strings.Index(s.ConfH.Text, "[Peer]")]
}

// Untranslated takes NAT off R: H sees A's own address, and has a route to it.
func (s *Site) Untranslated() {
	s.R.Run("nft", "delete", "table", "inet", "nat")
	for _, p := range []netip.Prefix{s.Addr.A.V4, s.Addr.A.V6} {
		via := s.Addr.RWan.V4
		if p.Addr().Is6() {
			via = s.Addr.RWan.V6
		}
		s.H.Route(p.Masked().String(), via.Addr().String())
	}
}

// NFT adds a rule to a table of its own on a host.
func NFT(h *lab.Host, hook, rule string) {
	h.RunInput(fmt.Sprintf("table inet fault {\n chain c {\n type filter hook %s priority 0\n %s\n }\n}\n", hook, rule), "nft", "-f", "-")
}
