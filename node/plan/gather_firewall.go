//go:build linux

package plan

import (
	"errors"
	"io/fs"
	"slices"

	"github.com/wgnode/wgnode/node/config"
	"github.com/wgnode/wgnode/node/internal/nftables"
	"github.com/wgnode/wgnode/node/internal/sysctl"
	"github.com/wgnode/wgnode/node/link"
	"github.com/wgnode/wgnode/probe/host/routing"
)

// LAN returns the networks that kill_switch_lan stands for now: those that the
// interfaces other than the tunnel lead to without a gateway, as far as they are
// private (RFC 1918), link-local or unique local. A network of public addresses
// is none of them; exclude can name it.
func LAN(tunnel string) ([]nftables.Network, error) {
	var all []nftables.Network
	for _, ipv6 := range []bool{false, true} {
		routes, err := routing.List(ipv6, routing.Main)
		if err != nil {
			return nil, err
		}
		for i := range routes {
			if r := &routes[i]; r.Connected() {
				all = append(all, nftables.Network{Link: r.Hops[0].Dev, Prefix: r.Dst})
			}
		}
	}
	return lan(all, tunnel), nil
}

func gatherKillSwitch(cfg *config.Config) (s KillSwitchState, err error) {
	if s.Others, err = nftables.KillSwitches(); err != nil {
		return s, err
	}
	s.Others = slices.DeleteFunc(s.Others, func(name string) bool { return name == cfg.Name })
	if cfg.Interface.KillSwitchLAN {
		s.LAN, err = LAN(cfg.Name)
	}
	return s, err
}

func gatherForward(cfg *config.Config, hasNftables bool) (s ForwardState, err error) {
	if s.V4, err = gatherForwarding(forward4, "ipv4"); err != nil {
		return s, err
	}
	// Turning forwarding off allows redirects (inet_forward_change in the
	// kernel's net/ipv4/devinet.c).
	const redirects = "net.ipv4.conf.all.accept_redirects"
	if v, err := sysctl.Read(redirects); err != nil {
		return s, err
	} else if v == "0" && !s.V4.On {
		s.V4.Keep = append(s.V4.Keep, Sysctl{redirects, v})
	}
	switch s.V6, err = gatherForwarding(forward6, "ipv6"); {
	case errors.Is(err, fs.ErrNotExist): // no IPv6
	case err != nil:
		return s, err
	default:
		if s.Routers, err = gatherRouters(); err != nil {
			return s, err
		}
	}
	for _, name := range cfg.Interface.Masquerade {
		if _, err := link.ByName(name); errors.Is(err, link.ErrNotFound) {
			s.Missing = append(s.Missing, name)
		} else if err != nil {
			return s, err
		}
	}
	if hasNftables {
		s.Dropping, err = nftables.Dropping()
	}
	return s, err
}

// gatherForwarding reads a family's parameter, and which interfaces forward
// already although the others do not.
func gatherForwarding(name, family string) (f Forwarding, err error) {
	v, err := sysctl.Read(name)
	if err != nil || v != "0" {
		return Forwarding{On: v != "0"}, err
	}
	if err := sysctl.Writable(name); err != nil {
		f.Fixed = err.Error()
	}
	links, err := sysctl.List("net." + family + ".conf")
	if err != nil {
		return f, err
	}
	for _, l := range links {
		key := sysctl.Name("net", family, "conf", l, "forwarding")
		switch v, err := sysctl.Read(key); {
		case errors.Is(err, fs.ErrNotExist): // it has just gone
		case err != nil:
			return f, err
		case v == "1" && l != "all":
			f.Keep = append(f.Keep, Sysctl{key, v})
		}
	}
	return f, nil
}

func gatherRouters() ([]Router, error) {
	routes, err := routing.List(true, routing.Main)
	if err != nil {
		return nil, err
	}
	var routers []Router
	for i := range routes {
		r := &routes[i]
		if !r.Advertised() || r.Dst.Bits() > 0 || len(r.Hops) == 0 {
			continue
		}
		hop := &r.Hops[0]
		switch v, err := sysctl.Read(sysctl.Name("net", "ipv6", "conf", hop.Dev, "accept_ra")); {
		case errors.Is(err, fs.ErrNotExist):
		case err != nil:
			return nil, err
		case v == "1" && !slices.ContainsFunc(routers, func(known Router) bool { return known.Link == hop.Dev }):
			routers = append(routers, Router{hop.Dev, hop.Gateway.String()})
		}
	}
	return routers, nil
}
