//go:build linux

package confine

import (
	"net/netip"
	"slices"

	"github.com/wgnode/wgnode/node/config"
)

// Network is what the command sees of the world.
type Network struct {
	Name string `json:"name"` // of the TUN device
	MTU  int    `json:"mtu"`  // bytes
	// Addresses are the device's, with the lengths of their networks.
	Addresses []netip.Prefix `json:"addresses"`
	// Routes lead into the device. What is in none of them, or in Unreachable,
	// cannot be reached at all.
	Routes      []netip.Prefix `json:"routes"`
	Unreachable []netip.Prefix `json:"unreachable,omitempty"`
	// Servers are the name servers that are asked, Search the domains that names
	// are looked for in.
	Servers []netip.Addr `json:"servers,omitempty"`
	Search  []string     `json:"search,omitempty"`
}

// NetworkOf is the network that a configuration describes. The routes are its
// AllowedIPs whatever its Table says: that is about the host's routes. The MTU
// in bytes is up to the caller, who knows the way that encrypted packets take.
func NetworkOf(cfg *config.Config, mtu int) Network {
	i := &cfg.Interface
	n := Network{Name: cfg.Name, MTU: mtu, Addresses: i.Addresses, Unreachable: i.Exclude, Servers: i.DNS, Search: i.Search}
	for _, r := range cfg.AllowedRoutes() {
		if !slices.ContainsFunc(i.Exclude, func(x netip.Prefix) bool { return covers(x, r.Prefix) }) {
			n.Routes = append(n.Routes, r.Prefix)
		}
	}
	return n
}

// covers reports whether all of p is in x.
func covers(x, p netip.Prefix) bool { return x.Bits() <= p.Bits() && x.Contains(p.Addr()) }
