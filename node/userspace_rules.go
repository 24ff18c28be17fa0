package node

import (
	"errors"
	"fmt"
	"io"
	"regexp"
	"strings"

	"github.com/wgnode/wgnode/node/config"
	"github.com/wgnode/wgnode/node/hook"
	"github.com/wgnode/wgnode/node/internal/say"
	"github.com/wgnode/wgnode/node/link"
	"github.com/wgnode/wgnode/node/plan"
)

// What becomes of a configuration without an interface of this host.

// checkRights refuses what this process may not do, before anything is changed.
// With [Options.FallBack] it makes a node without an interface of o instead, if
// that costs nothing but convenience, and returns why.
func checkRights(cfg *config.Config, o *Options) (denied error, err error) {
	if o.Netstack || o.MakeLink != nil {
		return nil, nil
	}
	if denied = link.CheckRights(); denied == nil {
		return nil, nil
	}
	refused := fmt.Errorf("make interface %s: %w", cfg.Name, denied)
	if !o.FallBack {
		return nil, refused
	}
	for _, err := range []error{CheckStack(cfg), checkFirewall(cfg)} {
		if err != nil {
			return nil, errors.Join(refused, err)
		}
	}
	o.Netstack = true
	return denied, nil
}

// errUntouched is why some of a configuration must not be left out in silence.
var errUntouched = errors.New("a node without an interface of its own does not touch the host's packets")

// CheckStack refuses what would have no effect without an interface, and whose
// absence somebody would find out too late.
func CheckStack(cfg *config.Config) error {
	i := &cfg.Interface
	for _, k := range []struct {
		key  string
		used bool
	}{
		{"kill_switch", i.KillSwitch}, {"forward", i.Forward},
		{"masquerade", len(i.Masquerade) > 0}, {"port_forward", len(i.PortForwards) > 0},
	} {
		if k.used {
			return fmt.Errorf("%s: %w", k.key, errUntouched)
		}
	}
	return nil
}

// firewalls matches commands that change the host's packet filter.
var firewalls = regexp.MustCompile(`(^|[^\w.-])(ip6?tables(-\w+)*|nft|ufw|firewall-cmd|ipset)($|[^\w.-])`)

// checkFirewall refuses hooks that are as good as a kill switch, or that let
// others through. Only who has said that he wants no interface can do without.
func checkFirewall(cfg *config.Config) error {
	for _, p := range []hook.Phase{hook.PreUp, hook.PostUp} {
		for _, c := range plan.Hooks(cfg, p) {
			if name := firewalls.FindStringSubmatch(c); name != nil {
				return fmt.Errorf("%s runs %s, which may be what keeps packets from going past the tunnel: %w", cfg.Spell(string(p)),
					name[2], errUntouched)
			}
		}
	}
	return nil
}

// skip says what a node without an interface leaves out.
func (m *userspaceStack) skip(n *Node) {
	i := &n.Config().Interface
	if m.denied != nil {
		n.say("[!] there is no interface %s: %v", n.name, m.denied)
		n.say("[!] the tunnel ends in this process instead, as with --netstack; what does not work then:")
		n.skipRoutes()
	}
	n.skip("DNS", len(i.DNS) > 0, "this host goes on resolving names as before")
	n.skip("resolver", i.Resolver != "" && i.Resolver != "off", "this host goes on resolving names as before")
	n.skipHooks("there is no interface for it")
	n.skip("Table", i.Table != config.TableAuto, "there are no routes")
	n.skip("exclude", len(i.Exclude) > 0, "there are no routes; programs choose what they send through the tunnel")
	n.skip("SaveConfig", i.SaveConfig, "nothing is written")
}

// skipRoutes says what does not get into the tunnel any more.
func (n *Node) skipRoutes() {
	cfg := n.Config()
	const most = 4
	var to []string
	for _, r := range cfg.AllowedRoutes() {
		to = append(to, r.Prefix.String())
	}
	if len(to) > most {
		to = append(to[:most], fmt.Sprintf("%d more", len(to)-most))
	}
	n.skip("routes", len(to) > 0, "what programs send to "+strings.Join(to, ", ")+
		" goes past the tunnel, unless they use a service of this node")
	if s := cfg.Services.Join(n.opt.Services); !s.Any() {
		n.say("[!] and no service is configured: programs reach the tunnel through --socks5, --http, --forward, or their tables in a .toml")
	}
}

// skipElsewhere says what of a configuration is about a host's own interface.
func (n *Node) skipElsewhere() {
	i := &n.Config().Interface
	n.skipHooks("the interface is not this host's")
	n.skip("Table", i.Table != config.TableAuto, "the interface is not this host's; AllowedIPs are its routes")
	n.skip("SaveConfig", i.SaveConfig, "the interface is not this host's")
	n.skip("kill_switch", i.KillSwitch, "what uses the interface has no other; this host is left as it is")
	const alone = "this host's packets are left alone"
	n.skip("forward", i.Forward, alone)
	n.skip("masquerade", len(i.Masquerade) > 0, alone)
	n.skip("port_forward", len(i.PortForwards) > 0, alone)
}

func (n *Node) skipHooks(why string) {
	for _, p := range []hook.Phase{hook.PreUp, hook.PostUp, hook.PreDown, hook.PostDown} {
		n.skip(string(p), len(plan.Hooks(n.Config(), p)) > 0, why)
	}
}

// skip says that what the configuration says under key has no effect, if it says
// something there.
func (n *Node) skip(key string, used bool, why string) {
	if used {
		n.say("[!] skipped: %s: %s", n.Config().Spell(key), why)
	}
}

// markAllowed is the mark of a configuration, if this process may set it.
func markAllowed(cfg *config.Config, out io.Writer) uint32 {
	mark := cfg.Interface.FwMark
	if mark == 0 {
		return 0
	}
	if err := canMark(mark); err != nil {
		say.Line(out, "[!] skipped: %s: %v", cfg.Spell("FwMark"), err)
		return 0
	}
	return mark
}
