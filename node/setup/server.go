package setup

import (
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/wgnode/wgnode/node/config"
	"github.com/wgnode/wgnode/probe/key"
)

// Server is a host that peers come to, and leave again for the internet.
type Server struct {
	Private   key.Private
	Addresses []netip.Prefix
	Port      uint16
	Uplinks   []string // by which it reaches the internet; none: it is a hub alone
}

// Taken is what a new server must keep away from.
type Taken struct {
	Networks []netip.Prefix
	Ports    []uint16
}

// firstPort is what everybody uses for WireGuard.
const firstPort = 51820

// NewServer makes up a server. The networks are random: two that are joined one day, or a
// peer's own at home, are not likely to have the same.
func NewServer(taken *Taken, uplinks []string, random *rand.Rand) *Server {
	s := &Server{Private: key.GeneratePrivate(), Uplinks: uplinks, Port: firstPort}
	for slices.Contains(taken.Ports, s.Port) {
		s.Port++
	}
	four, ok := freeIPv4(taken.Networks, random)
	if ok {
		s.Addresses = append(s.Addresses, netip.PrefixFrom(four.Addr().Next(), four.Bits()))
	}
	six := freeIPv6(taken.Networks, random)
	s.Addresses = append(s.Addresses, netip.PrefixFrom(six.Addr().Next(), six.Bits()))
	return s
}

// private are the networks that anybody may use (RFC 1918), the roomiest first.
var private = []netip.Prefix{
	netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("172.16.0.0/12"), netip.MustParsePrefix("192.168.0.0/16"),
}

// usual is the size of a network in IPv4: 253 peers.
const usual = 24

// freeIPv4 returns a random network that overlaps none of those taken, if there is one.
func freeIPv4(taken []netip.Prefix, random *rand.Rand) (netip.Prefix, bool) {
	for _, range4 := range private {
		var in []netip.Prefix
		for _, t := range taken {
			if t.Overlaps(range4) && !wide(t) {
				in = append(in, t)
			}
		}
		n := 1 << (usual - range4.Bits())
		start := random.IntN(n)
		for i := range n {
			b := range4.Addr().As4()
			at := uint32(b[0])<<24 | uint32(b[1])<<16 | uint32((start+i)%n)<<(32-usual)
			network := netip.PrefixFrom(netip.AddrFrom4([4]byte{byte(at >> 24), byte(at >> 16), byte(at >> 8), 0}), usual)
			if !slices.ContainsFunc(in, network.Overlaps) {
				return network, true
			}
		}
	}
	return netip.Prefix{}, false
}

// freeIPv6 returns a random network of unique local addresses (RFC 4193).
func freeIPv6(taken []netip.Prefix, random *rand.Rand) netip.Prefix {
	for {
		var b [16]byte
		b[0] = 0xfd
		id := random.Uint64() // 40 random bits
		for i := range 5 {
			b[1+i] = byte(id >> (8 * i))
		}
		network := netip.PrefixFrom(netip.AddrFrom16(b), 64)
		if !slices.ContainsFunc(taken, func(t netip.Prefix) bool { return !wide(t) && t.Overlaps(network) }) {
			return network
		}
	}
}

// wide reports whether a route is for all that there is, or for a half, a quarter of it, as
// VPNs have them in place of a default route. It gives no network to anybody.
func wide(p netip.Prefix) bool { return p.Bits() <= 4 }

// Text is the server's file, in the format that its name tells.
func (s *Server) Text(path string) (string, error) {
	text := s.toml()
	if filepath.Ext(path) == ".conf" {
		text = s.conf()
	}
	var err error
	if filepath.Ext(path) == ".toml" {
		_, err = config.ParseTOML(strings.NewReader(text), path)
	} else {
		_, err = config.Parse(strings.NewReader(text), path)
	}
	if err != nil {
		return "", fmt.Errorf("make %s: %w", path, err)
	}
	return text, nil
}

