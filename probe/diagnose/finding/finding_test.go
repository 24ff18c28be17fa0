package finding

import (
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/wgnode/wgnode/probe/diagnose"
	"github.com/wgnode/wgnode/probe/evidence"
	"github.com/wgnode/wgnode/probe/fix"
	"github.com/wgnode/wgnode/probe/fix/fixtest"
	"github.com/wgnode/wgnode/probe/key"
)

var now = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func prefixes(list string) []netip.Prefix {
	var ps []netip.Prefix
	for _, s := range strings.Fields(list) {
		ps = append(ps, netip.MustParsePrefix(s))
	}
	return ps
}

func networks(link, list string) []Network {
	var ns []Network
	for _, p := range prefixes(list) {
		ns = append(ns, Network{Link: link, Net: p})
	}
	return ns
}

func by(link, src string) evidence.RouteDecision {
	r := evidence.RouteDecision{Kind: evidence.RouteFound, Interface: link, Text: "x dev " + link}
	if src != "" {
		r.Source = netip.MustParseAddr(src)
	}
	return r
}

func server(addr, link string) Server {
	return Server{Addr: netip.MustParseAddr(addr), Route: by(link, "")}
}

// good is a client behind NAT with nothing to find fault with. Each test changes
// it.
func good() *Facts {
	return &Facts{
		Interface: "wg0", Config: "/etc/wireguard/wg0.conf", MTU: 1420, Addresses: prefixes("10.0.0.1/24 fd0a::1/64"),
		Peers: []Peer{{Key: keyOf("gateway"), Name: "gateway",
			AllowedIPs: prefixes("10.0.0.2/32 fd0a::2/128 192.168.200.0/24 fd00:200::/64"),
			Endpoint:   netip.MustParseAddrPort("203.0.113.2:51820"), Route: by("eth0", "10.9.1.2"), RouteMTU: 1500,
			Clock: now.Add(2 * time.Second), ClockAt: now}},
		Networks: append(networks("eth0", "10.9.1.0/24 fd00:9:1::/64"), networks("docker0", "172.17.0.0/16")...),
		Default: []Way{{Link: "eth0", Text: "1.0.0.1 via 10.9.1.1 dev eth0"},
			{IPv6: true, Link: "eth0", Text: "2000::1 via fe80::1 dev eth0"}},
		Forwarding:   []Forwarding{{Evidence: "off"}, {IPv6: true, Evidence: "off"}},
		Clock:        Clock{Now: now, Built: now.Add(-time.Hour)},
		Resolver:     "/etc/resolv.conf",
		ResolverSeen: true,
		SystemAsks:   []Server{server("10.9.1.1", "eth0")},
	}
}

// findingCase is a change of what is good, and what is found then.
type findingCase struct {
	name string
	edit func(f *Facts)
	want diagnose.Code // "": none
	says string        // in its summary or fix
}

func fullTunnel(f *Facts, allowed string) { f.Peers[0].AllowedIPs = prefixes(allowed) }

func useDNS(f *Facts, servers ...Server) {
	f.DNS = []netip.Addr{netip.MustParseAddr("10.0.0.2")}
	f.SystemAsks = servers
}

// keyOf is a public key for a name.
func keyOf(name string) (k key.Public) {
	copy(k[:], name)
	return k
}

func caller(name, allowed string) Peer {
	return Peer{Key: keyOf(name), Name: name, CallsIn: true, AllowedIPs: prefixes(allowed)}
}

func notForwarding(ipv6 bool) []Forwarding {
	return []Forwarding{{IPv6: ipv6, Evidence: "it is off", Sysctl: "net.ipv4.ip_forward"}}
}

