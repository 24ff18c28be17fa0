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
	"errors"
	"fmt"
	"net"
	"net/netip"

	"github.com/wgnode/wgnode/node/link"
	"github.com/wgnode/wgnode/node/route"
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
	if s.Default4, err = usual(route.Default()); err != nil {
		return State{}, err
	}
	if s.Default6, err = usual(route.Default6()); err != nil {
		return State{}, err
	}
	routes, err := route.Begin()
	if err != nil {
		return State{}, err
	}
	defer routes.End()
	for _, e := range endpoints {
		if _, known := s.Ways[e]; known {
			continue
		}
		r, err := routes.Lookup(e, mark)
		if err != nil && !none(err) {
			return State{}, err
		}
		if err == nil {
			s.Ways[e] = way(r)
		} else {
			s.Ways[e] = Way{}
		}
	}
	return s, nil
}

func usual(r *route.Result, err error) (Way, error) {
	if r == nil || none(err) {
		return Way{}, nil
	}
	return way(*r), err
}

func way(r route.Result) Way {
	return Way{Link: r.OifName, Gateway: r.Gateway, Source: r.Src, MTU: r.MTU()}
}

// none reports whether an error says that there is no way; also because the
// link vanished while it was looked up.
func none(err error) bool {
	for _, e := range []error{route.ErrNoRoute, route.ErrUnreachable, route.ErrProhibit, route.ErrBlackhole, link.ErrNotFound} {
		if errors.Is(err, e) {
			return true
		}
	}
	return false
}

// Reachable reports whether the kernel has a way to an address for packets with
// the mark. What it does not want to tell counts as reachable.
func Reachable(a netip.Addr, mark uint32) bool {
	_, err := route.Lookup(a, mark)
	return !none(err)
}
