//go:build linux

package netfilter_test

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"strings"
	"testing"

	"golang.org/x/net/icmp"
	"golang.org/x/net/ipv4"
	"golang.org/x/net/ipv6"
	"golang.org/x/sys/unix"

	"github.com/wgnode/wgnode/node/lab"
	"github.com/wgnode/wgnode/probe/host/netfilter"
	"github.com/wgnode/wgnode/probe/patience"
)

func TestMain(m *testing.M) {
	if _, err := netfilter.Self(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(m.Run())
}

// network is the stage: R, where packets are traced, forwards between A and B.
//
//	A eth0 ----------- a R b ----------- eth0 B
//	10.0.1.2      10.0.1.1 10.0.2.1       10.0.2.2
//	fd00:1::2   fd00:1::1   fd00:2::1    fd00:2::2
type network struct {
	t       *testing.T
	a, r, b *lab.Host
}

func newNetwork(t *testing.T) *network {
	lab.Need(t, "nft")
	l := lab.New(t)
	n := &network{t: t, a: l.Host("a"), r: l.Host("r"), b: l.Host("b")}
	l.Link(n.a.End("eth0", "10.0.1.2/24", "fd00:1::2/64"), n.r.End("a", "10.0.1.1/24", "fd00:1::1/64"))
	l.Link(n.b.End("eth0", "10.0.2.2/24", "fd00:2::2/64"), n.r.End("b", "10.0.2.1/24", "fd00:2::1/64"))
	n.a.Route("10.0.2.0/24", "10.0.1.1")
	n.b.Route("10.0.1.0/24", "10.0.2.1")
	n.a.Route("fd00:2::/64", "fd00:1::1")
	n.b.Route("fd00:1::/64", "fd00:2::1")
	n.r.Sysctl("net.ipv4.ip_forward", "1")
	n.r.Sysctl("net.ipv6.conf.all.forwarding", "1")
	return n
}

// with reports to a subtest.
func (n *network) with(t *testing.T) *network {
	return &network{t: t, a: n.a.With(t), r: n.r.With(t), b: n.b.With(t)}
}

// rules gives R a new firewall. nft wants the end of a line before each closing
// brace of a block; the script need not have it.
func (n *network) rules(script string) {
	n.t.Helper()
	script = strings.ReplaceAll(script, "; }", "\n}")
	script = strings.ReplaceAll(script, "} }", "}\n}") + "\n"
	n.r.RunInput("flush ruleset\n"+script, "nft", "-f", "-")
}

// start traces on R until the test ends.
func (n *network) start(matches ...netfilter.Match) *netfilter.Tracer {
	n.t.Helper()
	return n.startConfig(netfilter.Config{Matches: matches})
}

func (n *network) startConfig(cfg netfilter.Config) *netfilter.Tracer {
	n.t.Helper()
	var tr *netfilter.Tracer
	err := n.r.Do(func() (err error) {
		tr, err = netfilter.Start(cfg)
		return err
	})
	if err != nil {
		n.t.Fatal(err)
	}
	n.t.Cleanup(func() {
		if err := tr.Close(); err != nil && !errors.Is(err, os.ErrClosed) {
			n.t.Errorf("close tracer: %v", err)
		}
	})
	return tr
}

// next returns the next packet.
func (n *network) next(tr *netfilter.Tracer) *netfilter.Packet {
	n.t.Helper()
	ctx := patience.Context(n.t)
	p, err := tr.Next(ctx)
	if err != nil {
		n.t.Fatal(err)
	}
	if p.Incomplete {
		n.t.Errorf("a packet is incomplete, %d events lost", tr.Lost())
	}
	return p
}

// rule returns the rule that decided on a packet.
func (n *network) rule(tr *netfilter.Tracer, f netfilter.Fate) (netfilter.Rule, error) {
	var r netfilter.Rule
	err := n.r.Do(func() (err error) {
		r, err = tr.Rule(f.Chain, f.Step)
		return err
	})
	return r, err
}

// flow is a packet to be sent: "udp", "tcp" or "icmp" between two places.
type flow struct {
	proto    string
	from     *lab.Host
	src, dst string // with ports, but for ICMP
}

const echoID = 4321

// match selects the flow's packets in its own direction.
func (f flow) match() netfilter.Match {
	m := netfilter.Match{}
	if f.proto == "icmp" {
		src, dst := netip.MustParseAddr(f.src), netip.MustParseAddr(f.dst)
		m.Src, m.Dst = host(src), host(dst)
		m.ICMPID = new(uint16(echoID))
		m.Proto, m.ICMPType = unix.IPPROTO_ICMP, new(uint8(8))
		if dst.Is6() {
			m.Proto, m.ICMPType = unix.IPPROTO_ICMPV6, new(uint8(128))
		}
		return m
	}
	src, dst := netip.MustParseAddrPort(f.src), netip.MustParseAddrPort(f.dst)
	m.Src, m.Dst, m.SrcPort, m.DstPort = host(src.Addr()), host(dst.Addr()), src.Port(), dst.Port()
	m.Proto = unix.IPPROTO_UDP
	if f.proto == "tcp" {
		m.Proto = unix.IPPROTO_TCP
	}
	return m
}

func host(a netip.Addr) netip.Prefix { return netip.PrefixFrom(a, a.BitLen()) }

// send sends one packet of the flow: of TCP, the first.
func (f flow) send(t *testing.T) {
	t.Helper()
	err := f.from.Do(func() error {
		switch f.proto {
		case "tcp":
			return f.syn()
		case "icmp":
			return f.echo()
		}
		src, dst := netip.MustParseAddrPort(f.src), netip.MustParseAddrPort(f.dst)
		c, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(src))
		if err != nil {
			return err
		}
		defer c.Close()
		_, err = c.WriteToUDPAddrPort([]byte("hello"), dst)
		return err
	})
	// The firewall that is tried may answer right away.
	if err != nil && !errors.Is(err, unix.EPERM) && !errors.Is(err, unix.ECONNREFUSED) && !errors.Is(err, unix.ENOBUFS) {
		t.Fatalf("send %s %s > %s: %v", f.proto, f.src, f.dst, err)
	}
}

