//go:build linux

package examples

import (
	"regexp"
	"strings"
	"testing"

	"github.com/wgnode/wgnode/node/lab"
	"github.com/wgnode/wgnode/probe/diagnose"
)

// These tests build the drawings. First what the example promises, then the
// mistakes that its README names; each host is left as it was.

// Either server begins.
func TestTwoServers(t *testing.T) {
	x := newTopology(t, "two-servers")
	alpha := x.node(x.public("alpha", "198.51.100.10/24"))
	beta := x.node(x.public("beta", "203.0.113.20/24"))
	x.up()
	x.serve(alpha.Host, "10.77.0.1", "fd00:77::1")
	x.serve(beta.Host, "10.77.0.2", "fd00:77::2")
	x.fetch(alpha.Host, "10.77.0.2", "10.77.0.1")
	x.fetch(alpha.Host, "fd00:77::2", "fd00:77::1")
	x.fetch(beta.Host, "10.77.0.1", "10.77.0.2")
	x.fetch(beta.Host, "fd00:77::1", "fd00:77::2")
	x.documented(alpha, "10.77.0.2")

	x.again(alpha, "10.77.0.2/32", "10.77.0.20/32")
	x.explain(alpha, diagnose.NoAllowedIPsMatch, "10.77.0.2")
	x.again(alpha)
	beta.RunInput(`table inet mistake {
	chain input {
		type filter hook input priority filter
		udp dport 51820 reject with icmpx admin-prohibited
	}
}`, "nft", "-f", "-")
	x.explain(alpha, diagnose.EndpointProhibited, "10.77.0.2")
	beta.Run("nft", "delete", "table", "inet", "mistake")
	x.down()
}

// The server calls a laptop behind NAT that has sent nothing of its own.
func TestLaptopToServer(t *testing.T) {
	x := newTopology(t, "laptop-to-server")
	server := x.node(x.public("server", "203.0.113.10/24"))
	router := x.nat("router", "198.51.100.7/24", "192.168.1.1/24")
	laptop := x.node(x.behind(router, "laptop", "192.168.1.10/24"))
	x.up()
	x.serve(server.Host, "10.77.0.1", "fd00:77::1")
	x.serve(laptop.Host, "10.77.0.2", "fd00:77::2")
	x.heard(server, "laptop")
	x.fetch(server.Host, "10.77.0.2", "10.77.0.1")
	x.fetch(server.Host, "fd00:77::2", "fd00:77::1")
	x.fetch(laptop.Host, "10.77.0.1", "10.77.0.2")
	x.fetch(laptop.Host, "fd00:77::1", "fd00:77::2")
	x.documented(laptop, "10.77.0.1")

	x.again(laptop, "PersistentKeepalive = 25\n", "")
	x.again(server)
	x.explain(server, diagnose.NoEndpoint, "10.77.0.2")
	x.down()
}

// Two hosts behind NAT get through to each other, with nobody in between. Here the
// mistake comes first: the routers would remember the port that was right.
func TestNATToNAT(t *testing.T) {
	x := newTopology(t, "nat-to-nat")
	home := x.node(x.behind(x.nat("router1", "198.51.100.7/24", "192.168.1.1/24"), "home", "192.168.1.10/24"))
	cabin := x.node(x.behind(x.nat("router2", "203.0.113.7/24", "192.168.8.1/24"), "cabin", "192.168.8.10/24"))
	cabin.edits = []string{"ListenPort = 51822\n", ""}
	x.up()
	x.explain(home, diagnose.NoResponse, "10.77.0.2")
	x.again(cabin)
	x.serve(home.Host, "10.77.0.1", "fd00:77::1")
	x.serve(cabin.Host, "10.77.0.2", "fd00:77::2")
	x.fetch(home.Host, "10.77.0.2", "10.77.0.1")
	x.fetch(cabin.Host, "10.77.0.1", "10.77.0.2")
	x.fetch(home.Host, "fd00:77::2", "fd00:77::1")
	x.fetch(cabin.Host, "fd00:77::1", "fd00:77::2")
	x.documented(home, "10.77.0.2")
	for n, endpoint := range map[*node]string{home: "203.0.113.7:51822", cabin: "198.51.100.7:51821"} {
		if got := n.Run(x.wgnode, "show", "wg0", "endpoints"); !strings.HasSuffix(got, "\t"+endpoint+"\n") {
			t.Errorf("%s sends to %swant %s", n.Name(), got, endpoint)
		}
	}
	x.down()
}

