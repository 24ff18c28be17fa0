//go:build linux

package routing

import (
	"cmp"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/wgnode/wgnode/probe/harmless"
)

// Link is a network interface.
type Link struct {
	Index   int
	Name    string
	Kind    string // such as "veth", "tun", "wireguard", "vrf"; "" for hardware
	MTU     int    // bytes
	Up      bool   // as the administrator wants it
	Carrier bool   // as the cable has it
	// Resolves says that a neighbour's link address must be found (ARP, NDP)
	// before a packet can be sent to it. Tunnels have nobody to ask.
	Resolves bool
	Master   string // the bridge, bond or VRF that it belongs to, "" if none
	Group    uint32
	Addrs    []Addr

	master   int
	vrf      Table // of a VRF: the table that it leads to, else 0
	loopback bool
	conf4    conf4
	conf6    conf6
}

// Addr is an address of a link.
type Addr struct {
	Prefix netip.Prefix // the address and the length of its network
	// Peer is the network at the other end of a point-to-point link; equal to
	// Prefix on other links.
	Peer      netip.Prefix
	Secondary bool
	scope     uint8
}

// conf4 is the part of net.ipv4.conf.NAME that routing heeds.
type conf4 struct {
	forwarding, proxyARP, rpFilter, acceptLocal, srcValidMark, routeLocalnet int
}

// conf6 is the same of net.ipv6.conf.NAME.
type conf6 struct {
	forwarding      int // of a link it is not asked about packets that it forwards
	proxyNDP        int
	forceForwarding int
	disabled        int  // disable_ipv6
	hasForce        bool // the kernel knows force_forwarding (Linux 6.17)
}

const iflaInetConf = 1 // IFLA_INET_CONF in linux/if_link.h

// Where the values are in a link's configuration, from linux/ip.h, which counts
// from 1, and linux/ipv6.h.
const (
	devconf4Forwarding    = 1  // IPV4_DEVCONF_FORWARDING
	devconf4ProxyARP      = 3  // IPV4_DEVCONF_PROXY_ARP
	devconf4RPFilter      = 8  // IPV4_DEVCONF_RP_FILTER
	devconf4AcceptLocal   = 23 // IPV4_DEVCONF_ACCEPT_LOCAL
	devconf4SrcValidMark  = 24 // IPV4_DEVCONF_SRC_VMARK
	devconf4RouteLocalnet = 26 // IPV4_DEVCONF_ROUTE_LOCALNET
	devconf6Forwarding    = 0  // DEVCONF_FORWARDING
	devconf6ProxyNDP      = 22 // DEVCONF_PROXY_NDP
	devconf6Disabled      = 26 // DEVCONF_DISABLE_IPV6
	devconf6Force         = 59 // DEVCONF_FORCE_FORWARDING
)

func (s *Snapshot) readLinks(sock *socket) error {
	body := make(message, unix.SizeofIfInfomsg)
	return sock.dump(unix.RTM_GETLINK, body, unix.RTM_NEWLINK, func() { s.links = make(map[int]*Link) }, func(msg []byte) {
		if l := parseLink(msg); l != nil {
			s.links[l.Index] = l
		}
	})
}

func parseLink(msg []byte) *Link {
	if len(msg) < unix.SizeofIfInfomsg {
		return nil
	}
	flags := u32(msg[8:])
	l := &Link{
		Index:    int(int32(u32(msg[4:]))),
		Up:       flags&unix.IFF_UP != 0,
		Carrier:  flags&unix.IFF_LOWER_UP != 0,
		Resolves: flags&(unix.IFF_NOARP|unix.IFF_LOOPBACK|unix.IFF_POINTOPOINT) == 0,
		loopback: flags&unix.IFF_LOOPBACK != 0,
	}
	for kind, v := range attributes(msg[unix.SizeofIfInfomsg:]) {
		switch kind {
		case unix.IFLA_IFNAME:
			l.Name = text(v)
		case unix.IFLA_MTU:
			l.MTU = int(u32(v))
		case unix.IFLA_MASTER:
			l.master = int(u32(v))
		case unix.IFLA_GROUP:
			l.Group = u32(v)
		case unix.IFLA_LINKINFO:
			l.parseInfo(v)
		case unix.IFLA_AF_SPEC:
			l.parseConf(v)
		}
	}
	return l
}

func (l *Link) parseInfo(b []byte) {
	for kind, v := range attributes(b) {
		switch kind {
		case unix.IFLA_INFO_KIND:
			l.Kind = text(v)
		case unix.IFLA_INFO_DATA: // always after the kind
			for kind, v := range attributes(v) {
				if l.Kind == "vrf" && kind == unix.IFLA_VRF_TABLE {
					l.vrf = Table(u32(v))
				}
			}
		}
	}
}

