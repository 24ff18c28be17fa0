package plan

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/wgnode/wgnode/node/internal/nftables"
)

// The kill switch is the first step, so that it is there before anything else
// and goes after everything else. It stands in the kernel: when the node dies,
// nothing but a new step of the same kind, or undoing it, changes it.

// KillSwitchState is what Build needs to know about the host for a kill switch.
type KillSwitchState struct {
	// Others are the tunnels that have one now, but for the one to be built.
	Others []string
	// LAN are the networks that may stay reachable, see [LAN].
	LAN []nftables.Network
}

// private are the addresses that a LAN may have: RFC 1918, RFC 3927, RFC 4193,
// and RFC 4291 section 2.5.6.
var private = []netip.Prefix{
	netip.MustParsePrefix("10.0.0.0/8"),
	netip.MustParsePrefix("172.16.0.0/12"),
	netip.MustParsePrefix("192.168.0.0/16"),
	netip.MustParsePrefix("169.254.0.0/16"),
	netip.MustParsePrefix("fc00::/7"),
	netip.MustParsePrefix("fe80::/10"),
}

// lan returns those of the networks that a kill switch may leave reachable: what
// the interfaces other than the tunnel lead to without a gateway, as far as the
// addresses are private. Whoever runs a network can tell a host by DHCP that any
// prefix is on the link; that must not lead packets for public addresses around
// the tunnel.
func lan(connected []nftables.Network, tunnel string) []nftables.Network {
	return slices.DeleteFunc(slices.Clone(connected), func(n nftables.Network) bool {
		return n.Link == tunnel || n.Link == "lo" ||
			!slices.ContainsFunc(private, func(p netip.Prefix) bool { return covers(p, n.Prefix) })
	})
}

// checkKillSwitch says why the host cannot have the kill switch. To leave it out
// is no choice.
func (b *builder) checkKillSwitch() error {
	switch k := &b.host.KillSwitch; {
	case !b.cfg.Interface.KillSwitch:
		return nil
	case b.host.NoNftables != "":
		return fmt.Errorf("kill_switch: %s; without nftables there is none", b.host.NoNftables)
	case len(k.Others) > 0:
		return fmt.Errorf("kill_switch: %s has one already, and each would drop the other tunnel's packets", strings.Join(k.Others, ", "))
	}
	return nil
}

func (b *builder) killSwitch() {
	i := &b.cfg.Interface
	if !i.KillSwitch {
		return
	}
	k := &nftables.KillSwitch{Link: b.cfg.Name, Mark: b.mark, Excluded: i.Exclude, AllowLAN: i.KillSwitchLAN}
	why := fmt.Sprintf("kill_switch: from now until %s is taken down nothing leaves this host but into the tunnel, "+
		"also if this process dies; %s shut", b.cfg.Name, b.waysShut())
	if i.KillSwitchLAN {
		k.LAN = b.host.KillSwitch.LAN
		why += "; " + whyLAN(k.LAN)
	}
	if len(i.Exclude) > 0 {
		why += "; open to " + some(texts(i.Exclude)) + ", which exclude names"
	}
	b.add(Step{Op: OpKillSwitch, Mark: b.mark, KillSwitch: k, Why: why})
}

// waysShut names the host's own ways out.
func (b *builder) waysShut() string {
	var ways []string
	for _, f := range []FamilyState{b.host.Default.V4, b.host.Default.V6} {
		if f.Default != "" {
			ways = append(ways, f.Default)
		}
	}
	switch len(ways) {
	case 0:
		return "any other path is"
	case 1:
		return "the default route " + ways[0] + " is"
	}
	return "the default routes " + strings.Join(ways, " and ") + " are"
}

func whyLAN(networks []nftables.Network) string {
	if len(networks) == 0 {
		return "kill_switch_lan: this host is in no private network now"
	}
	var names []string
	for _, n := range networks {
		names = append(names, fmt.Sprintf("%s dev %s", n.Prefix, n.Link))
	}
	return "kill_switch_lan: " + some(names) + " stay reachable"
}

// some lists words, as many as one can take in.
func some(words []string) string {
	const most = 4
	if n := len(words); n > most {
		return fmt.Sprintf("%s and %d more", strings.Join(words[:most], ", "), n-most)
	}
	return strings.Join(words, ", ")
}

func texts(prefixes []netip.Prefix) (words []string) {
	for _, p := range prefixes {
		words = append(words, p.String())
	}
	return words
}
