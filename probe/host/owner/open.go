package owner

import (
	"fmt"
	"strings"

	"github.com/wgnode/wgnode/probe/harmless"
)

// lasting is a comment on commands whose effect ends with the next load of the rules.
const lasting = "# until the rules are loaded again; write it into the file that they are loaded from, too:"

// Open returns what to type so that everybody reaches a UDP port of this host, where d is
// what dropped a packet to it. by is whose rules those are, nil for nobody's that is known.
func Open(by *Owner, d *Drop, port uint16) []string {
	switch name(by) {
	case "ufw":
		if file := ufwFile(d); file != "" {
			return []string{fmt.Sprintf("# ufw has this rule from %s: accept UDP port %d there, then ufw reload", file, port)}
		}
		return []string{fmt.Sprintf("ufw allow %d/udp", port)}
	case "firewalld":
		zone := ""
		if m := zoneChain.FindStringSubmatch(d.last()); m != nil && !strings.HasPrefix(m[1], "policy_") {
			zone = harmless.Command(" --zone=%s", m[1])
		}
		return []string{fmt.Sprintf("firewall-cmd --permanent%s --add-port=%d/udp", zone, port), "firewall-cmd --reload"}
	}
	if d.byIPTables() {
		return []string{lasting, harmless.Command("%s -I %s -p udp --dport %s -j ACCEPT", d.program(), d.base(), fmt.Sprint(port))}
	}
	return []string{lasting, harmless.Command("nft insert rule %s %s %s udp dport %s accept", d.Family, d.Table, d.base(), fmt.Sprint(port))}
}

// Pass returns what to type so that what comes from a link passes this host, and the answers,
// where d is what dropped one of them.
func Pass(by *Owner, d *Drop, link string) []string {
	switch name(by) {
	case "ufw":
		if file := ufwFile(d); file != "" {
			return []string{fmt.Sprintf("# ufw has this rule from %s: accept what comes from %s there, then ufw reload", file, link)}
		}
		return []string{harmless.Command("ufw route allow in on %s", link)}
	case "firewalld":
		return []string{"# peers reach all of this host then, too:",
			harmless.Command("firewall-cmd --permanent --zone=trusted --add-interface=%s", link), "firewall-cmd --reload"}
	case "Docker":
		return forward(d, "DOCKER-USER", link)
	}
	return forward(d, d.base(), link)
}

func forward(d *Drop, chain, link string) []string {
	if d.byIPTables() {
		return []string{lasting, harmless.Command("%s -I %s -i %s -j ACCEPT", d.program(), chain, link),
			harmless.Command("%s -I %s -o %s -m conntrack --ctstate ESTABLISHED,RELATED -j ACCEPT", d.program(), chain, link)}
	}
	return []string{lasting, harmless.Command("nft insert rule %s %s %s iifname %s accept", d.Family, d.Table, chain, link),
		harmless.Command("nft insert rule %s %s %s oifname %s ct state established,related accept", d.Family, d.Table, chain, link)}
}

func name(by *Owner) string {
	if by == nil {
		return ""
	}
	return by.Name
}

// base is the base chain that the packet was in.
func (d *Drop) base() string {
	if len(d.Chains) == 0 {
		return ""
	}
	return d.Chains[0]
}

// byIPTables reports whether the table is one that iptables has made.
func (d *Drop) byIPTables() bool {
	return (d.Family == "ip" || d.Family == "ip6") && strings.ToUpper(d.base()) == d.base()
}

// program is the one that has made it.
func (d *Drop) program() string {
	if d.Family == "ip6" {
		return "ip6tables"
	}
	return "iptables"
}