// parseConf reads the link's sysctls, which the kernel tells with the link as
// arrays of 32-bit numbers.
func (l *Link) parseConf(b []byte) {
	for family, spec := range attributes(b) {
		for kind, v := range attributes(spec) {
			at := func(i int) int {
				if len(v) < 4*i+4 {
					return 0
				}
				return int(int32(u32(v[4*i:])))
			}
			switch {
			case family == unix.AF_INET && kind == iflaInetConf:
				l.conf4 = conf4{
					forwarding:    at(devconf4Forwarding - 1),
					proxyARP:      at(devconf4ProxyARP - 1),
					rpFilter:      at(devconf4RPFilter - 1),
					acceptLocal:   at(devconf4AcceptLocal - 1),
					srcValidMark:  at(devconf4SrcValidMark - 1),
					routeLocalnet: at(devconf4RouteLocalnet - 1),
				}
			case family == unix.AF_INET6 && kind == unix.IFLA_INET6_CONF:
				l.conf6 = conf6{forwarding: at(devconf6Forwarding), proxyNDP: at(devconf6ProxyNDP), disabled: at(devconf6Disabled),
					forceForwarding: at(devconf6Force), hasForce: len(v) > 4*devconf6Force}
			}
		}
	}
}

func (s *Snapshot) readAddrs(sock *socket) error {
	byLink := make(map[int][]Addr)
	err := sock.dump(unix.RTM_GETADDR, make(message, unix.SizeofIfAddrmsg), unix.RTM_NEWADDR, func() { clear(byLink) }, func(msg []byte) {
		if len(msg) < unix.SizeofIfAddrmsg {
			return
		}
		bits, index := int(msg[1]), int(u32(msg[4:]))
		a := Addr{Secondary: msg[2]&unix.IFA_F_SECONDARY != 0, scope: msg[3]}
		for kind, v := range attributes(msg[unix.SizeofIfAddrmsg:]) {
			switch kind {
			case unix.IFA_LOCAL:
				a.Prefix = netip.PrefixFrom(ipAddr(v), bits)
			case unix.IFA_ADDRESS:
				a.Peer = netip.PrefixFrom(ipAddr(v), bits)
			}
		}
		if !a.Prefix.IsValid() { // IPv6 without a peer
			a.Prefix = a.Peer
		}
		byLink[index] = append(byLink[index], a)
	})
	for index, addrs := range byLink {
		if l := s.links[index]; l != nil {
			l.Addrs = addrs
		}
	}
	return err
}

// Link returns the link of a name, nil if there is none.
func (s *Snapshot) Link(name string) *Link {
	for _, l := range s.links {
		if l.Name == name {
			return l
		}
	}
	return nil
}

// Links returns all links, in the order of their indices.
func (s *Snapshot) Links() []*Link {
	return slices.SortedFunc(maps.Values(s.links), func(a, b *Link) int { return cmp.Compare(a.Index, b.Index) })
}

// name returns the name of the link of an index, ip(8)'s "ifN" if it has none.
func (s *Snapshot) name(index int) string {
	if l := s.links[index]; l != nil {
		return l.Name
	}
	return "if" + itoa(index)
}

// l3Master returns the index of the VRF that a link is or belongs to, else 0, as
// l3mdev_master_ifindex_rcu in the kernel's net/l3mdev/l3mdev.c.
func (s *Snapshot) l3Master(index int) int {
	l := s.links[index]
	if l == nil {
		return 0
	}
	if l.vrf != 0 {
		return index
	}
	if m := s.links[l.master]; m != nil && m.vrf != 0 {
		return m.Index
	}
	return 0
}

// leastMTU6 is the MTU that IPv6 takes at least (RFC 8200, section 5). On links that have
// less Linux has none.
const leastMTU6 = 1280

// NoIPv6 says why a link has no IPv6, and the command that gives it back: until then it takes
// no address, and drops what comes in. Both are "" where it has.
func (l *Link) NoIPv6() (why, fix string) {
	switch name := sysctlName("ipv6", l.Name, "disable_ipv6"); {
	case l.conf6.disabled != 0:
		return fmt.Sprintf("%s = %d", name, l.conf6.disabled), harmless.Command("sysctl -w %s=0", name)
	case l.MTU < leastMTU6:
		return fmt.Sprintf("its MTU is %d, and IPv6 needs %d", l.MTU, leastMTU6), harmless.Command("ip link set %s mtu %d", l.Name, leastMTU6)
	}
	return "", ""
}

// sysctlName puts a link's name into the name of a sysctl. Dots in it would be
// taken for separators.
func sysctlName(family, link, value string) string {
	return "net." + family + ".conf." + strings.ReplaceAll(link, ".", "/") + "." + value
}
