//go:build linux

package routing

import (
	"encoding/binary"
	"net/netip"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// Table is the number of a routing table.
type Table uint32

// The tables that every host has.
const (
	Default Table = unix.RT_TABLE_DEFAULT
	Main    Table = unix.RT_TABLE_MAIN
	Local   Table = unix.RT_TABLE_LOCAL // the host's own addresses; the kernel fills it
)

// String returns the table's number, or the name if it is one of the three that
// every host has.
func (t Table) String() string {
	switch t {
	case Default:
		return "default"
	case Main:
		return "main"
	case Local:
		return "local"
	}
	return strconv.FormatUint(uint64(t), 10)
}

// Type is what a route does with a packet, as in linux/rtnetlink.h.
type Type uint8

const (
	TypeNone        Type = unix.RTN_UNSPEC    // there is no route
	TypeUnicast     Type = unix.RTN_UNICAST   // sends it on
	TypeLocal       Type = unix.RTN_LOCAL     // keeps it: an address of this host
	TypeBroadcast   Type = unix.RTN_BROADCAST // sends it to, or takes it from, all on the link
	TypeAnycast     Type = unix.RTN_ANYCAST
	TypeMulticast   Type = unix.RTN_MULTICAST
	TypeBlackhole   Type = unix.RTN_BLACKHOLE   // drops it and says nothing
	TypeUnreachable Type = unix.RTN_UNREACHABLE // drops it: host unreachable
	TypeProhibit    Type = unix.RTN_PROHIBIT    // drops it: administratively prohibited
	TypeThrow       Type = unix.RTN_THROW       // ends the search in this table
)

// String returns the word that ip(8) has for the type, "no route" for TypeNone.
func (t Type) String() string {
	if t == TypeNone {
		return "no route"
	}
	if int(t) < len(typeWords) {
		return typeWords[t]
	}
	return strconv.Itoa(int(t))
}

var typeWords = [...]string{"", "unicast", "local", "broadcast", "anycast", "multicast",
	"blackhole", "unreachable", "prohibit", "throw"}

// Rejects reports whether the type leads nowhere.
func (t Type) Rejects() bool {
	return t == TypeNone || t >= TypeBlackhole && t <= TypeThrow
}

// Route is one route of a table.
type Route struct {
	Dst      netip.Prefix // a default route's has length 0
	Src      netip.Prefix // IPv6: of packets from there only; invalid if of all
	Type     Type
	Table    Table
	Metric   uint32     // of routes to the same prefix the one with the least counts
	TOS      uint8      // IPv4: of packets with that type of service only; 0 if of all
	PrefSrc  netip.Addr // the source of packets that have none yet; invalid if not told
	MTU      int        // bytes, 0 if not told
	NextHops uint32     // id of the next hop object that Hops come from, 0 if none
	Hops     []Hop      // more than one: the packets are spread over them

	scope, protocol, pref uint8
	linkMTU               int   // bytes; of its first link, where that is known
	next                  int32 // the table's next route to the same Dst, -1 at the end
}

// Hop is where a route leads.
type Hop struct {
	Link     int    // index
	Dev      string // and name
	Gateway  netip.Addr
	Weight   int
	OnLink   bool // the gateway is on the link, whatever its address
	Dead     bool // not used: its link is down, or has no carrier and is ignored therefore
	LinkDown bool // its link has no carrier
}

// IPv6 reports the family of the route.
func (r *Route) IPv6() bool { return r.Dst.Addr().Is6() }

// untold reports whether the kernel has told which next hop object the route goes
// by, but not where that leads.
func (r *Route) untold() bool {
	return r.NextHops != 0 && len(r.Hops) == 0 && !r.Type.Rejects()
}

// parseRoute decodes a route into r. It keeps hops in arena, so that a big table
// does not cost an allocation a route; Dev is filled in later.
func parseRoute(msg []byte, r *Route, arena *[]Hop) bool {
	if len(msg) < unix.SizeofRtMsg {
		return false
	}
	family, flags := msg[0], u32(msg[8:])
	*r = Route{Type: Type(msg[7]), Table: Table(msg[4]), TOS: msg[3], scope: msg[6], protocol: msg[5], next: -1}
	var any netip.Addr
	switch family {
	case unix.AF_INET:
		any = netip.IPv4Unspecified()
	case unix.AF_INET6:
		any = netip.IPv6Unspecified()
	default:
		return false
	}
	r.Dst = netip.PrefixFrom(any, int(msg[1]))
	hop := Hop{Weight: 1}
	hop.setFlags(uint8(flags))
	var several []byte
	for kind, v := range attributes(msg[unix.SizeofRtMsg:]) {
		switch kind {
		case unix.RTA_DST:
			r.Dst = netip.PrefixFrom(ipAddr(v), int(msg[1]))
		case unix.RTA_SRC:
			r.Src = netip.PrefixFrom(ipAddr(v), int(msg[2]))
		case unix.RTA_TABLE:
			r.Table = Table(u32(v))
		case unix.RTA_PRIORITY:
			r.Metric = u32(v)
		case unix.RTA_PREFSRC:
			r.PrefSrc = ipAddr(v)
		case unix.RTA_PREF:
			if len(v) == 1 {
				r.pref = v[0]
			}
		case unix.RTA_METRICS:
			for kind, v := range attributes(v) {
				if kind == unix.RTAX_MTU {
					r.MTU = int(u32(v))
				}
			}
		case rtaNextHops:
			r.NextHops = u32(v)
		case unix.RTA_MULTIPATH:
			several = v
		default:
			hop.attribute(kind, v)
		}
	}
	if len(*arena)+1 > cap(*arena) {
		*arena = make([]Hop, 0, 1024)
	}
	start := len(*arena)
	for len(several) >= unix.SizeofRtNexthop {
		size := int(binary.NativeEndian.Uint16(several))
		if size < unix.SizeofRtNexthop || size > len(several) {
			break
		}
		h := Hop{Weight: int(several[3]) + 1, Link: int(u32(several[4:]))}
		h.setFlags(several[2])
		for kind, v := range attributes(several[unix.SizeofRtNexthop:size]) {
			h.attribute(kind, v)
		}
		*arena = append(*arena, h)
		several = several[min(len(several), (size+3)&^3):]
	}
	if len(*arena) == start && hop.Link != 0 {
		*arena = append(*arena, hop)
	}
	r.Hops = (*arena)[start:len(*arena):len(*arena)]
	return true
}

func (h *Hop) setFlags(flags uint8) {
	h.OnLink = flags&unix.RTNH_F_ONLINK != 0
	h.Dead = flags&unix.RTNH_F_DEAD != 0
	h.LinkDown = flags&unix.RTNH_F_LINKDOWN != 0
}

func (h *Hop) attribute(kind uint16, v []byte) {
	switch kind {
	case unix.RTA_OIF:
		h.Link = int(u32(v))
	case unix.RTA_GATEWAY:
		h.Gateway = ipAddr(v)
	case unix.RTA_VIA: // of another family
		if len(v) > 2 {
			h.Gateway = ipAddr(v[2:])
		}
	}
}

// String returns the route as `ip route show table all` does.
func (r *Route) String() string {
	w := new(words)
	if r.Type != TypeUnicast {
		w.add(r.Type.String())
	}
	w.add(prefixText(r.Dst))
	if r.Src.IsValid() {
		w.add("from", prefixText(r.Src))
	}
	if r.NextHops != 0 {
		w.add("nhid", itoa(r.NextHops))
	}
	if r.TOS != 0 {
		w.add("tos", hex(uint32(r.TOS)))
	}
	if len(r.Hops) == 1 {
		r.Hops[0].way(w, r.IPv6())
	}
	if r.Table != Main {
		w.add("table", r.Table.String())
	}
	if r.protocol != unix.RTPROT_BOOT {
		w.add("proto", r.Protocol())
	}
	if s := scopeWords[r.scope]; s != "" && r.scope != unix.RT_SCOPE_UNIVERSE {
		w.add("scope", s)
	}
	if r.PrefSrc.IsValid() {
		w.add("src", r.PrefSrc.String())
	}
	if r.Metric != 0 {
		w.add("metric", itoa(r.Metric))
	}
	if len(r.Hops) == 1 {
		r.Hops[0].flags(w)
	}
	if r.MTU != 0 {
		w.add("mtu", itoa(r.MTU))
	}
	if len(r.Hops) > 1 {
		for i := range r.Hops {
			h := &r.Hops[i]
			w.add("nexthop")
			h.way(w, r.IPv6())
			w.add("weight", itoa(h.Weight))
			h.flags(w)
		}
	}
	switch r.pref {
	case prefHigh:
		w.add("pref", "high")
	case prefLow:
		w.add("pref", "low")
	}
	return w.String()
}

// Delete returns the command that would delete the route.
func (r *Route) Delete() string {
	w := new(words)
	w.add(ipCommand(r.IPv6()), "route del")
	if r.Type != TypeUnicast {
		w.add(r.Type.String())
	}
	w.add(prefixText(r.Dst))
	if r.TOS != 0 {
		w.add("tos", hex(uint32(r.TOS)))
	}
	if len(r.Hops) == 1 && !(r.IPv6() && r.Type.Rejects()) {
		r.Hops[0].way(w, r.IPv6())
	}
	if r.Metric != 0 {
		w.add("metric", itoa(r.Metric))
	}
	if r.Table != Main {
		w.add("table", r.Table.String())
	}
	return w.String()
}

func (h *Hop) way(w *words, ipv6 bool) {
	switch {
	case h.Gateway.Is6() && !ipv6:
		w.add("via inet6", h.Gateway.String())
	case h.Gateway.IsValid():
		w.add("via", h.Gateway.String())
	}
	if h.Dev != "" {
		w.add("dev", h.Dev)
	}
}

func (h *Hop) flags(w *words) {
	for _, f := range []struct {
		set  bool
		word string
	}{{h.Dead, "dead"}, {h.OnLink, "onlink"}, {h.LinkDown, "linkdown"}} {
		if f.set {
			w.add(f.word)
		}
	}
}

const rtaNextHops = 30 // RTA_NH_ID in linux/rtnetlink.h

// Router preferences, as they are on the wire: RFC 4191, section 2.1.
const (
	prefHigh = 1
	prefLow  = 3
)

var scopeWords = map[uint8]string{
	unix.RT_SCOPE_SITE: "site", unix.RT_SCOPE_LINK: "link",
	unix.RT_SCOPE_HOST: "host", unix.RT_SCOPE_NOWHERE: "nowhere",
}

// Protocol says who made the route, in ip(8)'s words: "kernel" for those of a link's own
// addresses, "boot" for what was added by hand.
func (r *Route) Protocol() string {
	switch r.protocol {
	case unix.RTPROT_BOOT:
		return "boot"
	case unix.RTPROT_REDIRECT:
		return "redirect"
	case unix.RTPROT_KERNEL:
		return "kernel"
	case unix.RTPROT_STATIC:
		return "static"
	case unix.RTPROT_RA:
		return "ra"
	case unix.RTPROT_ZEBRA:
		return "zebra"
	case unix.RTPROT_BIRD:
		return "bird"
	case unix.RTPROT_DHCP:
		return "dhcp"
	case unix.RTPROT_BGP:
		return "bgp"
	case unix.RTPROT_OSPF:
		return "ospf"
	}
	return itoa(r.protocol)
}

// words is text in the making, its words with a space between.
type words struct{ strings.Builder }

func (w *words) add(ws ...string) {
	for _, word := range ws {
		if w.Len() > 0 {
			w.WriteByte(' ')
		}
		w.WriteString(word)
	}
}

func itoa[N int | uint8 | uint16 | uint32 | uint64](n N) string {
	return strconv.FormatInt(int64(n), 10)
}

func hex(n uint32) string { return "0x" + strconv.FormatUint(uint64(n), 16) }

// prefixText leaves away the length of a single address, as ip(8) does.
func prefixText(p netip.Prefix) string {
	switch {
	case p.Bits() == 0:
		return "default"
	case p.IsSingleIP():
		return p.Addr().String()
	}
	return p.String()
}

func ipCommand(ipv6 bool) string {
	if ipv6 {
		return "ip -6"
	}
	return "ip -4"
}