// ofNetworks are about addresses, routes and sizes.
func ofNetworks() []findingCase {
	return []findingCase{
		{name: "nothing", edit: func(f *Facts) {}},

		{name: "the LAN's network", edit: func(f *Facts) { f.Networks = networks("eth0", "10.0.0.0/24") }, want: diagnose.AddressConflict,
			says: "10.0.0.0/24 is also that of eth0"},
		{name: "the LAN's network, IPv6", edit: func(f *Facts) { f.Networks = networks("eth0", "fd0a::/64") }, want: diagnose.AddressConflict,
			says: "fd0a::/64"},
		{name: "inside the LAN's", edit: func(f *Facts) { f.Networks = networks("eth0", "10.0.0.0/16") }, want: diagnose.AddressConflict,
			says: "lies within that of eth0, 10.0.0.0/16"},
		{name: "inside, and proxied", edit: func(f *Facts) { f.Networks = []Network{{"eth0", netip.MustParsePrefix("10.0.0.0/16"), true}} }},
		{name: "around the LAN's", edit: func(f *Facts) { f.Networks, f.Addresses = networks("eth0", "10.9.1.0/24"), prefixes("10.0.0.1/8") }},
		{name: "one address in the LAN", edit: func(f *Facts) {
			f.Networks, f.Addresses = networks("eth0", "10.0.0.0/24"),
				prefixes("10.0.0.1/32")
		}},
		{name: "a point-to-point link", edit: func(f *Facts) { f.Networks = networks("ppp0", "10.0.0.9/32") }},
		{name: "behind the peer the same LAN", edit: func(f *Facts) { f.Networks = networks("eth0", "192.168.200.0/24") },
			want: diagnose.AddressConflict, says: "in the AllowedIPs of gateway, is also the network of eth0"},
		{name: "behind the peer a part of the LAN", edit: func(f *Facts) { f.Networks = networks("eth0", "192.168.0.0/16") }},
		{name: "behind the peer the same LAN, routed by others", edit: func(f *Facts) {
			f.Networks,
				f.RoutesOff = networks("eth0", "192.168.200.0/24"), true
		}},

		{name: "the peer has our address", edit: func(f *Facts) { fullTunnel(f, "10.0.0.2/32 10.0.0.1/32") }, want: diagnose.DuplicateAddress,
			says: "10.0.0.1 is this host's own"},
		{name: "the peer has a network around it", edit: func(f *Facts) { fullTunnel(f, "10.0.0.0/24") }},

		{name: "endpoint in the tunnel", edit: func(f *Facts) { f.Peers[0].Route = by("wg0", "10.0.0.1") }, want: diagnose.EndpointInTunnel,
			says: "ip route add 203.0.113.2/32"},
		{name: "endpoint in AllowedIPs, routed past it", edit: func(f *Facts) { fullTunnel(f, "0.0.0.0/0 ::/0"); f.SystemAsks = nil }},

		{name: "a name whose first address is dead", edit: named, want: diagnose.NoResponse,
			says: "vpn.example, the endpoint of gateway, has several addresses: at 2001:db8::2 no handshake was answered"},
		{name: "a name whose other address is not heard of either", edit: func(f *Facts) { named(f); f.Peers[0].Heard = time.Time{} }},
		{name: "a name that has lost the address", edit: func(f *Facts) { named(f); f.Peers[0].Addresses = f.Peers[0].Addresses[1:] }},

		{name: "MTU too large", edit: func(f *Facts) { f.MTU = 1441 }, want: diagnose.MTUTooLarge, says: "MTU = 1440"},
		{name: "MTU just right", edit: func(f *Facts) { f.MTU = 1440 }},
		{name: "MTU too large for IPv6", edit: func(f *Facts) {
			f.MTU = 1440
			f.Peers[0].Endpoint = netip.MustParseAddrPort("[2001:db8:2::2]:51820")
		}, want: diagnose.MTUTooLarge, says: "MTU = 1420"},
		{name: "a way with too small an MTU", edit: func(f *Facts) { f.Peers[0].RouteMTU = 1300 }, want: diagnose.MTUTooLarge,
			says: "IPv6 in the tunnel needs 1280"},
		{name: "a way with next to no MTU", edit: func(f *Facts) { f.Peers[0].RouteMTU = 68 }, want: diagnose.MTUTooLarge,
			says: "raise the MTU of the path"},
		{name: "two ways with too small an MTU", edit: func(f *Facts) {
			f.Peers = append(f.Peers, f.Peers[0])
			f.Peers[0].RouteMTU, f.Peers[1].RouteMTU = 1450, 1400
		}, want: diagnose.MTUTooLarge, says: "gateway (and 1 more), whose MTU is 1400"},
		{name: "an endpoint on this host", edit: func(f *Facts) { f.MTU, f.Peers[0].Route.Local = 65456, true }},
		{name: "MTU of the way not known", edit: func(f *Facts) { f.Peers[0].RouteMTU = 0 }},
	}
}

