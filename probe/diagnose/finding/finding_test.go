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
		Peers: []Peer{{Key: "gatewaykeygatewaykeygatewaykeygatewaykeygat=", Name: "gateway",
			AllowedIPs: prefixes("10.0.0.2/32 fd0a::2/128 192.168.200.0/24 fd00:200::/64"),
			Endpoint:   netip.MustParseAddrPort("203.0.113.2:51820"), Route: by("eth0", "10.9.1.2"), RouteMTU: 1500,
			Clock: now.Add(2 * time.Second), ClockAt: now}},
		Networks:     append(networks("eth0", "10.9.1.0/24 fd00:9:1::/64"), networks("docker0", "172.17.0.0/16")...),
		Default:      []Way{{Link: "eth0", Text: "1.0.0.1 via 10.9.1.1 dev eth0"}, {IPv6: true, Link: "eth0", Text: "2000::1 via fe80::1 dev eth0"}},
		Forwarding:   []Forwarding{{Evidence: "off"}, {IPv6: true, Evidence: "off"}},
		Clock:        Clock{Now: now, Built: now.Add(-time.Hour)},
		Resolver:     "/etc/resolv.conf",
		ResolverSeen: true,
		SystemAsks:   []Server{server("10.9.1.1", "eth0")},
	}
}