// addr returns the source's address.
func (f flow) addr() string {
	if f.proto == "icmp" {
		return f.src
	}
	return netip.MustParseAddrPort(f.src).Addr().String()
}

// sendMarked sends one datagram of the flow with a firewall mark.
func (f flow) sendMarked(t *testing.T, mark int) {
	t.Helper()
	c := f.from.ListenPacket("udp", f.src)
	raw, err := c.(*net.UDPConn).SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	var failed error
	err = raw.Control(func(fd uintptr) { failed = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_MARK, mark) })
	if err := errors.Join(err, failed); err != nil {
		t.Fatal(err)
	}
	if _, err := c.WriteTo([]byte("hello"), net.UDPAddrFromAddrPort(netip.MustParseAddrPort(f.dst))); err != nil {
		t.Fatal(err)
	}
}

// syn begins a connection and gives up at once.
func (f flow) syn() error {
	src, dst := netip.MustParseAddrPort(f.src), netip.MustParseAddrPort(f.dst)
	family := unix.AF_INET6
	if dst.Addr().Is4() {
		family = unix.AF_INET
	}
	fd, err := unix.Socket(family, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	address := func(a netip.AddrPort) unix.Sockaddr {
		if a.Addr().Is4() {
			return &unix.SockaddrInet4{Port: int(a.Port()), Addr: a.Addr().As4()}
		}
		return &unix.SockaddrInet6{Port: int(a.Port()), Addr: a.Addr().As16()}
	}
	if err := errors.Join(unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEADDR, 1), unix.Bind(fd, address(src))); err != nil {
		return err
	}
	if err := unix.Connect(fd, address(dst)); err != nil && !errors.Is(err, unix.EINPROGRESS) {
		return err
	}
	return nil
}

func (f flow) echo() error {
	network, kind := "ip4:icmp", icmp.Type(ipv4.ICMPTypeEcho)
	if strings.Contains(f.dst, ":") {
		network, kind = "ip6:ipv6-icmp", ipv6.ICMPTypeEchoRequest
	}
	c, err := icmp.ListenPacket(network, f.src)
	if err != nil {
		return err
	}
	defer c.Close()
	m := icmp.Message{Type: kind, Body: &icmp.Echo{ID: echoID, Seq: 1, Data: []byte("hello")}}
	b, err := m.Marshal(nil)
	if err != nil {
		return err
	}
	_, err = c.WriteTo(b, &net.IPAddr{IP: net.ParseIP(f.dst)})
	return err
}
