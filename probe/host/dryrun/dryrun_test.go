//go:build linux

package dryrun_test

import (
	"net"
	"net/netip"
	"os"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/wgnode/wgnode/node/lab"
	"github.com/wgnode/wgnode/probe/host/dryrun"
	"github.com/wgnode/wgnode/probe/host/netfilter"
	"github.com/wgnode/wgnode/probe/patience"
)

func TestMain(m *testing.M) {
	// It looks at this process in /proc, which a host of a lab has not. Who may not see tables
	// has them skipped, with the tests that need root.
	_, _ = netfilter.Sweep()
	os.Exit(m.Run())
}

// network is the stage: R forwards between A and B.
//
//	A eth0 ----------- a R b ----------- eth0 B
//	10.0.1.2      10.0.1.1 10.0.2.1       10.0.2.2
//	fd00:1::2   fd00:1::1   fd00:2::1    fd00:2::2
type network struct {
	t       *testing.T
	a, r, b *lab.Host
}

func newNetwork(t *testing.T) *network {
	lab.Need(t, "nft", "iptables-nft", "ip6tables-nft")
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

// traced sends a datagram from A's port 4000 to B's 53 and returns its walk through R.
func (n *network) traced(v6 bool) *netfilter.Packet {
	n.t.Helper()
	src, dst := netip.MustParseAddrPort("10.0.1.2:4000"), netip.MustParseAddrPort("10.0.2.2:53")
	if v6 {
		src, dst = netip.MustParseAddrPort("[fd00:1::2]:4000"), netip.MustParseAddrPort("[fd00:2::2]:53")
	}
	var tr *netfilter.Tracer
	if err := n.r.Do(func() (err error) {
		tr, err = netfilter.Start(netfilter.Config{Matches: []netfilter.Match{netfilter.To(dst, unix.IPPROTO_UDP)}})
		return err
	}); err != nil {
		n.t.Fatal(err)
	}
	defer tr.Close()
	if err := n.a.Do(func() error {
		c, err := net.DialUDP("udp", net.UDPAddrFromAddrPort(src), net.UDPAddrFromAddrPort(dst))
		if err != nil {
			return err
		}
		defer c.Close()
		_, err = c.Write([]byte("hello"))
		return err
	}); err != nil {
		n.t.Fatal(err)
	}
	p, err := tr.Next(patience.Context(n.t))
	if err != nil {
		n.t.Fatal(err)
	}
	return p
}

// dry is what is said of the same packet without sending it.
func (n *network) dry(h netfilter.Header) (netfilter.Hook, dryrun.End) {
	n.t.Helper()
	var hook netfilter.Hook
	var end dryrun.End
	if err := n.r.Do(func() error {
		r, err := dryrun.Read()
		if err != nil {
			return err
		}
		p := &dryrun.Packet{Src: h.Src, Dst: h.Dst, Proto: h.Proto, SrcPort: h.SrcPort, DstPort: h.DstPort, In: "a", InIndex: h.In,
			AddrType: func(a netip.Addr) (uint8, bool) {
				if a.As16()[15] == 1 {
					return unix.RTN_LOCAL, true
				}
				return unix.RTN_UNICAST, true
			}}
		for _, hook = range []netfilter.Hook{netfilter.Prerouting, netfilter.Forward, netfilter.Postrouting} {
			if hook == netfilter.Forward && p.State == 0 {
				p.State = netfilter.New
			}
			if hook != netfilter.Prerouting {
				link, err := net.InterfaceByName("b")
				if err != nil {
					return err
				}
				p.Out, p.OutIndex = "b", uint32(link.Index)
			}
			if end = r.Run(hook, p); end.Outcome != dryrun.Passed {
				return nil
			}
		}
		return nil
	}); err != nil {
		n.t.Fatal(err)
	}
	return hook, end
}

// rulesets are tried with one datagram, from 10.0.1.2:4000 to 10.0.2.2:53 or its like.
// FORWARD begins a chain of that hook, DROPPING one with the policy drop.
var rulesets = []struct {
	name, nft string
	iptables  []string // commands, for both families where they name no address
	unknown   bool     // for there is something that cannot be known
	only      int      // the family, 0: both
}{
	{name: "nothing"},
	{name: "a policy", nft: "table inet t { DROPPING }; }"},
	{name: "the state is accepted", nft: "table inet t { DROPPING ct state new,established accept; } }"},
	{name: "another state is", nft: "table inet t { DROPPING ct state established,related accept; } }"},
	{name: "the state by a map", nft: "table inet t { DROPPING " +
		"ct state vmap { established : accept, new : jump n, invalid : drop }; }; chain n { udp dport { 50-60, 99 } accept; } }"},
	{name: "in no interval", nft: "table inet t { DROPPING udp dport { 50-52, 54-60 } accept; } }"},
	{name: "in none of a set", nft: "table inet t { DROPPING udp dport != { 50-52, 54-60 } accept; } }"},
	{name: "an address in an interval", only: 4, nft: "table ip t { " +
		"set s { type ipv4_addr; flags interval; elements = { 10.0.0.0/23, 192.168.0.0/16 }; }; " +
		"FORWARD ip saddr @s drop; } }"},
	{name: "an address in a map", only: 6, nft: "table ip6 t { map m { type ipv6_addr : verdict; elements = { fd00:1::2 : drop }; }; " +
		"FORWARD ip6 saddr vmap @m; } }"},
	{name: "a concatenation", only: 4, nft: "table ip t { FORWARD " +
		"ip saddr . udp dport { 10.0.1.0/24 . 50-60 } drop; } }"},
	{name: "another concatenation", only: 4, nft: "table ip t { FORWARD " +
		"ip saddr . udp dport { 10.0.1.0/24 . 54-60, 10.0.3.0/24 . 53 } drop; } }"},
	{name: "links", nft: `table inet t { FORWARD iifname "a" oifname "b" drop; } }`},
	{name: "other links", nft: `table inet t { FORWARD iifname != "a" oifname "b" drop; iif "b" drop; oifname "c*" drop; } }`},
	{name: "a link by wildcard", nft: `table inet t { FORWARD iifname "a*" drop; } }`},
	{name: "a mark from prerouting", nft: "table inet t { chain p { type filter hook prerouting priority -150; meta mark set 0x17; }; " +
		"FORWARD meta mark & 0xf == 7 drop; } }"},
	{name: "two chains, by priority", nft: "table inet t { chain late { type filter hook forward priority 10; drop; }; " +
		"chain early { type filter hook forward priority -10; accept; } }"},
	{name: "return and goto", nft: "table inet t { chain one { udp dport 53 return; drop; }; chain two { udp dport 54 accept; }; " +
		"DROPPING jump one; goto two; accept; } }"},
	{name: "the other family's table", only: 4, nft: "table ip6 t { DROPPING }; }"},
	{name: "notrack", nft: "table inet t { chain p { type filter hook prerouting priority -300; notrack; }; " +
		"FORWARD ct state untracked drop; } }"},
	{name: "an address's type",
		nft: "table inet t { chain p { type filter hook prerouting priority 0; fib daddr type local accept; drop; } }"},
	{name: "reject", nft: "table inet t { FORWARD meta l4proto { tcp, udp } reject; } }"},
	{name: "a limit", unknown: true, nft: "table inet t { FORWARD limit rate over 5/second drop; } }"},
	{name: "a limit of what drops anyway", unknown: true, nft: "table inet t { DROPPING limit rate 5/second accept; } }"},
	{name: "a limit that only logs", nft: "table inet t { FORWARD limit rate 5/second counter; drop; } }"},
	{name: "a limit of a return", unknown: true, nft: "table inet t { chain c { limit rate 5/second return; drop; }; " +
		"FORWARD jump c; } }"},
	{name: "iptables, the state", iptables: []string{"-P FORWARD DROP", "-A FORWARD -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT",
		"-A FORWARD -i b -j ACCEPT"}},
	{name: "iptables, a new one is accepted", iptables: []string{"-P FORWARD DROP", "-A FORWARD -m conntrack --ctstate NEW -j ACCEPT"}},
	{name: "iptables, not established", iptables: []string{"-A FORWARD -m conntrack ! --ctstate ESTABLISHED -j DROP"}},
	{name: "iptables, ports", iptables: []string{"-A FORWARD -p udp --sport 4000:4001 --dport 53 -j DROP"}},
	{name: "iptables, other ports", iptables: []string{"-A FORWARD -p udp ! --dport 53 -j DROP", "-A FORWARD -p tcp --dport 53 -j DROP"}},
	{name: "iptables, chains as Docker has them", iptables: []string{"-P FORWARD DROP", "-N DOCKER-USER", "-N ISOLATION", "-N STAGE-2",
		"-A FORWARD -j DOCKER-USER", "-A FORWARD -j ISOLATION", "-A FORWARD -o b -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT",
		"-A FORWARD -i b ! -o b -j ACCEPT", "-A ISOLATION -i a ! -o a -j STAGE-2", "-A STAGE-2 -o b -j DROP"}},
	{name: "iptables, an address's type", iptables: []string{"-t raw -A PREROUTING -m addrtype --dst-type LOCAL -j ACCEPT",
		"-t raw -A PREROUTING -m addrtype ! --dst-type LOCAL -m comment --comment x -j DROP"}},
	{name: "iptables, a mark", unknown: true, iptables: []string{"-t mangle -A PREROUTING -j MARK --set-mark 5",
		"-A FORWARD -m mark --mark 5 -j DROP"}},
	{name: "iptables, rejected", iptables: []string{"-A FORWARD -p udp -j REJECT"}},
}

// What is said of a packet is what the kernel does with it.
func TestAsTheKernel(t *testing.T) {
	n := newNetwork(t)
	for _, v6 := range []bool{false, true} {
		for _, tc := range rulesets {
			if tc.only == 4 && v6 || tc.only == 6 && !v6 {
				continue
			}
			name := tc.name
			if v6 {
				name += ", IPv6"
			}
			t.Run(name, func(t *testing.T) {
				n := &network{t: t, a: n.a.With(t), r: n.r.With(t), b: n.b.With(t)}
				n.rules(tc.nft, tc.iptables, v6)
				p := n.traced(v6)
				hook, end := n.dry(p.First)
				fate := p.Fate()
				switch {
				case tc.unknown:
					if end.Outcome != dryrun.Unknown || end.Why == "" {
						t.Errorf("%+v, want what is not known", end)
					}
				case fate.Outcome == netfilter.Passed && end.Outcome != dryrun.Passed:
					t.Errorf("it passes, and not %v: %+v", hook, end)
				case fate.Outcome != netfilter.Passed && (end.Outcome != dryrun.Dropped || hook != fate.Hook || end.Handle != fate.Step.Handle ||
					end.Chain.String() != fate.Chain.String() || end.Chains[len(end.Chains)-1] != fate.Step.Chain):
					t.Errorf("%+v at %v, want %+v", end, hook, fate)
				}
			})
		}
	}
}

// rules gives R another firewall.
func (n *network) rules(script string, iptables []string, v6 bool) {
	n.t.Helper()
	const forward = "chain f { type filter hook forward priority 0; "
	script = strings.NewReplacer("FORWARD ", forward, "DROPPING ", forward+"policy drop; ").Replace(script)
	script = strings.NewReplacer("; }", "\n}", "} }", "}\n}").Replace(script)
	n.r.RunInput("flush ruleset\n"+strings.ReplaceAll(script, "} }", "}\n}")+"\n", "nft", "-f", "-")
	program := "iptables-nft"
	if v6 {
		program = "ip6tables-nft"
	}
	for _, line := range iptables {
		n.r.Run(append([]string{program}, strings.Fields(line)...)...)
	}
}
