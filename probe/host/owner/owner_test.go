package owner

import (
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/wgnode/wgnode/probe"
)

var (
	four = Packet{In: "wg0", Out: "eth0", Src: netip.MustParseAddr("10.9.9.1"), Dst: netip.MustParseAddr("192.168.200.22"),
		Proto: probe.ProtoTCP, DstPort: 80}
	six = Packet{In: "wg0", Out: "eth0", Src: netip.MustParseAddr("fd00::1"), Dst: netip.MustParseAddr("fd00:2::22"),
		Proto: probe.ProtoTCP, DstPort: 80}
	ping = Packet{In: "wg0", Out: "eth0", Src: four.Src, Dst: four.Dst, Proto: probe.ProtoICMP}
)

// admission is a drop, and what is to be typed so that the packet passes.
type admission struct {
	name     string
	drop     Drop
	owner    string   // "" for none
	commands []string // all of them
	notes    string   // is in the comments
}

// firewalls are drops by programs that write whole firewalls.
var firewalls = []admission{
	{name: "ufw's policy, forwarded", owner: "ufw", notes: "would not outlive its next reload",
		drop: Drop{Table: "filter", Chains: []string{"FORWARD", "ufw-before-forward", "ufw-user-forward", "FORWARD"},
			Hook: "forward", Packet: four},
		commands: []string{"ufw route allow in on wg0 out on eth0 from 10.9.9.1 to 192.168.200.22 port 80 proto tcp"}},
	{name: "ufw's policy, forwarded, IPv6", owner: "ufw",
		drop:     Drop{Table: "filter", Chains: []string{"FORWARD", "ufw6-user-forward", "FORWARD"}, Hook: "forward", Packet: six},
		commands: []string{"ufw route allow in on wg0 out on eth0 from fd00::1 to fd00:2::22 port 80 proto tcp"}},
	{name: "ufw, a rule of the user's", owner: "ufw",
		drop:     Drop{Table: "filter", Chains: []string{"INPUT", "ufw-user-input"}, Rule: "-j DROP", Hook: "input", Packet: four},
		commands: []string{"ufw prepend allow in on wg0 from 10.9.9.1 to 192.168.200.22 port 80 proto tcp"}},
	{name: "ufw, output, a protocol without ports", owner: "ufw",
		drop:     Drop{Table: "filter", Chains: []string{"OUTPUT", "ufw-user-output", "OUTPUT"}, Hook: "output", Packet: ping},
		commands: []string{"ufw allow out on eth0 from 10.9.9.1 to 192.168.200.22"}},
	{name: "ufw's file", owner: "ufw", notes: "/etc/ufw/before.rules",
		drop: Drop{Table: "filter", Chains: []string{"INPUT", "ufw-before-input"}, Rule: "-m conntrack --ctstate INVALID -j DROP",
			Hook: "input", Packet: four},
		commands: []string{"raw"}},
	{name: "a rule of somebody's in a base chain beside ufw's",
		drop: Drop{Table: "filter", Chains: []string{"FORWARD", "ufw-before-forward", "FORWARD"}, Rule: "-j DROP",
			Hook: "forward", Packet: four}},
	{name: "firewalld, into a zone", owner: "firewalld",
		drop: Drop{Table: "firewalld", Chains: []string{"filter_INPUT", "filter_INPUT_ZONES", "filter_IN_public"},
			Rule: "reject with icmpx admin-prohibited", Hook: "input", Packet: four},
		commands: []string{
			`firewall-cmd --zone=public --add-rich-rule='rule family="ipv4" source address="10.9.9.1" destination address="192.168.200.22" ` +
				`port port="80" protocol="tcp" accept'`,
			`firewall-cmd --permanent --zone=public --add-rich-rule='rule family="ipv4" source address="10.9.9.1" ` +
				`destination address="192.168.200.22" port port="80" protocol="tcp" accept'`}},
	{name: "firewalld, denied in a zone with a long name", owner: "firewalld",
		drop: Drop{Table: "firewalld", Chains: []string{"filter_INPUT", "filter_IN_home-2_deny"}, Rule: "drop",
			Hook: "input", Packet: ping},
		commands: []string{
			`firewall-cmd --zone=home-2 --add-rich-rule='rule priority="-1" family="ipv4" source address="10.9.9.1" ` +
				`destination address="192.168.200.22" protocol value="icmp" accept'`,
			`firewall-cmd --permanent --zone=home-2 --add-rich-rule='rule priority="-1" family="ipv4" source address="10.9.9.1" ` +
				`destination address="192.168.200.22" protocol value="icmp" accept'`}},
	{name: "firewalld, between zones", owner: "firewalld", notes: "reload",
		drop: Drop{Table: "firewalld", Chains: []string{"filter_FORWARD", "filter_FORWARD_ZONES", "filter_FWD_public"},
			Rule: "reject with icmpx admin-prohibited", Hook: "forward", Packet: six},
		commands: []string{"firewall-cmd --permanent --new-policy=wgnode-forward",
			"firewall-cmd --permanent --policy=wgnode-forward --set-priority=-1000",
			"firewall-cmd --permanent --policy=wgnode-forward --add-ingress-zone=ANY",
			"firewall-cmd --permanent --policy=wgnode-forward --add-egress-zone=ANY",
			`firewall-cmd --permanent --policy=wgnode-forward --add-rich-rule='rule family="ipv6" source address="fd00::1" ` +
				`destination address="fd00:2::22" port port="80" protocol="tcp" accept'`,
			"firewall-cmd --reload"}},
	{name: "firewalld, a connection that is not known", owner: "firewalld", notes: "the other direction", commands: []string{"raw"},
		drop: Drop{Table: "firewalld", Chains: []string{"filter_FORWARD"}, Rule: "ct state invalid drop", Hook: "forward", Packet: four}},
}

