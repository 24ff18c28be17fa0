// Package nftables adds and deletes the firewall tables that go with a tunnel:
// the [KillSwitch], the [Gateway], and the [Table] that goes with a default
// route, one per address family, with the rules of wg-quick.
//
//	table ip wg-quick-wg0 {
//		chain preraw {
//			type filter hook prerouting priority raw;
//			iifname != "wg0" ip daddr 10.0.0.1 fib saddr type != local drop
//		}
//		chain premangle {
//			type filter hook prerouting priority mangle;
//			meta l4proto udp meta mark set ct mark
//		}
//		chain postmangle {
//			type filter hook postrouting priority mangle;
//			meta l4proto udp meta mark 51820 ct mark set meta mark
//		}
//	}
//
// The first rule keeps others on the host's networks from probing what address
// it has in the tunnel, and from injecting packets into its connections there.
// The other two give the replies to the tunnel's encrypted packets the mark of
// these, so that a reverse path filter finds them to come the right way.
//
// That table bears wg-quick's name on purpose. Firewalls and scripts look for
// that name, wg-quick's own `down` among them, and a host that is compared
// before and after a change of tool must not differ. The price is that the name
// does not tell whose table it is: who deletes must know by other means. The
// other two are wgnode's by their names.
//
// It speaks nfnetlink itself; no nft program is needed. All functions work in
// the network namespace of the calling thread and may be called from many
// goroutines.
package nftables

import "net/netip"

// Table is the table of one link and family.
type Table struct {
	Link string
	IPv6 bool
	// Addresses are the link's, of that family. Only adding needs them.
	Addresses []netip.Addr
	// Mark is that of the encrypted packets. Only adding needs it.
	Mark uint32
}

// Name returns the table's name.
func (t Table) Name() string { return "wg-quick-" + t.Link }

// Family returns the word that nft(8) has for the table's family.
func (t Table) Family() string {
	if t.IPv6 {
		return "ip6"
	}
	return "ip"
}

// KillSwitch is the table that lets nothing leave the host but by one tunnel.
//
//	table inet wgnode-killswitch-wg0 {
//		chain postrouting {
//			type filter hook postrouting priority filter; policy drop;
//			oifname "lo" accept
//			oifname "wg0" accept
//			meta mark 51820 accept
//			icmpv6 type { nd-router-solicit, ... } ip6 hoplimit 255 accept
//			...
//		}
//	}
//
// One chain sees both what this host sends and what it forwards for containers
// and others behind it, in both families. It is at postrouting and not at output
// because only there the way out is final: what runs at output may still change
// a mark or a destination, and the packet then leaves elsewhere. No rule looks
// at connections, so one that was there before is cut as well; and the answer to
// what reaches this host from outside, by ssh say, is dropped as all else is.
//
// What passes: packets to the host itself; what enters the tunnel; what carries
// the Mark, which takes CAP_NET_ADMIN to set: the tunnel's encrypted packets, and
// the node's lookups of endpoints; what keeps an uplink alive, which is IPv6's
// neighbour discovery and multicast listener reports, and requests to DHCP
// servers; the Excluded prefixes; and the LAN.
//
// Not seen are frames that a bridge carries without this host routing them,
// containers with an interface of their own on the wire (macvlan), and raw
// frames from programs with CAP_NET_RAW, such as DHCP clients.
type KillSwitch struct {
	Link     string         `json:"link"`
	Mark     uint32         `json:"mark"`               // of the encrypted packets, not 0
	Excluded []netip.Prefix `json:"excluded,omitempty"` // of both families
	// LAN, if AllowLAN, are networks that stay reachable by the interfaces that
	// they are on. So do then the groups of multicast and the broadcast address
	// that no router forwards, by which hosts on one network find each other.
	AllowLAN bool      `json:"allow_lan,omitempty"`
	LAN      []Network `json:"lan,omitempty"`
}

// Network is what an interface leads to without a gateway.
type Network struct {
	Link   string       `json:"link"`
	Prefix netip.Prefix `json:"prefix"`
}

const killSwitchPrefix = "wgnode-killswitch-"

// Name returns the table's name, which tells the tunnel and that it is ours.
func (k KillSwitch) Name() string { return killSwitchPrefix + k.Link }

// Family returns the word that nft(8) has for the table's family.
func (KillSwitch) Family() string { return "inet" }

// Gateway is the table of a host that forwards between a tunnel and others.
//
//	table inet wgnode-gateway-wg0 {
//		chain prerouting {
//			type nat hook prerouting priority dstnat;
//			iifname "eth0" fib daddr type local tcp dport 8080 dnat ip to 10.0.0.2:80
//		}
//		chain postrouting {
//			type nat hook postrouting priority srcnat;
//			iifname "wg0" oifname "eth0" masquerade
//			oifname "wg0" ip daddr 10.0.0.2 tcp dport 80 ct status dnat masquerade
//		}
//		chain forward {
//			type filter hook forward priority mangle;
//			oifname "wg0" tcp flags syn / syn,rst tcp option maxseg size set rt mtu
//			iifname "wg0" tcp flags syn / syn,rst tcp option maxseg size set rt mtu
//		}
//	}
//
// What is led into the tunnel gets this host's address there, because peers
// accept no other as a rule: their AllowedIPs name the hub, not the Internet.
// The price is that the server sees the hub as the client.
//
// The chain forward keeps the segments of TCP connections as small as the way
// through the tunnel wants them. The hosts at the ends do not know of it, and
// the message that would tell them is lost on many a network.
//
// The table accepts nothing: a chain of somebody else's that drops what is
// forwarded, as Docker's does, has the last word.
type Gateway struct {
	Link       string
	Masquerade []string // interfaces
	Forwards   []Forward
}

// Forward leads connections that are made to this host to another.
type Forward struct {
	UDP  bool   // else TCP
	From string // the interface that they come by; "" for any but the tunnel
	Port uint16
	To   netip.AddrPort
}

// Name returns the table's name.
func (g Gateway) Name() string { return "wgnode-gateway-" + g.Link }

// Family returns the word that nft(8) has for the table's family.
func (Gateway) Family() string { return "inet" }

// Restored is a table that somebody else had changed.
type Restored struct {
	Table      string // as in "inet filter"
	KillSwitch bool
	What       []string // what was different
}

// Change is what a transaction of this host's firewall did to one table. The zero
// Change says that there were so many transactions that what they did is not
// known.
type Change struct {
	Table   string // as in "inet filter"
	Program string // that made it, "" if not known: 15 bytes of its name
	PID     int    // as the host sees it, not a container
}
