package owner

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/wgnode/wgnode/probe/harmless"
)

// direct is a rule of Docker's in table raw: nobody but the bridge's own host reaches
// the addresses of containers.
var direct = regexp.MustCompile(`! -i (docker\d+|br-[0-9a-f]{12}) .*-j DROP`)

func ownedByDocker(d *Drop) bool {
	return d.in("DOCKER") || d.Table == "docker-bridges" || d.Table == "raw" && direct.MatchString(d.Rule)
}

// docker lets packets pass where Docker leaves room for rules: DOCKER-USER, which it asks
// first and keeps. It drops all it has not accepted, so the answers need a rule as well.
func docker(d *Drop, raw []string) []string {
	switch {
	case d.Table == "docker-bridges":
		return append([]string{"# Docker owns this table and writes it again whenever a network changes: publish the port (-p),",
			"# or create the network with -o com.docker.network.bridge.trusted_host_interfaces=" + harmless.Shell(d.In) + "; until then:"}, raw...)
	case d.Table == "raw":
		return append([]string{"# Docker keeps the addresses of containers to their own host: publish the port (-p), or create the network with",
			"# -o com.docker.network.bridge.trusted_host_interfaces=" + harmless.Shell(d.In) + "; until Docker writes its rules again:"}, raw...)
	}
	chain := "DOCKER-USER"
	lines := []string{"# Docker owns these rules and keeps those in DOCKER-USER; a reboot needs them again (iptables-persistent):"}
	if !slices.Contains(d.Chains, chain) {
		chain = "FORWARD"
		lines = []string{"# Docker owns these rules, and the packet did not meet DOCKER-USER; a reload of Docker or a reboot needs these again:"}
	}
	return append(lines, d.insert(chain), d.reply().insert(chain))
}

// insert is the command that puts a rule at the head of a chain of table filter, which
// accepts the packet.
func (p Packet) insert(chain string) string {
	line := harmless.Command("%s -I %s -s %s -d %s -p %s", p.iptables(), chain, p.Src, p.Dst, p.protocol())
	if p.SrcPort != 0 {
		line += fmt.Sprintf(" --sport %d", p.SrcPort)
	}
	if p.DstPort != 0 {
		line += fmt.Sprintf(" --dport %d", p.DstPort)
	}
	return line + " -j ACCEPT"
}

// libvirt lets packets pass ahead of libvirt's own chains.
func libvirt(d *Drop, raw []string) []string {
	lines := []string{"# libvirt owns these rules: a network that others may reach has <forward mode='open'/> or 'route'",
		"# (virsh net-edit NETWORK); until the network starts again:"}
	if d.Hook != "forward" || d.Table != "filter" {
		return append(lines, raw...) // a table of its own: an accept elsewhere does not bind it
	}
	return append(lines, d.insert("FORWARD"), d.reply().insert("FORWARD"))
}

// kubernetes says what to look at: services and policies are objects of the cluster.
func kubernetes(d *Drop, raw []string) []string {
	if strings.Contains(d.Rule, "no endpoints") {
		return []string{"# Kubernetes refuses it because the service has no endpoints: no pod of it is ready;", "# kubectl get endpoints -A"}
	}
	return cluster("Kubernetes", "kubectl get networkpolicies -A", raw)
}

func calico(_ *Drop, raw []string) []string {
	return cluster("Calico", "kubectl get networkpolicies,networkpolicies.crd.projectcalico.org -A; kubectl get globalnetworkpolicies", raw)
}

func cilium(_ *Drop, raw []string) []string {
	return cluster("Cilium", "kubectl get ciliumnetworkpolicies -A; kubectl get ciliumclusterwidenetworkpolicies", raw)
}

func cluster(name, look string, raw []string) []string {
	return append([]string{"# " + name + " owns these rules and writes them again within a minute: a policy must allow it; " + look,
		"# until then:"}, raw...)
}