// named gives the peer a name with two addresses, of which the second is in use.
func named(f *Facts) {
	p := &f.Peers[0]
	dead := netip.MustParseAddrPort("[2001:db8::2]:51820")
	p.Written, p.Addresses, p.Left = "vpn.example:51820", []netip.AddrPort{dead, p.Endpoint}, []netip.AddrPort{dead}
	p.Since, p.Heard = now.Add(-time.Minute), now.Add(-time.Second)
}

// ofHost are about what others do on this host, and whom it lets through.
func ofHost() []findingCase {
	return []findingCase{
		{name: "a route was deleted", edit: func(f *Facts) {
			f.Changed = []Changed{{What: "route 10.7.0.0/16 dev wg0 is missing", Since: now, By: "systemd-networkd could have done it"}}
		}, want: diagnose.NotAsApplied, says: "route 10.7.0.0/16 dev wg0 is missing (since " + now.Format(time.DateTime) +
			"); systemd-networkd could have done it"},
		{name: "many routes were deleted", edit: func(f *Facts) { f.Changed = slices.Repeat([]Changed{{What: "x"}}, 7) },
			want: diagnose.NotAsApplied, says: "x; x; x; x; x; and 2 more"},
		{name: "the file has a peer more", edit: func(f *Facts) { f.Unapplied = []string{"peer carol", "10.7.0.0/16 for bob"} },
			want: diagnose.NotAsApplied, says: "it has peer carol, 10.7.0.0/16 for bob, which wg0 has not"},
		{name: "the kill switch was flushed", edit: func(f *Facts) {
			f.Changed = []Changed{{What: "nft table inet x: it is missing", Protects: true}}
		}, want: diagnose.NotAsApplied, says: "wgnode reload wg0"},

		{name: "called behind NAT", edit: func(f *Facts) { f.Peers[0].Opened = now }, want: diagnose.NoKeepalive,
			says: "persistent-keepalive 25"},
		{name: "called behind a provider's NAT", edit: func(f *Facts) { f.Peers[0].Opened, f.Peers[0].Route = now, by("eth0", "100.64.3.4") },
			want: diagnose.NoKeepalive, says: "100.64.3.4"},
		{name: "called, with keepalives", edit: func(f *Facts) { f.Peers[0].Opened, f.Peers[0].Keepalive = now, 25*time.Second }},
		{name: "called at a public address", edit: func(f *Facts) { f.Peers[0].Opened, f.Peers[0].Route = now, by("eth0", "198.51.100.7") }},
		{name: "called from the same site", edit: func(f *Facts) {
			f.Peers[0].Opened, f.Peers[0].Endpoint = now, netip.MustParseAddrPort("10.9.7.2:51820")
		}},
		{name: "called by one that calls in", edit: func(f *Facts) { f.Peers[0].Opened, f.Peers[0].CallsIn = now, true }},

		{name: "IPv4 alone", edit: func(f *Facts) { fullTunnel(f, "0.0.0.0/0"); f.SystemAsks = nil }, want: diagnose.FullTunnelOneFamily,
			says: "AllowedIPs = 0.0.0.0/0, ::/0"},
		{name: "IPv4 alone, in halves", edit: func(f *Facts) { fullTunnel(f, "0.0.0.0/1 128.0.0.0/1"); f.SystemAsks = nil },
			want: diagnose.FullTunnelOneFamily, says: "IPv6 ones leave outside of it: 2000::1 via fe80::1 dev eth0"},
		{name: "IPv6 alone", edit: func(f *Facts) { fullTunnel(f, "::/0"); f.SystemAsks = nil }, want: diagnose.FullTunnelOneFamily,
			says: "all IPv6 packets"},
		{name: "IPv4 alone on an IPv4 host", edit: func(f *Facts) { fullTunnel(f, "0.0.0.0/0"); f.SystemAsks, f.Default = nil, f.Default[:1] }},
		{name: "IPv4 alone, IPv6 in another tunnel", edit: func(f *Facts) {
			fullTunnel(f, "0.0.0.0/0")
			f.SystemAsks, f.Default[1].Tunnel = nil,
				true
		}},
		{name: "IPv4 alone, and nothing gets past it", edit: func(f *Facts) {
			fullTunnel(f, "0.0.0.0/0")
			f.SystemAsks, f.KillSwitch = nil,
				true
		}},
		{name: "one half", edit: func(f *Facts) { fullTunnel(f, "0.0.0.0/1") }},
	}
}

