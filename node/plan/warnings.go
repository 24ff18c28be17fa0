package plan

import (
	"fmt"
	"net/netip"
	"slices"

	"github.com/wgnode/wgnode/node/config"
)

// Warnings returns what [Build] does as cfg says and what on this host is likely
// not meant so, one sentence each.
func Warnings(cfg *config.Config, host State) []string {
	w := warner{cfg: cfg, host: host}
	w.mtu()
	w.loops()
	w.oneFamily()
	w.killSwitch()
	w.exclude()
	w.forward()
	return w.said
}

type warner struct {
	cfg  *config.Config
	host State
	said []string
}

func (w *warner) say(format string, args ...any) {
	w.said = append(w.said, fmt.Sprintf(format, args...))
}

// mtu is about addresses alone: for routes there is [MTUError].
func (w *warner) mtu() {
	mtu := w.cfg.Interface.MTU
	if mtu == 0 {
		mtu, _, _ = w.host.MTU() // Build says what is wrong with it
	}
	if mtu >= minIPv6MTU || w.host.NoIPv6 != "" {
		return
	}
	for _, a := range w.cfg.Interface.Addresses {
		if a.Addr().Is6() {
			w.say("MTU %d is too small for Address %s: IPv6 needs %d, and the kernel removes the address", mtu, a, minIPv6MTU)
		}
	}
}

// loops is about endpoints within AllowedIPs.
func (w *warner) loops() {
	for _, l := range w.host.Loops {
		cure := "give this host a route of its own to the endpoint, or take the endpoint out of AllowedIPs"
		if all := netip.PrefixFrom(l.Endpoint, 0).Masked(); coversFamily(w.cfg, l.Endpoint.Is4()) {
			cure = fmt.Sprintf("write %s instead of its parts, which keeps encrypted packets out of the tunnel", all)
		}
		w.say("AllowedIPs %s leads the encrypted packets to the endpoint %s into %s itself, because it is longer than this host's route %s; %s",
			l.Allowed, l.Endpoint, w.cfg.Name, l.Now, cure)
	}
}

// oneFamily is for a family that is in AllowedIPs in parts. For a default route a
// step of [Build] says it.
func (w *warner) oneFamily() {
	b := builder{cfg: w.cfg, host: w.host}
	for _, ipv4 := range []bool{true, false} {
		if !coversFamily(w.cfg, ipv4) || coversFamily(w.cfg, !ipv4) {
			continue
		}
		if leak := b.otherFamily(ipv4); leak != "" {
			w.say("%s", leak)
		}
	}
}

func (w *warner) killSwitch() {
	i := &w.cfg.Interface
	if !i.KillSwitch {
		for _, other := range w.host.KillSwitch.Others {
			w.say("the kill switch of %s drops what %s sends, unless that goes through %s", other, w.cfg.Name, other)
		}
		return
	}
	if !slices.ContainsFunc(w.cfg.AllowedRoutes(), func(r config.Route) bool { return r.Prefix.Bits() == 0 }) {
		w.say("kill_switch without a default route in AllowedIPs: this host reaches nothing but what AllowedIPs cover")
	}
	if forwards(w.cfg) && !i.KillSwitchLAN {
		w.say("kill_switch without kill_switch_lan drops what is forwarded out of the tunnel")
	}
}

func (w *warner) exclude() {
	if w.cfg.Interface.Table == config.TableOff {
		return
	}
	for _, e := range w.cfg.Interface.Exclude {
		inside := func(p netip.Prefix) bool { return covers(p, e) && p != e }
		switch own := slices.IndexFunc(w.cfg.Interface.Addresses, func(a netip.Prefix) bool {
			n, ok := connected(a)
			return ok && inside(n)
		}); {
		case own >= 0:
			w.say("exclude %s has no effect: it is in the network of Address %s, which the kernel leads into %s", e,
				w.cfg.Interface.Addresses[own], w.cfg.Name)
		case !slices.ContainsFunc(w.cfg.AllowedRoutes(), func(r config.Route) bool { return r.Prefix.Overlaps(e) }):
			w.say("exclude %s has no effect: no AllowedIPs lead there", e)
		}
	}
}

func (w *warner) forward() {
	for _, link := range w.host.Forward.Missing {
		w.say("masquerade: interface %s does not exist yet", link)
	}
	for _, chain := range w.host.Forward.Dropping {
		w.say("%s drops what is forwarded unless a rule of its own accepts it; Docker and others set it so, and no other "+
			"table can overrule it", chain)
	}
}