// portForward is that of the hub, and what follows it.
var portForward = regexp.MustCompile(`(?s)\[\[interface.port_forward.*?\[\[peer\]\]`)

// The spokes reach each other through the hub, and strangers one of them by the
// hub's port.
func TestRelay(t *testing.T) {
	x := newTopology(t, "relay")
	hub := x.node(x.public("hub", "203.0.113.10/24"))
	home := x.node(x.behind(x.nat("router1", "198.51.100.7/24", "192.168.1.1/24"), "home", "192.168.1.10/24"))
	laptop := x.node(x.behind(x.nat("router2", "192.0.2.7/25", "192.168.8.1/24"), "laptop", "192.168.8.10/24"))
	phone := x.node(x.behind(x.nat("router3", "192.0.2.207/25", "100.64.5.1/24"), "phone", "100.64.5.10/24"))
	x.up()
	x.heard(hub, "home", "laptop", "phone")
	x.serve(hub.Host, "10.77.0.1")
	x.serve(home.Host, "10.77.0.2", "fd00:77::2")
	x.serve(laptop.Host, "10.77.0.3", "fd00:77::3")
	x.serve(phone.Host, "10.77.0.4", "fd00:77::4")
	x.fetch(hub.Host, "10.77.0.4", "10.77.0.1")
	x.fetch(home.Host, "10.77.0.1", "10.77.0.2")
	x.fetch(home.Host, "10.77.0.3", "10.77.0.2")
	x.fetch(laptop.Host, "10.77.0.4", "10.77.0.3")
	x.fetch(phone.Host, "10.77.0.2", "10.77.0.4")
	x.fetch(phone.Host, "fd00:77::3", "fd00:77::4")
	x.fetch(x.internet, "203.0.113.10:8080", "10.77.0.1")
	x.documented(laptop, "10.77.0.2:80")

	x.again(phone, "10.77.0.0/24", "10.77.0.1/32")
	x.explain(phone, diagnose.NoAllowedIPsMatch, "10.77.0.2")
	x.again(hub, "forward = true\n", "", portForward.FindString(hub.text), "[[peer]]")
	x.again(laptop)
	x.explainBoth(laptop, diagnose.NoReply, "10.77.0.2", hub, diagnose.ForwardingDisabled, "10.77.0.3")
	x.down()
}