// ofOthers are about packets that peers send through this host.
func ofOthers() []findingCase {
	return []findingCase{
		{name: "packets for others", edit: func(f *Facts) {
			f.PassedOn = []PassedOn{{Peer: "alice", Key: keyOf("alice"), Dst: netip.MustParseAddr("192.168.7.7")}}
			f.Forwarding = notForwarding(false)
		}, want: diagnose.ForwardingDisabled, says: "net.ipv4.ip_forward = 1"},
		{name: "packets for a peer that has no AllowedIPs", edit: func(f *Facts) {
			f.Unmatched = []PassedOn{{Peer: "alice", Key: keyOf("alice"), Dst: netip.MustParseAddr("10.0.0.77")}}
		}, want: diagnose.NoAllowedIPsMatch, says: "10.0.0.77 through this host"},
		{name: "packets for a peer's endpoint", edit: func(f *Facts) {
			bob := caller("bob", "10.0.0.3/32")
			bob.Endpoint = netip.MustParseAddrPort("203.0.113.9:51820")
			f.Peers = append(f.Peers, bob)
			f.Unmatched = []PassedOn{{Peer: "alice", Key: keyOf("alice"), Dst: netip.MustParseAddr("203.0.113.9")}}
		}, want: diagnose.NoAllowedIPsMatch, says: "203.0.113.9 through this host"},
		{name: "packets for a peer that has AllowedIPs by now", edit: func(f *Facts) {
			f.Peers = append(f.Peers, caller("bob", "10.0.0.77/32"))
			f.Unmatched = []PassedOn{{Peer: "alice", Key: keyOf("alice"), Dst: netip.MustParseAddr("10.0.0.77")}}
		}},
		{name: "packets for others are passed on", edit: func(f *Facts) {
			f.PassedOn = []PassedOn{{Peer: "alice", Key: keyOf("alice"), Dst: netip.MustParseAddr("192.168.7.7")}}
			f.Forwarding[0].On = true
		}},
		{name: "a hub with a site", edit: func(f *Facts) {
			f.Peers = []Peer{caller("alice", "10.0.0.2/32"), caller("site", "10.0.0.3/32 192.168.7.0/24")}
			f.Forwarding = notForwarding(false)
		}, want: diagnose.ForwardingDisabled, says: "192.168.7.0/24 is behind site"},
		{name: "a hub with an IPv4 site and IPv6", edit: func(f *Facts) {
			f.Peers = []Peer{caller("alice", "10.0.0.2/32"), caller("site", "10.0.0.3/32 192.168.7.0/24")}
			f.Forwarding = []Forwarding{{On: true}, {IPv6: true}}
		}},
		{name: "a server of clients", edit: func(f *Facts) {
			f.Peers = []Peer{caller("alice", "10.0.0.2/32"), caller("bob", "10.0.0.3/32 10.0.0.64/28")}
		}},
		{name: "a server of one site", edit: func(f *Facts) { f.Peers = []Peer{caller("site", "10.0.0.3/32 192.168.7.0/24")} }},
		{name: "a client of two sites", edit: func(f *Facts) {
			f.Peers = append(f.Peers, f.Peers[0])
			f.Peers[1].AllowedIPs = prefixes("192.168.7.0/24")
		}},
	}
}

