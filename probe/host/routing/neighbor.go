//go:build linux

package routing

import (
	"fmt"
	"net"
	"net/netip"

	"golang.org/x/sys/unix"
)

// neighborState is how well a neighbour's link address is known, as in
// linux/neighbour.h. The zero value: nothing is known of it, nobody has asked.
type neighborState uint16

const (
	stateIncomplete neighborState = unix.NUD_INCOMPLETE // asked for, no answer yet
	stateReachable  neighborState = unix.NUD_REACHABLE
	stateStale      neighborState = unix.NUD_STALE // known, not confirmed lately
	stateDelay      neighborState = unix.NUD_DELAY // in use, soon to be confirmed
	stateProbe      neighborState = unix.NUD_PROBE // asked again
	stateFailed     neighborState = unix.NUD_FAILED
	stateNoARP      neighborState = unix.NUD_NOARP
	statePermanent  neighborState = unix.NUD_PERMANENT
)

// String returns the word that ip(8) has for the state.
func (n neighborState) String() string {
	switch n {
	case stateIncomplete:
		return "INCOMPLETE"
	case stateReachable:
		return "REACHABLE"
	case stateStale:
		return "STALE"
	case stateDelay:
		return "DELAY"
	case stateProbe:
		return "PROBE"
	case stateFailed:
		return "FAILED"
	case stateNoARP:
		return "NOARP"
	case statePermanent:
		return "PERMANENT"
	}
	return "NONE"
}

// neighbor is another host on a link.
type neighbor struct {
	Addr   netip.Addr
	Dev    string
	HWAddr net.HardwareAddr // nil while it is not known
	State  neighborState
	Router bool // IPv6: it says that it is one
}

// String returns the neighbour as `ip neigh` does.
func (n *neighbor) String() string {
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
	return sock.dump(unix.RTM_GETNEIGH, body, unix.RTM_NEWNEIGH, func() { s.neighbors = make(map[neighborID]neighbor) }, func(msg []byte) {
		if len(msg) < unix.SizeofNdMsg || msg[0] != unix.AF_INET && msg[0] != unix.AF_INET6 {
			return
		}
		index := int(u32(msg[4:]))
		n := neighbor{Dev: s.name(index), State: neighborState(msg[8]) | neighborState(msg[9])<<8, Router: msg[10]&unix.NTF_ROUTER != 0}
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

// nextHop is who must take a packet on the link that it leaves by.
type nextHop struct {
	Addr netip.Addr // the gateway, or the destination itself
	Dev  string
	// Resolves says that its link address must be found first, by ARP or NDP.
	Resolves bool
	// known is what is known of it, its State 0 if nothing is.
	known neighbor
}

// nextHop returns who is next if a packet to dst takes the hop.
func (s *Snapshot) nextHop(dst netip.Addr, h Hop) nextHop {
	n := nextHop{Addr: dst.Unmap().WithZone(""), Dev: h.Dev}
	if h.Gateway.IsValid() {
		n.Addr = h.Gateway
	}
	if l := s.links[h.Link]; l != nil {
		n.Resolves = l.Resolves && !n.Addr.IsMulticast()
	}
	n.known = neighbor{Addr: n.Addr, Dev: h.Dev}
	if known, ok := s.neighbors[neighborID{h.Link, n.Addr}]; ok {
		n.known = known
	}
	return n
}

// unreachable reports whether the next hop has been asked for its link address
// and does not answer, or has not yet.
func (n *nextHop) unreachable() bool {
	return n.Resolves && (n.known.State == stateFailed || n.known.State == stateIncomplete)
}

// String says what is known, with ip(8)'s words.
func (n *nextHop) String() string {
	command := fmt.Sprintf("%s neigh show %s dev %s", ipCommand(n.Addr.Is6()), n.Addr, n.Dev)
	switch {
	case !n.Resolves:
		return fmt.Sprintf("%s accepts every packet: no neighbor is asked for", n.Dev)
	case n.known.State == 0:
		return command + ": no entry"
	}
	return command + ": " + n.known.String()
}
