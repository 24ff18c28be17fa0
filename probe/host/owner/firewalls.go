package owner

import (
	"fmt"
	"regexp"
	"strings"

	"github.com/wgnode/wgnode/probe/harmless"
)

// ufw lets a packet pass by a rule of ufw's. Answers pass by themselves: ufw accepts
// what belongs to a connection.
func ufw(d *Drop, raw []string) []string {
	if name := ufwFile(d); name != "" {
		return append([]string{fmt.Sprintf("# ufw has this rule from %s, ahead of all that its commands add:", name),
			"# accept the packet there, then ufw reload; until then:"}, raw...)
	}
	verb := "allow"
	if d.Rule != "" && strings.Contains(d.last(), "-user-") {
		verb = "prepend allow" // another rule of the user's is ahead of it
	}
	var command string
	switch d.Hook {
	case "forward":
		command = harmless.Command("ufw route %s in on %s out on %s", harmless.Raw(verb), d.In, d.Out)
	case "output":
		command = harmless.Command("ufw %s out on %s", harmless.Raw(verb), d.Out)
	default:
		command = harmless.Command("ufw %s in on %s", harmless.Raw(verb), d.In)
	}
	command += fmt.Sprintf(" from %s%s to %s%s", d.Src, ufwPort(d.SrcPort), d.Dst, ufwPort(d.DstPort))
	if d.ports() {
		command += " proto " + d.protocol()
	} // of others ufw has no names: all protocols
	return []string{"# ufw owns these rules: one that is inserted by hand would not outlive its next reload", command}
}

func ufwPort(n uint16) string {
	if n == 0 {
		return ""
	}
	return fmt.Sprintf(" port %d", n)
}

// ufwFile is the file that a rule is from which ufw's commands do not reach, or "".
func ufwFile(d *Drop) string {
	c := d.last()
	if d.Rule == "" || !strings.Contains(c, "-before-") && !strings.HasSuffix(c, "-not-local") {
		return ""
	}
	if d.Src.Is6() {
		return "/etc/ufw/before6.rules"
	}
	return "/etc/ufw/before.rules"
}

var zoneChain = regexp.MustCompile(`^filter_IN_(\w[\w-]*?)(_(pre|log|deny|allow|post))?$`)

// firewalld lets a packet pass by a rich rule: of the zone, or between zones of a policy.
// Answers pass by themselves.
func firewalld(d *Drop, raw []string) []string {
	switch {
	case strings.Contains(d.Rule, "fib saddr"):
		return append([]string{"# firewalld checks sources as rp_filter does: IPv6_rpfilter=no in /etc/firewalld/firewalld.conf,",
			"# then firewall-cmd --reload; until the next reload of firewalld:"}, raw...)
	case strings.Contains(d.Rule, "invalid"):
		return append([]string{"# firewalld drops it because connection tracking does not know its connection:",
			"# does the other direction pass this host, too? Until the next reload of firewalld:"}, raw...)
	}
	lines := []string{"# firewalld owns these rules: one that is inserted by hand would not outlive its next reload"}
	before := "" // ahead of what denies
	if d.Rule != "" && strings.HasSuffix(d.last(), "_deny") {
		before = ` priority="-1"`
	}
	rule := d.richRule(before)
	if m := zoneChain.FindStringSubmatch(d.last()); m != nil && d.Hook == "input" && !strings.HasPrefix(m[1], "policy_") {
		return append(lines, harmless.Command("firewall-cmd --zone=%s --add-rich-rule=%s", m[1], rule),
			harmless.Command("firewall-cmd --permanent --zone=%s --add-rich-rule=%s", m[1], rule))
	}
	from, to := "ANY", "ANY"
	switch d.Hook {
	case "input":
		to = "HOST"
	case "output":
		from = "HOST"
	}
	policy := "wgnode-" + d.Hook
	permanent := "firewall-cmd --permanent --policy=" + policy
	return append(lines, "# if there is no such policy yet:", "firewall-cmd --permanent --new-policy="+policy,
		"# and:", permanent+" --set-priority=-1000",
		permanent+" --add-ingress-zone="+from, permanent+" --add-egress-zone="+to,
		permanent+harmless.Command(" --add-rich-rule=%s", d.richRule("")),
		"# a reload also takes away what was set without --permanent:", "firewall-cmd --reload")
}

// richRule is a rule in firewalld's language that accepts the packet.
func (p Packet) richRule(priority string) string {
	family := "ipv4"
	if p.Src.Is6() {
		family = "ipv6"
	}
	what := fmt.Sprintf(`protocol value="%s"`, p.protocol())
	switch {
	case p.DstPort != 0:
		what = fmt.Sprintf(`port port="%d" protocol="%s"`, p.DstPort, p.protocol())
	case p.SrcPort != 0:
		what = fmt.Sprintf(`source-port port="%d" protocol="%s"`, p.SrcPort, p.protocol())
	}
	return fmt.Sprintf(`rule%s family="%s" source address="%s" destination address="%s" %s accept`, priority, family, p.Src, p.Dst, what)
}

var jailSet = regexp.MustCompile(`@addr6?-set-([\w.-]+)`)

// fail2ban has banned the packet's source.
func fail2ban(d *Drop, raw []string) []string {
	jail := ""
	if m := jailSet.FindStringSubmatch(d.Rule); m != nil {
		jail = m[1]
	} else if d.Table != "f2b-table" {
		jail = strings.TrimPrefix(d.last(), "f2b-")
	}
	if jail == "" {
		return append([]string{"# fail2ban has banned it: fail2ban-client banned says in which jail, fail2ban-client set JAIL unbanip " +
			d.Src.String() + " ends that;", "# until fail2ban writes its rules again:"}, raw...)
	}
	return []string{"# fail2ban has banned " + d.Src.String() + "; it must be in ignoreip of the jail if it is to stay free:",
		harmless.Command("fail2ban-client set %s unbanip %s", jail, d.Src)}
}

func ownedByCrowdSec(d *Drop) bool {
	return d.in("CROWDSEC", "crowdsec") || d.Table == "crowdsec" || d.Table == "crowdsec6" ||
		strings.Contains(d.Rule, "crowdsec-blacklists") || strings.Contains(d.Rule, "crowdsec6-blacklists")
}

// crowdsec has a decision about the packet's source.
func crowdsec(d *Drop, _ []string) []string {
	return []string{"# CrowdSec has banned " + d.Src.String() + "; cscli decisions list --contained --ip " + d.Src.String() +
		" says whether with a range. The bouncer follows within a minute:",
		harmless.Command("cscli decisions delete --ip %s", d.Src)}
}