// ofTimeAndNames are about clocks and name servers.
func ofTimeAndNames() []findingCase {
	return []findingCase{
		{name: "clock before the program", edit: func(f *Facts) { f.Clock.Now = time.Unix(0, 0) }, want: diagnose.ClockSkew,
			says: "1970-01-01 00:00:00 UTC, which is before"},
		{name: "built on a machine ahead of this", edit: func(f *Facts) { f.Clock.Now = f.Clock.Built.Add(-time.Hour) }},
		{name: "the peer's clock", edit: func(f *Facts) { f.Peers[0].Clock = now.Add(-2 * time.Hour) }, want: diagnose.ClockSkew,
			says: "the clock of gateway is 2h0m0s behind this host's"},
		{name: "the peer's clock ahead", edit: func(f *Facts) { f.Peers[0].Clock, f.Clock.Synchronized = now.Add(2*time.Hour), true },
			want: diagnose.ClockSkew, says: "ahead of this host's: its handshake said 2026-03-01 14:00:00 UTC when it was 2026-03-01 " +
				"12:00:00 UTC here; this host's is synchronized"},
		{name: "all peers' clocks", edit: func(f *Facts) {
			f.Peers[0].Clock = now.Add(time.Hour)
			f.Peers = append(f.Peers, Peer{Key: keyOf("bob"), Clock: now.Add(time.Hour), ClockAt: now})
		}, want: diagnose.ClockSkew, says: "gateway (and 1 more) is 1h0m0s ahead of this host's: " +
			"its handshake said 2026-03-01 13:00:00 UTC when it was 2026-03-01 12:00:00 UTC here; no peer's agrees"},
		{name: "one peer's clock of two", edit: func(f *Facts) {
			f.Peers = append(f.Peers, Peer{Key: keyOf("bob"), Name: "bob", Clock: now.Add(time.Hour), ClockAt: now})
		}, want: diagnose.ClockSkew, says: "the clock of bob is 1h0m0s ahead"},
		{name: "the peer's clock, a little", edit: func(f *Facts) { f.Peers[0].Clock = now.Add(-4 * time.Minute) }},

		{name: "DNS in use", edit: func(f *Facts) { useDNS(f, server("10.0.0.2", "wg0")) }},
		{name: "DNS not in use", edit: func(f *Facts) { useDNS(f, server("10.9.1.1", "eth0"), server("10.0.0.2", "wg0")) },
			want: diagnose.DNSNotApplied, says: "this host asks 10.9.1.1"},
		{name: "DNS gone", edit: func(f *Facts) { useDNS(f) }, want: diagnose.DNSNotApplied, says: "asks nobody"},
		{name: "DNS by a server of this host", edit: func(f *Facts) { useDNS(f, server("127.0.0.1", "lo")) }},
		{name: "DNS not wanted", edit: func(f *Facts) { useDNS(f); f.ResolverOff = true }},
		{name: "DNS, nobody could be asked", edit: func(f *Facts) { useDNS(f); f.ResolverSeen = false }},
		{name: "DNS outside of a full tunnel", edit: func(f *Facts) { fullTunnel(f, "0.0.0.0/0 ::/0") }, want: diagnose.DNSLeak,
			says: "10.9.1.1 by eth0"},
		{name: "DNS outside of a tunnel whose routes are somebody else's",
			edit: func(f *Facts) { fullTunnel(f, "0.0.0.0/0"); f.RoutesOff = true }},
		{name: "DNS outside of a full tunnel, stopped there", edit: func(f *Facts) { fullTunnel(f, "0.0.0.0/0 ::/0"); f.KillSwitch = true }},
		{name: "DNS on the LAN that is left open", edit: func(f *Facts) {
			fullTunnel(f, "0.0.0.0/0 ::/0")
			f.KillSwitch, f.LANOpen = true,
				true
		}, want: diagnose.DNSLeak},
		{name: "DNS through a full tunnel", edit: func(f *Facts) { fullTunnel(f, "0.0.0.0/0 ::/0"); useDNS(f, server("10.0.0.2", "wg0")) }},
		{name: "DNS by a server of this host, full tunnel", edit: func(f *Facts) {
			fullTunnel(f, "0.0.0.0/0 ::/0")
			f.SystemAsks = []Server{server("127.0.0.1", "lo")}
		}},
		{name: "DNS of the configuration outside of a full tunnel",
			edit: func(f *Facts) { fullTunnel(f, "0.0.0.0/0 ::/0"); useDNS(f, server("10.0.0.2", "eth0")) }, want: diagnose.DNSLeak,
			says: "ip route get 10.0.0.2"},
		{name: "DNS silent", edit: func(f *Facts) { f.Asked = []Asked{{Server: netip.MustParseAddr("10.0.0.2"), Took: 2 * time.Second}} },
			want: diagnose.DNSUnreachable, says: "10.0.0.2 did not answer within 2s"},
		{name: "DNS rejects", edit: func(f *Facts) { f.Asked = []Asked{{Server: netip.MustParseAddr("10.0.0.2"), Rejects: true}} },
			want: diagnose.DNSUnreachable, says: "REFUSED"},
		{name: "DNS from another address", edit: func(f *Facts) {
			f.Asked = []Asked{{Server: netip.MustParseAddr("10.0.0.2"), From: netip.MustParseAddr("10.9.0.1")}}
		}, want: diagnose.DNSUnreachable, says: "answers from another address, 10.9.0.1"},
		{name: "DNS from an address that is not allowed", edit: func(f *Facts) {
			f.Asked = []Asked{{Server: netip.MustParseAddr("10.0.0.2"), From: netip.MustParseAddr("10.9.0.1"), Disallowed: true}}
		}, want: diagnose.DNSUnreachable, says: "not in the AllowedIPs"},
		{name: "DNS refused", edit: func(f *Facts) { f.Asked = []Asked{{Server: netip.MustParseAddr("10.0.0.2"), Refused: true}} },
			want: diagnose.DNSUnreachable, says: "nothing that listens"},
	}
}

