//go:build linux

package system

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/wgnode/wgnode/node/lab"
	"github.com/wgnode/wgnode/node/lab/sitetest"
	"github.com/wgnode/wgnode/node/plan"
	"github.com/wgnode/wgnode/probe/diagnose"
)

// change is what a hand may do to what a step set on a host, with what doctor
// says of it.
type change struct {
	op                  plan.Op
	name, command, says string
	after               string // takes away what a reload leaves, as it is not the node's
}

var changes = []change{
	{op: plan.OpAddress, name: "address", command: "ip address del 10.0.0.1/24 dev wg0",
		says: "address 10.0.0.1/24 dev wg0 is missing"},
	{op: plan.OpAddress, name: "length of an address", command: "ip address del 10.0.0.1/24 dev wg0; ip address add 10.0.0.1/16 dev wg0",
		says:  "address 10.0.0.1/24 dev wg0 is missing",
		after: "ip address del 10.0.0.1/16 dev wg0"},
	{op: plan.OpAddress, name: "IPv6 address", command: "ip address del fd0a::1/64 dev wg0",
		says: "address fd0a::1/64 dev wg0 is missing"},
	{op: plan.OpUp, name: "link down", command: "ip link set wg0 down",
		says: "link wg0 is down"},
	{op: plan.OpUp, name: "MTU", command: "ip link set wg0 mtu 1300",
		says: "link wg0 has MTU 1300 instead of 1400"},
	{op: plan.OpRoute, name: "route", command: "ip route del 10.7.0.0/16 dev wg0",
		says: "route 10.7.0.0/16 dev wg0 is missing"},
	{op: plan.OpRoute, name: "route replaced", command: "ip route replace 10.7.0.0/16 via 10.9.1.1",
		says: "route 10.7.0.0/16 dev wg0 is missing"},
	{op: plan.OpRoute, name: "IPv6 route", command: "ip -6 route del fd07::/48 dev wg0",
		says: "route fd07::/48 dev wg0 is missing"},
	{op: plan.OpRoute, name: "default route", command: "ip route flush table 51820",
		says: "route 0.0.0.0/0 dev wg0 table 51820 is missing"},
	{op: plan.OpThrow, name: "throw route", command: "ip route del throw 192.0.2.0/24 table 51820",
		says: "route throw 192.0.2.0/24 table 51820 is missing"},
	{op: plan.OpThrow, name: "throw route replaced", command: "ip route replace blackhole 192.0.2.0/24 table 51820",
		says: "route throw 192.0.2.0/24 table 51820 is missing"},
	{op: plan.OpMarked, name: "rule", command: "ip rule del not fwmark 51820 table 51820",
		says: "rule -4 pref"},
	{op: plan.OpSuppress, name: "rule that suppresses", command: "ip -6 rule del table main suppress_prefixlength 0",
		says: "rule -6 pref"},
	{op: plan.OpSysctl, name: "forwarding", command: "sysctl -qw net.ipv4.ip_forward=0",
		says: "sysctl net.ipv4.ip_forward is 0 instead of 1"},
	{op: plan.OpSysctl, name: "IPv6 forwarding", command: "sysctl -qw net.ipv6.conf.all.forwarding=0",
		says: "sysctl net.ipv6.conf.all.forwarding is 0 instead of 1"},
	{op: plan.OpValidMark, name: "mark's parameter", command: "sysctl -qw net.ipv4.conf.all.src_valid_mark=0",
		says: "sysctl net.ipv4.conf.all.src_valid_mark is 0 instead of 1"},
	{op: plan.OpGateway, name: "gateway", command: "nft delete table inet wgnode-gateway-wg0",
		says: "nft table inet wgnode-gateway-wg0: it is missing"},
	{op: plan.OpGateway, name: "gateway's rule", command: "nft insert rule inet wgnode-gateway-wg0 postrouting accept",
		says: "nft table inet wgnode-gateway-wg0: chain postrouting: 1 rule was added"},
	{op: plan.OpGateway, name: "gateway's chain", command: "nft flush chain inet wgnode-gateway-wg0 prerouting",
		says: "chain prerouting: all of its rules are gone"},
	{op: plan.OpGateway, name: "gateway replaced", command: "nft delete table inet wgnode-gateway-wg0; nft add table inet wgnode-gateway-wg0",
		says: "chain forward is missing"},
	{op: plan.OpDNS, name: "name servers", command: "echo nameserver 192.0.2.9 > /etc/resolv.conf",
		says: "10.0.0.53"},
}

