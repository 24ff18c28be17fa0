//go:build linux

package plan

import (
	"errors"
	"io/fs"
	"net/netip"
	"slices"

	"github.com/wgnode/wgnode/node/config"
	"github.com/wgnode/wgnode/node/link"
	"github.com/wgnode/wgnode/node/nftables"
	"github.com/wgnode/wgnode/node/resolver"
	"github.com/wgnode/wgnode/node/route"
	"github.com/wgnode/wgnode/node/rule"
	"github.com/wgnode/wgnode/node/sysctl"
)

// Gather finds out about this host what [Build] needs to bring cfg up. The
// endpoints are the addresses of the peers' endpoints as far as they are known:
// names must have been resolved before. They are looked for as packets with the
// mark are: 0, unless the routes that it evades are there already. Nothing is
// changed. Endpoints without a route are no error.
func Gather(cfg *config.Config, endpoints []netip.Addr, mark uint32) (State, error) {
	var s State
	switch _, err := link.ByName(cfg.Name); {
	case err == nil:
		s.LinkExists = true
	case !errors.Is(err, link.ErrNotFound):
		return State{}, err
	}
	var err error
	if s.EndpointMTUs, err = endpointMTUs(endpoints, mark, cfg.Name); err != nil {
		return State{}, err
	}
	if s.Loops, err = gatherLoops(cfg, endpoints, mark); err != nil {
		return State{}, err
	}
	d, err := route.Default()
	if err != nil {
		return State{}, err
	}
	if d != nil && d.OifName != cfg.Name {
		s.DefaultMTU = d.MTU()
	}
	if s.NoIPv6, err = noIPv6(); err != nil {
		return State{}, err
	}
	i := &cfg.Interface
	if err := nftables.Available(); err != nil {
		s.NoNftables = err.Error()
	} else if s.KillSwitch, err = gatherKillSwitch(cfg); err != nil {
		return State{}, err
	}
	if hasDefault(cfg) || coversFamily(cfg, true) || coversFamily(cfg, false) || i.KillSwitch || len(i.Exclude) > 0 || forwards(cfg) {
		if s.Default, err = gatherDefault(); err != nil {
			return State{}, err
		}
	}
	if forwards(cfg) {
		if s.Forward, err = gatherForward(cfg, s.NoNftables == ""); err != nil {
			return State{}, err
		}
	}
	if len(cfg.Interface.DNS) > 0 {
		s.Resolver, err = chooseResolver(cfg)
	}
	return s, err
}

// endpointMTUs returns the different MTUs of the ways to the endpoints, but for
// those that lead into the tunnel itself: a reload finds it there.
func endpointMTUs(endpoints []netip.Addr, mark uint32, own string) ([]int, error) {
	routes, err := route.Begin()
	if err != nil {
		return nil, err
	}
	defer routes.End()
	var mtus []int
	asked := make(map[netip.Addr]bool)
	for _, e := range endpoints {
		if asked[e] || e.Zone() != "" { // wg-quick does not understand zones, and the MTUs must agree
			continue
		}
		asked[e] = true
		r, err := routes.Lookup(e, mark)
		if err == nil && r.MTU() > 0 && r.OifName != own && !slices.Contains(mtus, r.MTU()) {
			mtus = append(mtus, r.MTU())
		}
	}
	return mtus, nil
}

func chooseResolver(cfg *config.Config) (resolver.Choice, error) {
	kind, err := resolver.ParseKind(cfg.Interface.Resolver)
	if err != nil {
		return resolver.Choice{}, &config.Error{File: cfg.Path, Key: "resolver", Msg: err.Error()}
	}
	return resolver.Host{}.Choose(kind)
}

// noIPv6 returns why a new link would have no IPv6, or "".
func noIPv6() (string, error) {
	const key = "net.ipv6.conf.default.disable_ipv6"
	v, err := sysctl.Read(key)
	if errors.Is(err, fs.ErrNotExist) {
		return "this kernel has no IPv6", nil
	}
	if err != nil {
		return "", err
	}
	if v != "0" {
		return "IPv6 is disabled (" + key + ")", nil
	}
	return "", nil
}

func gatherDefault() (DefaultState, error) {
	d := DefaultState{FreeTable: firstTable}
	v4, err := route.Look(false)
	if err != nil {
		return d, err
	}
	d.V4.Default, d.V4.Networks = v4.Default, v4.Networks
	if d.V4.Priority, err = rule.Next(false); err != nil {
		return d, err
	}
	var v6 route.Survey // nothing, if the kernel does not know the family
	if _, err := sysctl.Read("net.ipv6.conf.all.disable_ipv6"); err == nil {
		if v6, err = route.Look(true); err != nil {
			return d, err
		}
		d.V6.Default, d.V6.Networks = v6.Default, v6.Networks
		if d.V6.Priority, err = rule.Next(true); err != nil {
			return d, err
		}
	}
	for v4.Tables[d.FreeTable] || v6.Tables[d.FreeTable] {
		d.FreeTable++
	}
	value, err := sysctl.Read(srcValidMark)
	if err != nil {
		return d, err
	}
	d.SrcValidMark = value == "1"
	if err := sysctl.Writable(srcValidMark); err != nil {
		d.SrcValidMarkFixed = err.Error()
	}
	return d, nil
}
