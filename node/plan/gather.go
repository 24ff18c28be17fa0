//go:build linux

package plan

import (
	"errors"
	"io/fs"
	"net/netip"
	"slices"

	"github.com/wgnode/wgnode/node/config"
	"github.com/wgnode/wgnode/node/internal/nftables"
	"github.com/wgnode/wgnode/node/internal/rule"
	"github.com/wgnode/wgnode/node/internal/sysctl"
	"github.com/wgnode/wgnode/node/link"
	"github.com/wgnode/wgnode/node/resolver"
	"github.com/wgnode/wgnode/probe/host/routing"
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
	d, err := routing.FirstDefault(false)
	if err != nil {
		return State{}, err
	}
	if d.OutLink() != cfg.Name {
		s.DefaultMTU = d.MTU
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
	routes, err := routing.Begin()
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
		d, err := routes.Decide(routing.Flow{Dst: e, Mark: mark}.Own())
		if err == nil && d.MTU > 0 && d.OutLink() != own && !slices.Contains(mtus, d.MTU) {
			mtus = append(mtus, d.MTU)
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
	used := make(map[routing.Table]bool) // that hold a route
	if err := d.V4.survey(false, used); err != nil {
		return d, err
	}
	var err error
	if d.V4.Priority, err = rule.Next(false); err != nil {
		return d, err
	}
	if _, err := sysctl.Read("net.ipv6.conf.all.disable_ipv6"); err == nil { // else the kernel does not know the family
		if err := d.V6.survey(true, used); err != nil {
			return d, err
		}
		if d.V6.Priority, err = rule.Next(true); err != nil {
			return d, err
		}
	}
	for used[routing.Table(d.FreeTable)] {
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

// survey notes where the main table leads, link-local networks left out, and adds to
// used the tables that hold a route.
func (f *FamilyState) survey(ipv6 bool, used map[routing.Table]bool) error {
	routes, err := routing.List(ipv6, 0)
	if err != nil {
		return err
	}
	for i := range routes {
		r := &routes[i]
		used[r.Table] = true
		dst := r.Dst.Addr()
		if r.Table != routing.Main || r.Type != routing.TypeUnicast || len(r.Hops) != 1 || dst.IsLinkLocalUnicast() || dst.IsMulticast() {
			continue
		}
		way := "dev " + r.Hops[0].Dev
		if gw := r.Hops[0].Gateway; gw.IsValid() {
			way = "via " + gw.String() + " " + way
		}
		switch {
		case r.Dst.Bits() > 0:
			f.Networks = append(f.Networks, r.Dst.String()+" "+way)
		case f.Default == "":
			f.Default = way
		}
	}
	return nil
}