// The web sees the server in both families, although the house has no IPv6. The
// house sees the laptop itself, and the rest of the house goes its own way.
func TestFullTunnel(t *testing.T) {
	x := newTopology(t, "full-tunnel")
	server := x.node(x.public("server", "203.0.113.10/24", "2001:db8:113::10/64"))
	web := x.public("web", "192.0.2.80/24", "2001:db8:2::80/64")
	router := x.nat("router", "198.51.100.7/24", "192.168.1.1/24")
	laptop := x.node(x.behind(router, "laptop", "192.168.1.10/24"))
	nas := x.behind(router, "nas", "192.168.1.20/24")
	x.network(router, "lan2", "192.168.30.1/24")
	printer := x.join(router, "lan2", "printer", "192.168.30.20/24")
	printer.Route("default", "192.168.30.1")
	x.serve(web, "192.0.2.80", "2001:db8:2::80")
	dns := x.public("dns", "9.9.9.9/24")
	dns.ServeDNS("9.9.9.9:53", &lab.Zone{})
	x.serve(nas, "192.168.1.20")
	x.serve(printer, "192.168.30.20")
	x.fetch(laptop.Host, "192.0.2.80", "198.51.100.7")
	x.up()
	x.heard(server, "laptop")
	x.serve(laptop.Host, "10.77.0.2")
	x.fetch(laptop.Host, "192.0.2.80", "203.0.113.10")
	x.fetch(laptop.Host, "2001:db8:2::80", "2001:db8:113::10")
	x.fetch(laptop.Host, "192.168.1.20", "192.168.1.10")
	x.fetch(laptop.Host, "192.168.30.20", "192.168.1.10")
	x.fetch(nas, "192.0.2.80", "198.51.100.7")
	x.fetch(server.Host, "10.77.0.2", "10.77.0.1")
	if got := laptop.ReadFile("/etc/resolv.conf"); !strings.Contains(got, "nameserver 9.9.9.9\n") {
		t.Errorf("names are looked up by\n%s", got)
	}
	if got := laptop.Run("ip", "route", "get", "9.9.9.9"); !strings.Contains(got, " dev wg0 ") {
		t.Errorf("the way to the name server: %s", got)
	}
	x.documented(laptop, "192.0.2.80:80")

	x.again(server, "masquerade", "#masquerade")
	x.again(laptop, `, "::/0"`, "")
	x.explain(laptop, diagnose.NoAllowedIPsMatch, "2001:db8:2::80")
	x.explainBoth(laptop, diagnose.NoReply, "192.0.2.80:80", server, diagnose.SNATMissing, "10.77.0.2")
	x.down()
	x.fetch(laptop.Host, "192.0.2.80", "198.51.100.7")
}

// The desks know only their own router, and the printers none at all: they see the
// router in their own network, not who asks.
func TestSiteToSite(t *testing.T) {
	x := newTopology(t, "site-to-site")
	office := x.node(x.public("office", "198.51.100.10/24"))
	branch := x.node(x.public("branch", "203.0.113.20/24"))
	x.network(office.Host, "eth1", "192.168.10.1/24", "fd00:77:10::1/64")
	x.network(branch.Host, "eth1", "192.168.20.1/24", "fd00:77:20::1/64")
	desk1 := x.join(office.Host, "eth1", "desk1", "192.168.10.20/24", "fd00:77:10::20/64")
	desk2 := x.join(branch.Host, "eth1", "desk2", "192.168.20.20/24", "fd00:77:20::20/64")
	printer1 := x.join(office.Host, "eth1", "printer1", "192.168.10.30/24", "fd00:77:10::30/64")
	printer2 := x.join(branch.Host, "eth1", "printer2", "192.168.20.30/24", "fd00:77:20::30/64")
	for desk, routers := range map[*lab.Host][]string{desk1: {"192.168.10.1", "fd00:77:10::1"}, desk2: {"192.168.20.1", "fd00:77:20::1"}} {
		for _, r := range routers {
			desk.Route("default", r)
		}
	}
	x.serve(printer1, "192.168.10.30", "fd00:77:10::30")
	x.serve(printer2, "192.168.20.30", "fd00:77:20::30")
	x.up()
	x.fetch(desk1, "192.168.20.30", "192.168.20.1")
	x.fetch(desk1, "fd00:77:20::30", "fd00:77:20::1")
	x.fetch(desk2, "192.168.10.30", "192.168.10.1")
	x.fetch(desk2, "fd00:77:10::30", "fd00:77:10::1")
	x.fetch(office.Host, "192.168.20.30", "192.168.20.1")
	x.documented(office, "192.168.20.30:80")

	x.again(office, `, "192.168.20.0/24"`, "")
	x.explain(office, diagnose.NoAllowedIPsMatch, "192.168.20.30")
	x.again(branch, "masquerade", "#masquerade")
	x.again(office)
	x.explainBoth(office, diagnose.NoReply, "192.168.20.30", branch, diagnose.SNATMissing, "10.77.0.1")
	x.down()
}
