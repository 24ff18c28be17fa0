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

// look takes a picture of this host's links and addresses, without ways.
func look() (State, error) {
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
	return s, nil
}
