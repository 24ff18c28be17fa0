package setup

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/wgnode/wgnode/node/config"
)

// A Claim is a prefix that a new peer may not have an address in, and whose it is.
type Claim struct {
	Prefix netip.Prefix
	Whose  string // for people: "peer office (AllowedIPs 10.0.0.0/24)"
}

// FullError says that no address is free in the networks of an interface.
type FullError struct {
	Networks []netip.Prefix // of one family
	Whose    string         // who has the last address that was looked at
}

func (e *FullError) Error() string {
	texts := make([]string, len(e.Networks))
	for i, n := range e.Networks {
		texts[i] = n.String()
	}
	if len(texts) > 1 {
		return fmt.Sprintf("no address is free in the networks %s: the last is %s", strings.Join(texts, ", "), e.Whose)
	}
	return fmt.Sprintf("no address is free in the network %s: the last is %s", texts[0], e.Whose)
}

// NoNetworkError says that an interface has no network that peers could have addresses in.
type NoNetworkError struct {
	Addresses []netip.Prefix // what it has instead
}

func (e *NoNetworkError) Error() string {
	if len(e.Addresses) == 0 {
		return "the interface has no address, and so no network in which a peer could have one"
	}
	texts := make([]string, len(e.Addresses))
	for i, a := range e.Addresses {
		texts[i] = a.String()
	}
	return fmt.Sprintf("the interface has only %s, and no network in which a peer could have an address", strings.Join(texts, ", "))
}

// Networks are the networks of an interface that peers can have addresses in.
func Networks(c *config.Config) []netip.Prefix {
	var all []netip.Prefix
	for _, a := range c.Interface.Addresses {
		if a.Bits() < a.Addr().BitLen() && !a.Addr().IsLinkLocalUnicast() {
			all = append(all, a.Masked())
		}
	}
	return all
}

// Claims are the prefixes that c gives away: its addresses, and the AllowedIPs of its
// peers. A default route is none: it is for what nobody else has.
func Claims(c *config.Config) []Claim {
	var all []Claim
	for _, a := range c.Interface.Addresses {
		all = append(all, Claim{netip.PrefixFrom(a.Addr(), a.Addr().BitLen()), "this interface's own"})
	}
	for i := range c.Peers {
		p := &c.Peers[i]
		for _, prefix := range p.AllowedIPs {
			if prefix.Bits() > 0 {
				all = append(all, Claim{prefix, fmt.Sprintf("%s's (AllowedIPs %s)", p, prefix)})
			}
		}
	}
	return all
}

// NextAddresses returns the lowest free address of each family that the interface has a
// network of.
func NextAddresses(networks []netip.Prefix, claims []Claim) ([]netip.Addr, error) {
	var found []netip.Addr
	for _, is4 := range []bool{true, false} {
		family := slices.DeleteFunc(slices.Clone(networks), func(n netip.Prefix) bool { return n.Addr().Is4() != is4 })
		if len(family) == 0 {
			continue
		}
		var free netip.Addr
		whose := ""
		for _, n := range family {
			if free, whose = nextIn(n, claims); free.IsValid() {
				break
			}
		}
		if !free.IsValid() {
			return nil, &FullError{family, whose}
		}
		found = append(found, free)
	}
	return found, nil
}

// nextIn returns the lowest address of a network that nobody claims, and that can be a
// host's; else it says who has the last one.
func nextIn(network netip.Prefix, claims []Claim) (netip.Addr, string) {
	var in []Claim
	for _, c := range claims {
		if c.Prefix.Overlaps(network) {
			in = append(in, c)
		}
	}
	slices.SortStableFunc(in, func(a, b Claim) int {
		return cmp.Or(a.Prefix.Masked().Addr().Compare(b.Prefix.Masked().Addr()), cmp.Compare(a.Prefix.Bits(), b.Prefix.Bits()))
	})
	first, last := network.Masked().Addr(), lastOf(network)
	whose := "the network's own"
	if bits := network.Addr().BitLen() - network.Bits(); bits > 1 {
		first = first.Next() // the network's, or the anycast address of its routers (RFC 4291, 2.6.1)
		if network.Addr().Is4() {
			last = last.Prev() // broadcast
		}
	}
	at := first
	for _, c := range in {
		from, to := c.Prefix.Masked().Addr(), lastOf(c.Prefix)
		if at.Less(from) {
			break
		}
		if !to.Less(at) {
			at, whose = to.Next(), c.Whose
		}
		if !at.IsValid() {
			break // the very last there is
		}
	}
	if !at.IsValid() || last.Less(at) {
		return netip.Addr{}, whose
	}
	return at, ""
}

// lastOf is the highest address of a prefix.
func lastOf(p netip.Prefix) netip.Addr {
	b := p.Masked().Addr().AsSlice()
	for i := p.Bits(); i < len(b)*8; i++ {
		b[i/8] |= 1 << (7 - i%8)
	}
	a, _ := netip.AddrFromSlice(b) // of the length of an address
	return a
}

// Check makes sure that nobody claims an address that was chosen by hand.
func Check(addr netip.Addr, claims []Claim) error {
	for _, c := range claims {
		if c.Prefix.Contains(addr) {
			return fmt.Errorf("%s is %s", addr, c.Whose)
		}
	}
	return nil
}
