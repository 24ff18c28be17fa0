//go:build linux

package routing

import (
	"fmt"
	"net"
	"net/netip"

	"golang.org/x/sys/unix"
)

// NeighborState is how well a neighbour's link address is known, as in
// linux/neighbour.h. The zero value: nothing is known of it, nobody has asked.
type NeighborState uint16

const (
	NeighborIncomplete NeighborState = unix.NUD_INCOMPLETE // asked for, no answer yet
	NeighborReachable  NeighborState = unix.NUD_REACHABLE
	NeighborStale      NeighborState = unix.NUD_STALE // known, not confirmed lately
	NeighborDelay      NeighborState = unix.NUD_DELAY // in use, soon to be confirmed
	NeighborProbe      NeighborState = unix.NUD_PROBE // asked again
	NeighborFailed     NeighborState = unix.NUD_FAILED
	NeighborNoARP      NeighborState = unix.NUD_NOARP
	NeighborPermanent  NeighborState = unix.NUD_PERMANENT
)

// String returns the word that ip(8) has for the state.
func (n NeighborState) String() string {
	switch n {
	case NeighborIncomplete:
		return "INCOMPLETE"
	case NeighborReachable:
		return "REACHABLE"
	case NeighborStale:
		return "STALE"
	case NeighborDelay:
		return "DELAY"
	case NeighborProbe:
		return "PROBE"
	case NeighborFailed:
		return "FAILED"
	case NeighborNoARP:
		return "NOARP"
	case NeighborPermanent:
		return "PERMANENT"
	}
	return "NONE"
}

// Neighbor is another host on a link.
type Neighbor struct {
	Addr   netip.Addr
	Dev    string
	HWAddr net.HardwareAddr // nil while it is not known
	State  NeighborState
	Router bool // IPv6: it says that it is one
}

// String returns the neighbour as `ip neigh` does.
func (n *Neighbor) String() string {
	w := new(words)
	w.add(n.Addr.String(), "dev", n.Dev)
	if n.HWAddr != nil {
		w.add("lladdr", n.HWAddr.String())
	}
	if n.Router {
		w.add("router")
	}
	w.add(n.State.String())
	return w.String()
}

type neighborID struct {
	link int
	addr netip.Addr
}

func (s *Snapshot) readNeighbors(sock *socket) error {
	body := make(message, unix.SizeofNdMsg)
	return sock.dump(unix.RTM_GETNEIGH, body, unix.RTM_NEWNEIGH, func() { s.neighbors = make(map[neighborID]Neighbor) }, func(msg []byte) {
		if len(msg) < unix.SizeofNdMsg || msg[0] != unix.AF_INET && msg[0] != unix.AF_INET6 {
			return
		}
		index := int(u32(msg[4:]))
		n := Neighbor{Dev: s.name(index), State: NeighborState(msg[8]) | NeighborState(msg[9])<<8, Router: msg[10]&unix.NTF_ROUTER != 0}
		for kind, v := range attributes(msg[unix.SizeofNdMsg:]) {
			switch kind {
			case unix.NDA_DST:
				n.Addr = ipAddr(v)
			case unix.NDA_LLADDR:
				n.HWAddr = append(net.HardwareAddr(nil), v...)
			}
		}
		s.neighbors[neighborID{index, n.Addr}] = n
	})
}

// NextHop is who must take a packet on the link that it leaves by.
type NextHop struct {
	Addr netip.Addr // the gateway, or the destination itself
	Dev  string
	// Resolves says that its link address must be found first, by ARP or NDP.
	Resolves bool
	// Neighbor is what is known of it, its State 0 if nothing is.
	Neighbor Neighbor
}

// NextHop returns who is next if a packet to dst takes the hop.
func (s *Snapshot) NextHop(dst netip.Addr, h Hop) NextHop {
	n := NextHop{Addr: dst.Unmap().WithZone(""), Dev: h.Dev}
	if h.Gateway.IsValid() {
		n.Addr = h.Gateway
	}
	if l := s.links[h.Link]; l != nil {
		n.Resolves = l.Resolves && !n.Addr.IsMulticast()
	}
	n.Neighbor = Neighbor{Addr: n.Addr, Dev: h.Dev}
	if known, ok := s.neighbors[neighborID{h.Link, n.Addr}]; ok {
		n.Neighbor = known
	}
	return n
}

// Unreachable reports whether the next hop has been asked for its link address
// and does not answer, or has not yet.
func (n *NextHop) Unreachable() bool {
	return n.Resolves && (n.Neighbor.State == NeighborFailed || n.Neighbor.State == NeighborIncomplete)
}

// String says what is known, with ip(8)'s words.
func (n *NextHop) String() string {
	command := fmt.Sprintf("%s neigh show %s dev %s", ipCommand(n.Addr.Is6()), n.Addr, n.Dev)
	switch {
	case !n.Resolves:
		return fmt.Sprintf("%s takes every packet: no neighbour is asked for", n.Dev)
	case n.Neighbor.State == 0:
		return command + ": no entry"
	}
	return command + ": " + n.Neighbor.String()
}
