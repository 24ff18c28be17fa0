//go:build linux

package faults

import (
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/wgnode/wgnode/probe/diagnose"
)

// ruleset is the firewall of a program that owns it, as the program writes it.
type ruleset struct {
	owner string
	// file is in testdata/owners; those of ufw are two, one for each family.
	file, file6 string
	// admit is what the program's own command would add for A's packets to B, in the
	// words of nft or iptables: it is the twin.
	admit string
	says  string
	mends bool   // by commands that are there without the program
	port  string // what the program's own command for the tunnel's port says; "" for no such case
}

// rulesets drop what H should forward.
var rulesets = []ruleset{
	{owner: "ufw", file: "ufw-iptables.rules", file6: "ufw-ip6tables.rules", says: "ufw route allow in on wg0 out on lan from ",
		port:  "ufw allow in on wan from ",
		admit: "IPTABLES -A UFW-user-forward -i wg0 -o lan -p tcp --dport 80 -j ACCEPT"},
	{owner: "firewalld", file: "firewalld.nft", says: "firewall-cmd --permanent --policy=wgnode-forward --add-rich-rule=",
		port:  "firewall-cmd --permanent --zone=public --add-rich-rule=",
		admit: "nft add rule inet firewalld filter_FWD_public_allow oifname lan accept"},
	{owner: "Docker", file: "docker.rules", says: "tables -I DOCKER-USER ", mends: true,
		admit: "IPTABLES -I DOCKER-USER -i wg0 -j ACCEPT; IPTABLES -I DOCKER-USER -o wg0 -j ACCEPT"},
	{owner: "libvirt", file: "libvirt.rules", says: "virsh net-edit", mends: true,
		admit: "IPTABLES -I FORWARD -i wg0 -o lan -j ACCEPT"},
	{owner: "fail2ban", file: "fail2ban.rules", says: "fail2ban-client set web unbanip ",
		admit: "IPTABLES -D f2b-web 1"},
}

// load puts the ruleset into H, in place of what it has of it.
func (r *ruleset) load(s *site) { r.loadWithout(s, "\x00") }

// loadWithout is load, but for the lines that contain a text.
func (r *ruleset) loadWithout(s *site, text string) {
	s.T.Helper()
	file := r.file
	if s.V6 && r.file6 != "" {
		file = r.file6
	}
	content, err := os.ReadFile(filepath.Join("testdata", "owners", file))
	if err != nil {
		s.T.Fatal(err)
	}
	lines := slices.DeleteFunc(slices.Collect(strings.Lines(string(content))), func(l string) bool { return strings.Contains(l, text) })
	network := s.Addr.B.V4
	if s.V6 {
		network = s.Addr.B.V6
	}
	rules := strings.NewReplacer("NETWORK", network.Masked().String(), "BANNED", s.Inner(1)).Replace(strings.Join(lines, ""))
	switch {
	case strings.HasSuffix(file, ".nft"):
		// nft adds a table that is there already, so that it can be deleted.
		s.H.RunInput("add table inet firewalld\ndelete table inet firewalld\n"+rules, "nft", "-f", "-")
	case s.V6:
		s.H.RunInput(rules, "ip6tables-nft-restore")
	default:
		s.H.RunInput(rules, "iptables-nft-restore")
	}
}

// let does what the program's own command would do.
func (r *ruleset) let(s *site) {
	words := strings.NewReplacer("IPTABLES", "iptables-nft -w", "UFW", "ufw")
	if s.V6 {
		words = strings.NewReplacer("IPTABLES", "ip6tables-nft -w", "UFW", "ufw6")
	}
	s.H.Run("sh", "-c", words.Replace(r.admit))
}

// faultsOfOwners are real rulesets that drop what H should forward, each beside the same
// with the packet let pass.
func faultsOfOwners() []fault {
	var all []fault
	for _, r := range rulesets {
		all = append(all, fault{code: diagnose.ForwardFirewall, how: r.owner + "'s rules", side: "B", at: "B5", says: r.says, mends: r.mends,
			twin:   func(s *site) { r.load(s); r.let(s) },
			inject: r.load})
		if r.port != "" {
			all = append(all, fault{code: diagnose.UnderlayInputFirewall, how: r.owner + "'s rules", side: "B", at: "B2", says: r.port, fresh: true,
				twin: func(s *site) { r.load(s); r.let(s) },
				inject: func(s *site) {
					// What is established passes, and what H calls itself would be: it is to know no way to A.
					s.H.Run(s.Wgnode, "down", "wg0")
					r.loadWithout(s, "dport 51820")
					s.H.Run("conntrack", "-F")
					s.H.Run(s.Wgnode, "up", "wg0")
				}})
		}
	}
	return all
}