func (s *Server) toml() string {
	var b strings.Builder
	line := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	line("# To add a peer: wgnode peer add NAME")
	line("[interface]")
	line("private_key = %q", s.Private.Base64())
	line("address = [%s]", quoted(s.Addresses))
	line("listen_port = %d", s.Port)
	line("")
	line("# packets of peers pass to other networks of this host,")
	line("forward = true")
	if len(s.Uplinks) > 0 {
		line("# and leave for the internet with its own address")
		line("masquerade = [%s]", quoted(s.Uplinks))
	}
	return b.String()
}

func quoted[T any](values []T) string {
	all := make([]string, len(values))
	for i, v := range values {
		all[i] = strconv.Quote(fmt.Sprint(v))
	}
	return strings.Join(all, ", ")
}

// conf says by hooks what wg-quick has no keys for.
func (s *Server) conf() string {
	var b strings.Builder
	line := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	line("# To add a peer: wgnode peer add NAME")
	line("[Interface]")
	line("PrivateKey = %s", s.Private.Base64())
	var addresses, parameters []string
	for _, a := range s.Addresses {
		addresses = append(addresses, a.String())
		if a.Addr().Is4() {
			parameters = append(parameters, "net.ipv4.ip_forward=1")
			continue
		}
		parameters = append(parameters, "net.ipv6.conf.all.forwarding=1")
	}
	line("Address = %s", strings.Join(addresses, ", "))
	line("ListenPort = %d", s.Port)
	line("")
	if slices.ContainsFunc(s.Addresses, func(a netip.Prefix) bool { return a.Addr().Is6() }) {
		for _, l := range s.Uplinks {
			name := "/proc/sys/net/ipv6/conf/" + l + "/accept_ra"
			line("# a host that forwards ignores what routers advertise, unless it is configured not to;")
			line("PostUp = ! grep -qsx 1 %s || echo 2 >%[1]s", name)
		}
	}
	line("# packets of peers pass to other networks of this host,")
	line("PostUp = sysctl -q -w %s", strings.Join(parameters, " "))
	if len(s.Uplinks) == 0 {
		return b.String()
	}
	line("# and leave for the internet with its own address")
	var rules []string
	for _, a := range s.Addresses {
		family := "ip"
		if a.Addr().Is6() {
			family = "ip6"
		}
		rules = append(rules, fmt.Sprintf("%s saddr %s oifname { %s } masquerade", family, a.Masked(), quoted(s.Uplinks)))
	}
	line("PostUp = nft 'table inet masquerade-%%i { chain c { type nat hook postrouting priority srcnat; %s; }; }'", strings.Join(rules, "; "))
	line("PostDown = nft delete table inet masquerade-%%i")
	return b.String()
}

// Look finds what this host has taken: the networks of its routes and addresses, the UDP
// ports from the usual one on that programs have, and what the other files in a folder of
// configurations say that they are going to take.
func (t *Taken) Look(folder string) error {
	networks, err := routed()
	if err != nil {
		return err
	}
	t.Networks = append(t.Networks, networks...)
	for _, pattern := range []string{"*.conf", "*.toml"} {
		files, err := filepath.Glob(filepath.Join(folder, pattern))
		if err != nil {
			continue // a folder with such a name
		}
		for _, file := range files {
			if c, err := config.Inspect(file); err == nil { // else it takes nothing, either
				t.file(c)
			}
		}
	}
	for port := uint16(firstPort); port < firstPort+100; port++ {
		if c, err := net.ListenPacket("udp", ":"+strconv.Itoa(int(port))); err != nil {
			t.Ports = append(t.Ports, port)
		} else if err := c.Close(); err != nil {
			return fmt.Errorf("look for a free port: %w", err)
		} else if !slices.Contains(t.Ports, port) {
			break
		}
	}
	return nil
}

func (t *Taken) file(c *config.Config) {
	t.Ports = append(t.Ports, c.Interface.ListenPort)
	for _, a := range c.Interface.Addresses {
		t.Networks = append(t.Networks, a.Masked())
	}
	for _, r := range c.AllowedRoutes() {
		t.Networks = append(t.Networks, r.Prefix)
	}
}
