//go:build linux

package lab

import (
	"net/netip"
	"testing"
)

// Options are the addresses of a classic lab. The zero value stands for
// [DefaultOptions]; an empty field stands for the field there.
type Options struct {
	A, RLan, RWan, HWan, HLan, B Pair
}

// Pair is an interface's IPv4 and IPv6 address, each with the length of its
// network's prefix.
type Pair struct {
	V4, V6 netip.Prefix
}

// pair parses the constant addresses below.
func pair(v4, v6 string) Pair {
	return Pair{V4: netip.MustParsePrefix(v4), V6: netip.MustParsePrefix(v6)}
}

// strings returns the addresses as [Host.End] wants them.
func (p Pair) strings() []string { return []string{p.V4.String(), p.V6.String()} }

// DefaultOptions returns the addresses in [NewClassic]'s drawing, with networks
// of /24 and /64.
func DefaultOptions() Options {
	return Options{
		A:    pair("10.9.1.2/24", "fd00:9:1::2/64"),
		RLan: pair("10.9.1.1/24", "fd00:9:1::1/64"),
		RWan: pair("198.51.100.1/24", "2001:db8:1::1/64"),
		HWan: pair("203.0.113.2/24", "2001:db8:2::2/64"),
		HLan: pair("192.168.200.2/24", "fd00:200::2/64"),
		B:    pair("192.168.200.22/24", "fd00:200::22/64"),
	}
}

// withDefaults fills the empty fields.
func (o Options) withDefaults() Options {
	d := DefaultOptions()
	for _, f := range []struct{ have, want *Pair }{
		{&o.A, &d.A}, {&o.RLan, &d.RLan}, {&o.RWan, &d.RWan},
		{&o.HWan, &d.HWan}, {&o.HLan, &d.HLan}, {&o.B, &d.B},
	} {
		if !f.have.V4.IsValid() {
			f.have.V4 = f.want.V4
		}
		if !f.have.V6.IsValid() {
			f.have.V6 = f.want.V6
		}
	}
	return o
}

// Classic is a lab of four hosts; [NewClassic] draws it.
type Classic struct {
	*Lab
	A, R, H, B *Host
	Addr       Options // the addresses in use, none empty
}

// With returns the same lab with its hosts reporting to t, which is a subtest
// of the lab's test.
func (c *Classic) With(t testing.TB) *Classic {
	same := *c
	same.A, same.R, same.H, same.B = c.A.With(t), c.R.With(t), c.H.With(t), c.B.With(t)
	return &same
}

// NewClassic builds the network of the common case: a client at home behind
// NAT, a hub with a public address, and a server on the hub's private network.
//
//	A eth0 ------------- lan R wan --------------- wan H lan ------------------ eth0 B
//	10.9.1.2     10.9.1.1     198.51.100.1  203.0.113.2   192.168.200.2  192.168.200.22
//	fd00:9:1::2  fd00:9:1::1  2001:db8:1::1  2001:db8:2::2  fd00:200::2    fd00:200::22
//
// R forwards and masquerades, in IPv4 and IPv6, what A's network sends towards
// the WAN; H forwards but does not masquerade. A's default route is R, and B's
// is H. H has no route to A's network and R none to B's, so A and B cannot reach
// each other: that takes a tunnel from A to H.
func NewClassic(t testing.TB, o Options) *Classic {
	t.Helper()
	Need(t, "nft")
	o = o.withDefaults()
	l := New(t)
	c := &Classic{Lab: l, A: l.Host("a"), R: l.Host("r"), H: l.Host("h"), B: l.Host("b"), Addr: o}

	l.Link(c.A.End("eth0", o.A.strings()...), c.R.End("lan", o.RLan.strings()...))
	l.Link(c.R.End("wan", o.RWan.strings()...), c.H.End("wan", o.HWan.strings()...))
	l.Link(c.H.End("lan", o.HLan.strings()...), c.B.End("eth0", o.B.strings()...))

	for _, router := range []*Host{c.R, c.H} {
		router.Sysctl("net.ipv4.ip_forward", "1")
		router.Sysctl("net.ipv6.conf.all.forwarding", "1")
	}
	c.A.Route("default", o.RLan.V4.Addr().String())
	c.A.Route("default", o.RLan.V6.Addr().String())
	c.B.Route("default", o.HLan.V4.Addr().String())
	c.B.Route("default", o.HLan.V6.Addr().String())
	// The two ends of the WAN are in different networks on one cable.
	c.R.Route(o.HWan.V4.Masked().String(), "wan")
	c.R.Route(o.HWan.V6.Masked().String(), "wan")
	c.H.Route(o.RWan.V4.Masked().String(), "wan")
	c.H.Route(o.RWan.V6.Masked().String(), "wan")

	c.R.RunInput(`table inet nat {
	chain postrouting {
		type nat hook postrouting priority srcnat
		oifname "wan" iifname "lan" masquerade
	}
}`, "nft", "-f", "-")
	return c
}