// others are drops by programs that ban addresses, and by those that connect guests.
var others = []admission{
	{name: "fail2ban by iptables", owner: "fail2ban", notes: "ignoreip", commands: []string{"fail2ban-client set sshd unbanip 10.9.9.1"},
		drop: Drop{Table: "filter", Chains: []string{"INPUT", "f2b-sshd"}, Rule: "-s 10.9.9.1/32 -j REJECT",
			Hook: "input", Packet: four}},
	{name: "fail2ban by nft", owner: "fail2ban", commands: []string{"fail2ban-client set nginx-http-auth unbanip fd00::1"},
		drop: Drop{Table: "f2b-table", Chains: []string{"f2b-chain"}, Hook: "input", Packet: six,
			Rule: "tcp dport { 80, 443 } ip6 saddr @addr6-set-nginx-http-auth reject"}},
	{name: "CrowdSec by nft", owner: "CrowdSec", commands: []string{"cscli decisions delete --ip fd00::1"},
		drop: Drop{Table: "crowdsec6", Chains: []string{"crowdsec6-chain-input"}, Rule: "ip6 saddr @crowdsec6-blacklists drop",
			Hook: "input", Packet: six}},
	{name: "CrowdSec by ipset", owner: "CrowdSec", commands: []string{"cscli decisions delete --ip 10.9.9.1"},
		drop: Drop{Table: "filter", Chains: []string{"INPUT"}, Rule: "-m set --match-set crowdsec-blacklists-0 src -j DROP",
			Hook: "input", Packet: four}},
	{name: "Docker's policy", owner: "Docker", notes: "reboot",
		drop: Drop{Table: "filter", Chains: []string{"FORWARD", "DOCKER-USER", "FORWARD"}, Hook: "forward", Packet: four},
		commands: []string{"iptables -I DOCKER-USER -s 10.9.9.1 -d 192.168.200.22 -p tcp --dport 80 -j ACCEPT",
			"iptables -I DOCKER-USER -s 192.168.200.22 -d 10.9.9.1 -p tcp --sport 80 -j ACCEPT"}},
	{name: "Docker's isolation, IPv6", owner: "Docker",
		drop: Drop{Table: "filter", Chains: []string{"FORWARD", "DOCKER-USER", "FORWARD", "DOCKER-ISOLATION-STAGE-2"}, Rule: "-j DROP",
			Hook: "forward", Packet: six},
		commands: []string{"ip6tables -I DOCKER-USER -s fd00::1 -d fd00:2::22 -p tcp --dport 80 -j ACCEPT",
			"ip6tables -I DOCKER-USER -s fd00:2::22 -d fd00::1 -p tcp --sport 80 -j ACCEPT"}},
	{name: "Docker's rule in table raw", owner: "Docker", notes: "trusted_host_interfaces=wg0", commands: []string{"raw"},
		drop: Drop{Table: "raw", Chains: []string{"PREROUTING"}, Rule: "-d 172.17.0.2/32 ! -i docker0 -j DROP",
			Hook: "prerouting", Packet: four}},
	{name: "somebody's rule in table raw",
		drop: Drop{Table: "raw", Chains: []string{"PREROUTING"}, Rule: "-d 172.17.0.2/32 -j DROP", Hook: "prerouting", Packet: four}},
	{name: "libvirt by iptables", owner: "libvirt", notes: "virsh net-edit",
		drop: Drop{Table: "filter", Chains: []string{"FORWARD", "LIBVIRT_FWI"}, Rule: "-o virbr0 -j REJECT",
			Hook: "forward", Packet: ping},
		commands: []string{"iptables -I FORWARD -s 10.9.9.1 -d 192.168.200.22 -p icmp -j ACCEPT",
			"iptables -I FORWARD -s 192.168.200.22 -d 10.9.9.1 -p icmp -j ACCEPT"}},
	{name: "libvirt by nft", owner: "libvirt", commands: []string{"raw"},
		drop: Drop{Table: "libvirt_network", Chains: []string{"guest_input"}, Rule: "oif virbr0 reject", Hook: "forward", Packet: four}},
	{name: "Kubernetes, a service without pods", owner: "Kubernetes", notes: "kubectl get endpoints",
		drop: Drop{Table: "filter", Chains: []string{"INPUT", "KUBE-EXTERNAL-SERVICES"},
			Rule: `-m comment --comment "default/web has no endpoints" -j REJECT`, Hook: "input", Packet: four}},
	{name: "a policy of Calico's", owner: "Calico", notes: "globalnetworkpolicies", commands: []string{"raw"},
		drop: Drop{Table: "filter", Chains: []string{"FORWARD", "cali-FORWARD", "cali-tw-cali123"}, Rule: "-j DROP",
			Hook: "forward", Packet: four}},
	{name: "a policy of nobody's", drop: Drop{Table: "filter", Chains: []string{"FORWARD"}, Hook: "forward", Packet: four}},
	{name: "nothing known", drop: Drop{}},
}

// Each owner is recognized by the names that it gives, and lets the packet pass in its
// own words.
func TestAdmit(t *testing.T) {
	for _, tc := range slices.Concat(firewalls, others) {
		t.Run(tc.name, func(t *testing.T) {
			o := Of(&tc.drop)
			if o == nil {
				if tc.owner != "" {
					t.Fatalf("no owner, want %s", tc.owner)
				}
				return
			}
			if o.Name != tc.owner {
				t.Fatalf("owner %s, want %q", o.Name, tc.owner)
			}
			lines := o.Admit(&tc.drop, []string{"raw"})
			isNote := func(line string) bool { return strings.HasPrefix(line, "# ") }
			notes := strings.Join(slices.DeleteFunc(slices.Clone(lines), func(l string) bool { return !isNote(l) }), "\n")
			if got := slices.DeleteFunc(slices.Clone(lines), isNote); !slices.Equal(got, tc.commands) {
				t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(tc.commands, "\n"))
			}
			if notes == "" || !strings.Contains(notes, tc.notes) {
				t.Errorf("%q is not in\n%s", tc.notes, notes)
			}
		})
	}
}
