//go:build linux

package observe

import (
	"fmt"
	"strings"

	"github.com/wgnode/wgnode/probe"
	"github.com/wgnode/wgnode/probe/harmless"
	"github.com/wgnode/wgnode/probe/host/netfilter"
)

// accept returns the commands that let packets pass the chain of a rule. h is the
// packet as it entered there.
func accept(r netfilter.Rule, h netfilter.Header, services Ports) []string {
	if r.Program == "iptables" || r.Program == "ip6tables" {
		args := []string{r.Program, "-t", r.Table.Name, "-I", r.Chain, "-s", h.Src.String(), "-d", h.Dst.String(),
			"-p", probe.ProtocolName(h.Proto)}
		switch {
		case services(h.SrcPort):
			args = append(args, "--sport", fmt.Sprint(h.SrcPort))
		case services(h.DstPort):
			args = append(args, "--dport", fmt.Sprint(h.DstPort))
		}
		for i, arg := range args {
			args[i] = harmless.Shell(arg)
		}
		return []string{strings.Join(append(args, "-j", "ACCEPT"), " ")}
	}
	ip := "ip"
	if h.Src.Is6() {
		ip = "ip6"
	}
	match := fmt.Sprintf("%s saddr %s %s daddr %s", ip, h.Src, ip, h.Dst)
	switch {
	case services(h.DstPort):
		match += fmt.Sprintf(" %s dport %d", probe.ProtocolName(h.Proto), h.DstPort)
	case services(h.SrcPort):
		match += fmt.Sprintf(" %s sport %d", probe.ProtocolName(h.Proto), h.SrcPort)
	default:
		match += fmt.Sprintf(" meta l4proto %d", h.Proto)
	}
	return []string{harmless.Command("nft insert rule %s %s %s %s accept", r.Table.Family, r.Table.Name, r.Chain, harmless.Raw(match))}
}
