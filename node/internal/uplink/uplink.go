//go:build linux

// Package uplink knows how this host's encrypted packets leave it, and what
// becomes of that when the host moves: another network, another address, a
// cable pulled, a night asleep.
//
// [Look] takes a [State], a picture of what matters. [Compare] tells two of
// them apart. Pictures are taken whenever the kernel announces a change (package
// tunnel/netchange), whatever it was: they show also what nobody announced, as
// the kernel does not for the IPv4 routes of a link that went down.
//
// All functions work in the network namespace of the calling thread.
package uplink

import (
	"fmt"
	"net"
	"net/netip"

	"github.com/wgnode/wgnode/probe/host/routing"
)

// Way is how packets leave this host. The zero Way is none.
type Way struct {
	Link    string
	Gateway netip.Addr // invalid: the link itself reaches it
	Source  netip.Addr // the address that the kernel chooses for them
	MTU     int        // bytes
}

// State is a picture of the ways that matter to one tunnel.
type State struct {
	Default4, Default6 Way                // of the main table
	Ways               map[netip.Addr]Way // to the endpoints

	addrs map[netip.Addr]bool // this host's
	up    map[string]bool     // its links, and whether they carry packets
}

// Look takes a picture. The ways are those to endpoints of packets that carry
// the mark, 0 for none. An endpoint that cannot be reached has the zero Way.
func Look(endpoints []netip.Addr, mark uint32) (State, error) {
	s := State{Ways: make(map[netip.Addr]Way), addrs: make(map[netip.Addr]bool), up: make(map[string]bool)}
	links, err := net.Interfaces()
	if err != nil {
		return State{}, fmt.Errorf("list links: %w", err)
	}
	for _, l := range links {
		s.up[l.Name] = l.Flags&(net.FlagUp|net.FlagRunning) == net.FlagUp|net.FlagRunning
	}
	addrs, err := net.InterfaceAddrs()
	if err != nil {
		return State{}, fmt.Errorf("list addresses: %w", err)
	}
	for _, a := range addrs {
		if p, ok := a.(*net.IPNet); ok {
			if ip, ok := netip.AddrFromSlice(p.IP); ok {
				s.addrs[ip.Unmap()] = true
			}
		}
	}
	for _, usual := range []struct {
		ipv6 bool
		to   *Way
	}{{false, &s.Default4}, {true, &s.Default6}} {
		d, err := routing.FirstDefault(usual.ipv6)
		if err != nil {
			return State{}, err
		}
		*usual.to = way(&d)
	}
	routes, err := routing.Begin()
	if err != nil {
		return State{}, err
	}
	defer routes.End()
	for _, e := range endpoints {
		if _, known := s.Ways[e]; known {
			continue
		}
		d, err := routes.Decide(routing.Flow{Dst: e, Mark: mark}.Own())
		if err != nil {
			return State{}, err
		}
		s.Ways[e] = way(&d)
	}
	return s, nil
}

// way is where a decision leads, none if nowhere.
func way(d *routing.Decision) Way {
	if d.Type.Rejects() || len(d.Hops) == 0 {
		return Way{}
	}
	h := &d.Hops[0]
	return Way{Link: h.Dev, Gateway: h.Gateway, Source: d.PrefSrc, MTU: d.MTU}
}

// Reachable reports whether the kernel has a way to an address for packets with
// the mark. What it does not want to tell counts as reachable.
func Reachable(a netip.Addr, mark uint32) bool {
	s, err := routing.Begin()
	if err != nil {
		return true
	}
	defer s.End()
	d, err := s.Decide(routing.Flow{Dst: a, Mark: mark}.Own())
	return err != nil || !d.Type.Rejects()
}
