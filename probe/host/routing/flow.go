//go:build linux

package routing

import (
	"errors"
	"fmt"
	"net/netip"

	"golang.org/x/sys/unix"
)

// Flow is the packet whose way is asked for.
type Flow struct {
	Src   netip.Addr // the zero Addr: none chosen yet
	Dst   netip.Addr // its zone is an OIF
	Proto uint8      // IP protocol number, such as 17 for UDP; 0 if it does not matter
	SPort uint16
	DPort uint16
	Mark  uint32
	IIF   string // the link that it came in by; "": made by this host
	OIF   string // the link that its socket is bound to, "" if to none
	UID   uint32 // of its sender; forwarded packets have 0, whatever is given here
	TOS   uint8  // the whole byte of the header
}

// Reply returns the packet that answers, as it would be sent: source and
// destination exchanged, without links and mark.
func (f Flow) Reply() Flow {
	return Flow{Src: f.Dst, Dst: f.Src, Proto: f.Proto, SPort: f.DPort, DPort: f.SPort, UID: f.UID, TOS: f.TOS}
}

// String returns the command that asks the kernel about the flow.
func (f Flow) String() string {
	w := new(words)
	w.add(ipCommand(f.Dst.Unmap().Is6()), "route get", f.Dst.Unmap().String())
	if f.Src.IsValid() {
		w.add("from", f.Src.Unmap().String())
	}
	for _, a := range []struct{ name, value string }{{"iif", f.IIF}, {"oif", f.OIF}} {
		if a.value != "" {
			w.add(a.name, a.value)
		}
	}
	if f.TOS != 0 {
		w.add("tos", hex(uint32(f.TOS)))
	}
	if f.Mark != 0 {
		w.add("mark", hex(f.Mark))
	}
	if f.UID != 0 && f.IIF == "" {
		w.add("uid", itoa(f.UID))
	}
	if f.askable() {
		w.add("ipproto", protoText(f.Proto))
		if f.SPort != 0 {
			w.add("sport", itoa(f.SPort))
		}
		if f.DPort != 0 {
			w.add("dport", itoa(f.DPort))
		}
	}
	return w.String()
}

// askable reports whether the kernel takes the protocol of a flow into a lookup
// that is asked of it: rtm_getroute_parse_ip_proto in net/ipv4/fib_semantics.c.
func (f Flow) askable() bool {
	switch f.Proto {
	case unix.IPPROTO_TCP, unix.IPPROTO_UDP:
		return true
	case unix.IPPROTO_ICMP:
		return f.Dst.Unmap().Is4()
	case unix.IPPROTO_ICMPV6:
		return f.Dst.Is6()
	}
	return false
}

// key is a flow as a lookup sees it: struct flowi in the kernel's
// include/net/flow.h.
type key struct {
	src, dst     netip.Addr
	iif, oif     int // indices; this host's own packets come in on the loopback
	l3mdev       int // the VRF that the packet belongs to, 0 if none
	mark, uid    uint32
	tos, proto   uint8
	sport, dport uint16
	hasSource    bool

	// strict: IPv6 routes out of another link than oif are not taken at all, else
	// the others are preferred (RT6_LOOKUP_F_IFACE).
	strict bool
	// routeLink is the link that IPv6 prefers routes by: oif, or for forwarded
	// packets, oddly, iif. See ip6_pol_route_input in net/ipv6/route.c.
	routeLink int
}

// check returns why there can be no answer for a flow, nil if there can.
func (s *Snapshot) check(f Flow) error {
	switch {
	case !f.Dst.IsValid():
		return errors.New("the packet has no destination")
	case f.Src.IsValid() && f.Src.Is4() != f.Dst.Is4():
		return fmt.Errorf("%s and %s are not of one family", f.Src, f.Dst)
	}
	for _, name := range []string{f.IIF, f.OIF} {
		if name != "" && s.Link(name) == nil {
			return fmt.Errorf("link %s does not exist", name)
		}
	}
	return nil
}

// key translates a flow into what is looked up, as the beginnings of
// ip_route_output_key_hash_rcu and ip_route_input_slow (net/ipv4/route.c),
// ip6_route_output_flags and ip6_route_input (net/ipv6/route.c) do.
func (s *Snapshot) key(w *Walk) *key {
	f := &w.Flow
	ipv6 := f.Dst.Is6()
	k := &key{src: f.Src, dst: f.Dst, mark: f.Mark, uid: f.UID, tos: f.TOS, proto: f.Proto, sport: f.SPort, dport: f.DPort,
		hasSource: f.Src.IsValid() && !f.Src.IsUnspecified()}
	if !k.src.IsValid() {
		k.src = unspecified(ipv6)
	}
	k.iif = loopbackIndex
	if f.IIF != "" {
		k.iif, k.uid = s.Link(f.IIF).Index, 0
	}
	needsLink := f.Dst.IsMulticast() || f.Dst.IsLinkLocalUnicast() || f.Dst.IsLoopback() // rt6_need_strict
	if f.OIF != "" {
		k.oif = s.Link(f.OIF).Index
	}
	k.strict = needsLink || k.oif != 0 && !k.hasSource
	s.joinVRF(k)
	k.routeLink = k.oif
	if f.IIF != "" {
		k.strict, k.routeLink = needsLink, k.iif
	}
	return k
}

const loopbackIndex = 1 // LOOPBACK_IFINDEX in the kernel's include/net/flow.h

// joinVRF is l3mdev_update_flow in the kernel's net/l3mdev/l3mdev.c.
func (s *Snapshot) joinVRF(k *key) {
	switch {
	case k.oif != 0:
		if k.l3mdev == 0 {
			k.l3mdev = s.l3Master(k.oif)
		}
		if k.l3mdev == k.oif {
			k.oif = 0 // the VRF's table decides
		}
	case k.iif > loopbackIndex && k.l3mdev == 0:
		k.l3mdev = s.l3Master(k.iif)
	}
}

func unspecified(ipv6 bool) netip.Addr {
	if ipv6 {
		return netip.IPv6Unspecified()
	}
	return netip.IPv4Unspecified()
}