func TestFindings(t *testing.T) {
	fixes := make(fixtest.Fixes)
	for _, test := range slices.Concat(ofNetworks(), ofHost(), ofOthers(), ofTimeAndNames()) {
		t.Run(test.name, func(t *testing.T) {
			f := good()
			test.edit(f)
			found := All(f)
			if test.want == "" {
				if len(found) != 0 {
					t.Errorf("%+v", found)
				}
				return
			}
			if len(found) != 1 || found[0].Code != test.want {
				t.Fatalf("want %s alone: %+v", test.want, found)
			}
			if seen := strings.HasPrefix(test.name, "packets for"); found[0].Failing != seen {
				t.Errorf("failing: %v", found[0].Failing)
			}
			if text := found[0].Summary + "\n" + strings.Join(found[0].Fix.Lines(), "\n"); !strings.Contains(text, test.says) {
				t.Errorf("%q is not said in\n%s", test.says, text)
			}
			fixes.Add(t, test.name, func(config string) fix.Steps {
				f.Config = config
				return All(f)[0].Fix
			})
		})
	}
	fixes.Compare(t, "testdata/fixes.json")
}

// What is not known is not spoken of.
func TestNothingKnown(t *testing.T) {
	if found := All(new(Facts)); len(found) != 0 {
		t.Errorf("%+v", found)
	}
}