// Whatever of what up has set is deleted or changed by hand, doctor names it and
// reload puts it back, and says so.
func TestChangedByHand(t *testing.T) {
	lab.Need(t, "ip", "nft", "sysctl")
	t.Parallel()
	s := newSite(t, false)
	s.A.WriteFile("/etc/resolv.conf", sitetest.OriginalResolv, 0o644)
	s.toml(fullIPs+`, "10.7.0.0/16", "fd07::/48"`, `mtu = 1400
dns = ["10.0.0.53"]
exclude = ["192.0.2.0/24", "2001:db8::/32"]
masquerade = ["eth0"]
[[interface.port_forward]]
protocol = "tcp"
port = 8080
to = "10.0.0.2:80"`, "")
	s.A.Run(s.Wgnode, "up", tomlPath)
	findings := func() (all []diagnose.Finding) {
		t.Helper()
		var r diagnose.DoctorReport
		s.Ask(s.A, &r, "doctor", "wg0")
		for _, f := range r.Findings {
			if f.Code == diagnose.NotAsApplied || f.Code == diagnose.DNSNotApplied {
				all = append(all, f)
			}
		}
		return all
	}
	state := func() string {
		return everythingOf(s) + s.A.Run(
			"sh", "-c", "ip link show wg0; nft list table inet wgnode-gateway-wg0; sysctl net.ipv4.ip_forward net.ipv6.conf.all.forwarding")
	}
	if found := findings(); len(found) > 0 {
		t.Fatalf("before anything is changed: %+v", found)
	}
	var j struct{ Steps []plan.Step }
	if err := json.Unmarshal([]byte(s.A.ReadFile("/run/wgnode/wg0.json")), &j); err != nil {
		t.Fatal(err)
	}
	for _, step := range j.Steps {
		switch step.Op {
		case plan.OpLink, plan.OpConfigure: // a node without its link ends, and what the device has is left to others
		case plan.OpFirewall: // see TestFirewallRestored
		default:
			if !slices.ContainsFunc(changes, func(c change) bool { return c.op == step.Op }) {
				t.Errorf("nothing here changes what %q does", step)
			}
		}
	}
	before := state()
	for _, c := range changes {
		s.A.Run("sh", "-c", c.command)
		text := fmt.Sprintf("%+v", findings())
		if !strings.Contains(text, c.says) || !strings.Contains(text, "wgnode reload wg0") {
			t.Errorf("%s: doctor finds %s", c.name, text)
		}
		out := s.A.Run(s.Wgnode, "reload", "wg0")
		if !strings.Contains(out, "[!] changed by another program: ") || !strings.Contains(out, c.says) {
			t.Errorf("%s: reload printed\n%s", c.name, out)
		}
		if again := s.A.Run(s.Wgnode, "reload", "wg0"); again != "" {
			t.Errorf("%s: reload again printed\n%s", c.name, again)
		}
		if found := findings(); len(found) > 0 {
			t.Errorf("%s: after a reload %+v", c.name, found)
		}
		if c.after != "" {
			s.A.Run("sh", "-c", c.after)
		}
		sitetest.Same(t, c.name+": after a reload", before, state())
		before = state()
	}
}

// What hooks of the configuration change of it is theirs: doctor has nothing to
// say, and a reload leaves it.
func TestChangedByHooks(t *testing.T) {
	lab.Need(t, "bash", "ip")
	t.Parallel()
	s := newSite(t, false)
	s.ConfA.Replace(t, "ListenPort", "PostUp = ip link set %i mtu 1300; ip route del "+s.Addr.B.V4.Masked().String()+" dev %i\nListenPort")
	s.Up(s.A, s.ConfA)
	var r diagnose.DoctorReport
	s.Ask(s.A, &r, "doctor", "wg0")
	for _, f := range r.Findings {
		if f.Code == diagnose.NotAsApplied {
			t.Errorf("found: %+v", f)
		}
	}
	before := everythingOf(s)
	if out := s.A.Run(s.Wgnode, "reload", "wg0"); out != "" {
		t.Errorf("reload printed\n%s", out)
	}
	sitetest.Same(t, "after a reload", before, everythingOf(s))
}