func TestFindings(t *testing.T) {
	fixes := make(fixtest.Fixes)
	fullTunnel := func(f *Facts, allowed string) { f.Peers[0].AllowedIPs = prefixes(allowed) }
	useDNS := func(f *Facts, servers ...Server) {
		f.DNS = []netip.Addr{netip.MustParseAddr("10.0.0.2")}
		f.SystemAsks = servers
	}
	caller := func(name, allowed string) Peer {
		return Peer{Key: name, Name: name, CallsIn: true, AllowedIPs: prefixes(allowed)}
	}
	off := func(ipv6 bool) []Forwarding {
		return []Forwarding{{IPv6: ipv6, Evidence: "it is off", Sysctl: "net.ipv4.ip_forward"}}
	}
	for _, test := range []struct {
		name string
		edit func(f *Facts)
		want diagnose.Code // "": none
		says string        // in its summary or fix
	}{
		{"nothing", func(f *Facts) {}, "", ""},

		{"the LAN's network", func(f *Facts) { f.Networks = networks("eth0", "10.0.0.0/24") }, diagnose.AddressConflict, "10.0.0.0/24 is also that of eth0"},
		{"the LAN's network, IPv6", func(f *Facts) { f.Networks = networks("eth0", "fd0a::/64") }, diagnose.AddressConflict, "fd0a::/64"},
		{"inside the LAN's", func(f *Facts) { f.Networks = networks("eth0", "10.0.0.0/16") }, diagnose.AddressConflict, "lies within that of eth0, 10.0.0.0/16"},
		{"inside, and proxied", func(f *Facts) { f.Networks = []Network{{"eth0", netip.MustParsePrefix("10.0.0.0/16"), true}} }, "", ""},
		{"around the LAN's", func(f *Facts) { f.Networks, f.Addresses = networks("eth0", "10.9.1.0/24"), prefixes("10.0.0.1/8") }, "", ""},
		{"one address in the LAN", func(f *Facts) { f.Networks, f.Addresses = networks("eth0", "10.0.0.0/24"), prefixes("10.0.0.1/32") }, "", ""},
		{"a point-to-point link", func(f *Facts) { f.Networks = networks("ppp0", "10.0.0.9/32") }, "", ""},
		{"behind the peer the same LAN", func(f *Facts) { f.Networks = networks("eth0", "192.168.200.0/24") }, diagnose.AddressConflict, "in the AllowedIPs of gateway, is also the network of eth0"},
		{"behind the peer a part of the LAN", func(f *Facts) { f.Networks = networks("eth0", "192.168.0.0/16") }, "", ""},
		{"behind the peer the same LAN, routed by others", func(f *Facts) { f.Networks, f.RoutesOff = networks("eth0", "192.168.200.0/24"), true }, "", ""},

		{"the peer has our address", func(f *Facts) { fullTunnel(f, "10.0.0.2/32 10.0.0.1/32") }, diagnose.DuplicateAddress, "10.0.0.1 is this host's own"},
		{"the peer has a network around it", func(f *Facts) { fullTunnel(f, "10.0.0.0/24") }, "", ""},

		{"endpoint in the tunnel", func(f *Facts) { f.Peers[0].Route = by("wg0", "10.0.0.1") }, diagnose.EndpointInTunnel, "ip route add 203.0.113.2/32"},
		{"endpoint in AllowedIPs, routed past it", func(f *Facts) { fullTunnel(f, "0.0.0.0/0 ::/0"); f.SystemAsks = nil }, "", ""},

		{"MTU too large", func(f *Facts) { f.MTU = 1441 }, diagnose.MTUTooLarge, "MTU = 1440"},
		{"MTU just right", func(f *Facts) { f.MTU = 1440 }, "", ""},
		{"MTU too large for IPv6", func(f *Facts) {
			f.MTU = 1440
			f.Peers[0].Endpoint = netip.MustParseAddrPort("[2001:db8:2::2]:51820")
		}, diagnose.MTUTooLarge, "MTU = 1420"},
		{"a way with too small an MTU", func(f *Facts) { f.Peers[0].RouteMTU = 1300 }, diagnose.MTUTooLarge, "IPv6 in the tunnel needs 1280"},
		{"two ways with too small an MTU", func(f *Facts) {
			f.Peers = append(f.Peers, f.Peers[0])
			f.Peers[0].RouteMTU, f.Peers[1].RouteMTU = 1450, 1400
		}, diagnose.MTUTooLarge, "gateway (and 1 more), whose MTU is 1400"},
		{"MTU of the way not known", func(f *Facts) { f.Peers[0].RouteMTU = 0 }, "", ""},

		{"a route was deleted", func(f *Facts) {
			f.Changed = []Changed{{What: "route 10.7.0.0/16 dev wg0 is missing", Since: now, By: "systemd-networkd could have done it"}}
		}, diagnose.NotAsApplied, "route 10.7.0.0/16 dev wg0 is missing (since " + now.Format(time.DateTime) +
			"); systemd-networkd could have done it"},
		{"many routes were deleted", func(f *Facts) { f.Changed = slices.Repeat([]Changed{{What: "x"}}, 7) }, diagnose.NotAsApplied,
			"x; x; x; x; x; and 2 more"},
		{"the kill switch was flushed", func(f *Facts) {
			f.Changed = []Changed{{What: "nft table inet x: it is missing", Protects: true}}
		}, diagnose.NotAsApplied, "wgnode reload wg0"},

		{"called behind NAT", func(f *Facts) { f.Peers[0].Opened = now }, diagnose.NoKeepalive, "persistent-keepalive 25"},
		{"called behind a provider's NAT", func(f *Facts) { f.Peers[0].Opened, f.Peers[0].Route = now, by("eth0", "100.64.3.4") }, diagnose.NoKeepalive, "100.64.3.4"},
		{"called, with keepalives", func(f *Facts) { f.Peers[0].Opened, f.Peers[0].Keepalive = now, 25*time.Second }, "", ""},
		{"called at a public address", func(f *Facts) { f.Peers[0].Opened, f.Peers[0].Route = now, by("eth0", "198.51.100.7") }, "", ""},
		{"called from the same site", func(f *Facts) {
			f.Peers[0].Opened, f.Peers[0].Endpoint = now, netip.MustParseAddrPort("10.9.7.2:51820")
		}, "", ""},
		{"called by one that calls in", func(f *Facts) { f.Peers[0].Opened, f.Peers[0].CallsIn = now, true }, "", ""},

		{"IPv4 alone", func(f *Facts) { fullTunnel(f, "0.0.0.0/0"); f.SystemAsks = nil }, diagnose.FullTunnelOneFamily, "AllowedIPs = 0.0.0.0/0, ::/0"},
		{"IPv4 alone, in halves", func(f *Facts) { fullTunnel(f, "0.0.0.0/1 128.0.0.0/1"); f.SystemAsks = nil }, diagnose.FullTunnelOneFamily, "IPv6 ones leave outside of it: 2000::1 via fe80::1 dev eth0"},
		{"IPv6 alone", func(f *Facts) { fullTunnel(f, "::/0"); f.SystemAsks = nil }, diagnose.FullTunnelOneFamily, "all IPv6 packets"},
		{"IPv4 alone on an IPv4 host", func(f *Facts) { fullTunnel(f, "0.0.0.0/0"); f.SystemAsks, f.Default = nil, f.Default[:1] }, "", ""},
		{"IPv4 alone, IPv6 in another tunnel", func(f *Facts) { fullTunnel(f, "0.0.0.0/0"); f.SystemAsks, f.Default[1].Tunnel = nil, true }, "", ""},
		{"IPv4 alone, and nothing gets past it", func(f *Facts) { fullTunnel(f, "0.0.0.0/0"); f.SystemAsks, f.KillSwitch = nil, true }, "", ""},
		{"one half", func(f *Facts) { fullTunnel(f, "0.0.0.0/1") }, "", ""},

		{"packets for others", func(f *Facts) {
			f.PassedOn = []PassedOn{{"alice", netip.MustParseAddr("192.168.7.7")}}
			f.Forwarding = off(false)
		}, diagnose.ForwardingDisabled, "net.ipv4.ip_forward = 1"},
		{"packets for others are passed on", func(f *Facts) {
			f.PassedOn = []PassedOn{{"alice", netip.MustParseAddr("192.168.7.7")}}
			f.Forwarding[0].On = true
		}, "", ""},
		{"a hub with a site", func(f *Facts) {
			f.Peers = []Peer{caller("alice", "10.0.0.2/32"), caller("site", "10.0.0.3/32 192.168.7.0/24")}
			f.Forwarding = off(false)
		}, diagnose.ForwardingDisabled, "192.168.7.0/24 is behind site"},
		{"a hub with an IPv4 site and IPv6", func(f *Facts) {
			f.Peers = []Peer{caller("alice", "10.0.0.2/32"), caller("site", "10.0.0.3/32 192.168.7.0/24")}
			f.Forwarding = []Forwarding{{On: true}, {IPv6: true}}
		}, "", ""},
		{"a server of clients", func(f *Facts) {
			f.Peers = []Peer{caller("alice", "10.0.0.2/32"), caller("bob", "10.0.0.3/32 10.0.0.64/28")}
		}, "", ""},
		{"a server of one site", func(f *Facts) { f.Peers = []Peer{caller("site", "10.0.0.3/32 192.168.7.0/24")} }, "", ""},
		{"a client of two sites", func(f *Facts) {
			f.Peers = append(f.Peers, f.Peers[0])
			f.Peers[1].AllowedIPs = prefixes("192.168.7.0/24")
		}, "", ""},

		{"clock before the program", func(f *Facts) { f.Clock.Now = time.Unix(0, 0) }, diagnose.ClockSkew, "1970-01-01 00:00:00 UTC, which is before"},
		{"built on a machine ahead of this", func(f *Facts) { f.Clock.Now = f.Clock.Built.Add(-time.Hour) }, "", ""},
		{"the peer's clock", func(f *Facts) { f.Peers[0].Clock = now.Add(-2 * time.Hour) }, diagnose.ClockSkew, "the clock of gateway is 2h0m0s behind this host's"},
		{"the peer's clock ahead", func(f *Facts) { f.Peers[0].Clock, f.Clock.Synchronized = now.Add(2*time.Hour), true }, diagnose.ClockSkew, "ahead of this host's: its handshake said 2026-03-01 14:00:00 UTC when it was 2026-03-01 12:00:00 UTC here; this host's is synchronized"},
		{"all peers' clocks", func(f *Facts) {
			f.Peers[0].Clock = now.Add(time.Hour)
			f.Peers = append(f.Peers, Peer{Key: "bob", Clock: now.Add(time.Hour), ClockAt: now})
		}, diagnose.ClockSkew, "gateway (and 1 more) is 1h0m0s ahead of this host's: its handshake said 2026-03-01 13:00:00 UTC when it was 2026-03-01 12:00:00 UTC here; no peer's agrees"},
		{"one peer's clock of two", func(f *Facts) {
			f.Peers = append(f.Peers, Peer{Key: "bob", Name: "bob", Clock: now.Add(time.Hour), ClockAt: now})
		}, diagnose.ClockSkew, "the clock of bob is 1h0m0s ahead"},
		{"the peer's clock, a little", func(f *Facts) { f.Peers[0].Clock = now.Add(-4 * time.Minute) }, "", ""},

		{"DNS in use", func(f *Facts) { useDNS(f, server("10.0.0.2", "wg0")) }, "", ""},
		{"DNS not in use", func(f *Facts) { useDNS(f, server("10.9.1.1", "eth0"), server("10.0.0.2", "wg0")) }, diagnose.DNSNotApplied, "this host asks 10.9.1.1"},
		{"DNS gone", func(f *Facts) { useDNS(f) }, diagnose.DNSNotApplied, "asks nobody"},
		{"DNS by a server of this host", func(f *Facts) { useDNS(f, server("127.0.0.1", "lo")) }, "", ""},
		{"DNS not wanted", func(f *Facts) { useDNS(f); f.ResolverOff = true }, "", ""},
		{"DNS, nobody could be asked", func(f *Facts) { useDNS(f); f.ResolverSeen = false }, "", ""},
		{"DNS outside of a full tunnel", func(f *Facts) { fullTunnel(f, "0.0.0.0/0 ::/0") }, diagnose.DNSLeak, "10.9.1.1 by eth0"},
		{"DNS outside of a tunnel whose routes are somebody else's", func(f *Facts) { fullTunnel(f, "0.0.0.0/0"); f.RoutesOff = true }, "", ""},
		{"DNS outside of a full tunnel, stopped there", func(f *Facts) { fullTunnel(f, "0.0.0.0/0 ::/0"); f.KillSwitch = true }, "", ""},
		{"DNS on the LAN that is left open", func(f *Facts) { fullTunnel(f, "0.0.0.0/0 ::/0"); f.KillSwitch, f.LANOpen = true, true }, diagnose.DNSLeak, ""},
		{"DNS through a full tunnel", func(f *Facts) { fullTunnel(f, "0.0.0.0/0 ::/0"); useDNS(f, server("10.0.0.2", "wg0")) }, "", ""},
		{"DNS by a server of this host, full tunnel", func(f *Facts) {
			fullTunnel(f, "0.0.0.0/0 ::/0")
			f.SystemAsks = []Server{server("127.0.0.1", "lo")}
		}, "", ""},
		{"DNS of the configuration outside of a full tunnel", func(f *Facts) { fullTunnel(f, "0.0.0.0/0 ::/0"); useDNS(f, server("10.0.0.2", "eth0")) }, diagnose.DNSLeak, "ip route get 10.0.0.2"},
		{"DNS silent", func(f *Facts) { f.Asked = []Asked{{Server: netip.MustParseAddr("10.0.0.2"), Took: 2 * time.Second}} }, diagnose.DNSUnreachable, "10.0.0.2 did not answer within 2s"},
		{"DNS refused", func(f *Facts) { f.Asked = []Asked{{Server: netip.MustParseAddr("10.0.0.2"), Refused: true}} }, diagnose.DNSUnreachable, "nothing that listens"},
	} {
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
