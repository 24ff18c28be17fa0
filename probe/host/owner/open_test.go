package owner

import (
	"slices"
	"strings"
	"testing"
)

func TestOpenAndPass(t *testing.T) {
	for name, test := range map[string]struct {
		drop       Drop
		open, pass []string // commands
	}{
		"ufw": {Drop{Family: "ip", Table: "filter", Chains: []string{"INPUT", "ufw-user-input", "INPUT"}},
			[]string{"ufw allow 51820/udp"}, []string{"ufw route allow in on wg0"}},
		"ufw's file": {Drop{Family: "ip", Table: "filter", Chains: []string{"INPUT", "ufw-before-input"}, Rule: "-j DROP"}, nil, nil},
		"firewalld, a zone": {Drop{Family: "inet", Table: "firewalld", Chains: []string{"filter_INPUT", "filter_IN_public"}},
			[]string{"firewall-cmd --permanent --zone=public --add-port=51820/udp", "firewall-cmd --reload"},
			[]string{"firewall-cmd --permanent --zone=trusted --add-interface=wg0", "firewall-cmd --reload"}},
		"iptables": {Drop{Family: "ip6", Table: "filter", Chains: []string{"INPUT"}},
			[]string{"ip6tables -I INPUT -p udp --dport 51820 -j ACCEPT"},
			[]string{"ip6tables -I INPUT -i wg0 -j ACCEPT", "ip6tables -I INPUT -o wg0 -m conntrack --ctstate ESTABLISHED,RELATED -j ACCEPT"}},
		"Docker": {Drop{Family: "ip", Table: "filter", Chains: []string{"FORWARD", "DOCKER-FORWARD", "FORWARD"}},
			[]string{"iptables -I FORWARD -p udp --dport 51820 -j ACCEPT"},
			[]string{"iptables -I DOCKER-USER -i wg0 -j ACCEPT",
				"iptables -I DOCKER-USER -o wg0 -m conntrack --ctstate ESTABLISHED,RELATED -j ACCEPT"}},
		"nobody's": {Drop{Family: "inet", Table: "my filter", Chains: []string{"in", "more"}, Rule: "drop"},
			[]string{"nft insert rule inet 'my filter' in udp dport 51820 accept"},
			[]string{"nft insert rule inet 'my filter' in iifname wg0 accept",
				"nft insert rule inet 'my filter' in oifname wg0 ct state established,related accept"}},
	} {
		commands := func(lines []string) []string {
			return slices.DeleteFunc(lines, func(s string) bool { return strings.HasPrefix(s, "#") })
		}
		by := Of(&test.drop)
		if got := commands(Open(by, &test.drop, 51820)); !slices.Equal(got, test.open) {
			t.Errorf("%s: open\n%q\nwant\n%q", name, got, test.open)
		}
		if got := commands(Pass(by, &test.drop, "wg0")); !slices.Equal(got, test.pass) {
			t.Errorf("%s: pass\n%q\nwant\n%q", name, got, test.pass)
		}
	}
}
