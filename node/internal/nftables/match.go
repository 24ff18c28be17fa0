//go:build linux

package nftables

import (
	"net"
	"net/netip"
	"slices"

	"github.com/google/nftables"
	"github.com/google/nftables/binaryutil"
	"github.com/google/nftables/expr"
	"github.com/google/nftables/userdata"
	"golang.org/x/sys/unix"
)

// The functions below are the words that rules are made of. Each returns what
// nft(8) makes of the expression in its comment, so that nft lists the rule in
// the same words.

// reg is the register that the expressions work with.
const reg = 1

// rule joins the parts of a rule and adds it to a chain. The comment is for
// those who list the table.
func rule(c *nftables.Conn, in *nftables.Chain, comment string, parts ...[]expr.Any) {
	c.AddRule(&nftables.Rule{
		Table: in.Table, Chain: in, Exprs: slices.Concat(parts...),
		UserData: userdata.AppendString(nil, userdata.TypeComment, comment),
	})
}

// accept is `accept`.
func accept() []expr.Any { return []expr.Any{&expr.Verdict{Kind: expr.VerdictAccept}} }

// equal compares the register with a value.
func equal(value []byte) expr.Any {
	return &expr.Cmp{Op: expr.CmpOpEq, Register: reg, Data: value}
}

// ifname is an interface's name as the kernel compares it: whole.
func ifname(link string) []byte {
	name := make([]byte, unix.IFNAMSIZ)
	copy(name, link)
	return name
}

// from is `iifname LINK`.
func from(link string) []expr.Any {
	return []expr.Any{&expr.Meta{Key: expr.MetaKeyIIFNAME, Register: reg}, equal(ifname(link))}
}

// fromOther is `iifname != LINK`.
func fromOther(link string) []expr.Any {
	return []expr.Any{
		&expr.Meta{Key: expr.MetaKeyIIFNAME, Register: reg},
		&expr.Cmp{Op: expr.CmpOpNeq, Register: reg, Data: ifname(link)},
	}
}

// to is `oifname LINK`.
func to(link string) []expr.Any {
	return []expr.Any{&expr.Meta{Key: expr.MetaKeyOIFNAME, Register: reg}, equal(ifname(link))}
}

// marked is `meta mark MARK`.
func marked(mark uint32) []expr.Any {
	return []expr.Any{&expr.Meta{Key: expr.MetaKeyMARK, Register: reg}, equal(binaryutil.NativeEndian.PutUint32(mark))}
}

// isFamily is `meta nfproto ipv4` or `ipv6`. In a table of both families it
// goes before what looks into the header of one.
func isFamily(a netip.Addr) []expr.Any {
	return []expr.Any{&expr.Meta{Key: expr.MetaKeyNFPROTO, Register: reg}, equal([]byte{byte(nfproto(a))})}
}

// nfproto is the kernel's number of an address's family.
func nfproto(a netip.Addr) uint32 {
	if a.Is4() {
		return unix.NFPROTO_IPV4
	}
	return unix.NFPROTO_IPV6
}

// daddr loads the destination out of the header of a's family.
func daddr(a netip.Addr) expr.Any {
	offset := uint32(16) // bytes, in an IPv4 header
	if a.Is6() {
		offset = 24
	}
	return &expr.Payload{Base: expr.PayloadBaseNetworkHeader, Offset: offset, Len: uint32(a.BitLen() / 8), DestRegister: reg}
}

// toNetwork is `ip daddr PREFIX`.
func toNetwork(p netip.Prefix) []expr.Any {
	a := p.Masked().Addr()
	match := append(isFamily(a), daddr(a))
	if !p.IsSingleIP() {
		match = append(match, &expr.Bitwise{SourceRegister: reg, DestRegister: reg, Len: uint32(a.BitLen() / 8),
			Mask: net.CIDRMask(p.Bits(), a.BitLen()), Xor: make([]byte, a.BitLen()/8)})
	}
	return append(match, equal(a.AsSlice()))
}

// toAddress is `ip daddr ADDRESS`.
func toAddress(a netip.Addr) []expr.Any { return toNetwork(netip.PrefixFrom(a, a.BitLen())) }

// The kernel's result is an address of type local: `fib saddr type local` and
// `fib daddr type local`.
func isLocal(fib expr.Fib) []expr.Any {
	fib.Register, fib.ResultADDRTYPE = reg, true
	return []expr.Any{&fib, equal(binaryutil.NativeEndian.PutUint32(unix.RTN_LOCAL))}
}

func fromHost() []expr.Any { return isLocal(expr.Fib{FlagSADDR: true}) }
func toHost() []expr.Any   { return isLocal(expr.Fib{FlagDADDR: true}) }

// isProtocol is `meta l4proto PROTOCOL`.
func isProtocol(protocol byte) []expr.Any {
	return []expr.Any{&expr.Meta{Key: expr.MetaKeyL4PROTO, Register: reg}, equal([]byte{protocol})}
}

// ports is `udp sport SOURCE udp dport DESTINATION`.
func ports(source, destination uint16) []expr.Any {
	return append(isProtocol(unix.IPPROTO_UDP),
		&expr.Payload{Base: expr.PayloadBaseTransportHeader, Offset: 0, Len: 4, DestRegister: reg},
		equal(slices.Concat(binaryutil.BigEndian.PutUint16(source), binaryutil.BigEndian.PutUint16(destination))))
}

// toPort is `PROTOCOL dport PORT`, for protocols whose header begins as that of
// UDP does.
func toPort(protocol byte, port uint16) []expr.Any {
	return append(isProtocol(protocol),
		&expr.Payload{Base: expr.PayloadBaseTransportHeader, Offset: 2, Len: 2, DestRegister: reg},
		equal(binaryutil.BigEndian.PutUint16(port)))
}

// maxInSet is how many prefixes go into one set: all must fit into one attribute
// of a netlink message, 64 KiB.
const maxInSet = 500

// toNetworks is `ip daddr { PREFIX, ... }`, in several rules if they are many.
// The prefixes are of one family.
func toNetworks(c *nftables.Conn, t *nftables.Table, prefixes []netip.Prefix) ([][]expr.Any, error) {
	var matches [][]expr.Any
	for some := range slices.Chunk(outermost(prefixes), maxInSet) {
		a := some[0].Addr()
		set := &nftables.Set{Table: t, Anonymous: true, Constant: true, Interval: true, KeyType: nftables.TypeIPAddr}
		if a.Is6() {
			set.KeyType = nftables.TypeIP6Addr
		}
		if err := c.AddSet(set, intervals(some)); err != nil {
			return nil, err
		}
		matches = append(matches, append(isFamily(a), daddr(a), &expr.Lookup{SourceRegister: reg, SetName: set.Name, SetID: set.ID}))
	}
	return matches, nil
}

// outermost sorts prefixes and leaves out those that others cover: the intervals
// of a set must not overlap.
func outermost(prefixes []netip.Prefix) []netip.Prefix {
	sorted := slices.SortedFunc(slices.Values(prefixes), netip.Prefix.Compare)
	var outer []netip.Prefix
	for _, p := range sorted {
		if n := len(outer); n == 0 || !outer[n-1].Overlaps(p) {
			outer = append(outer, p)
		}
	}
	return outer
}

// intervals are prefixes as the elements of a set: where each begins, and the
// address after its end, unless it reaches to the last address there is.
func intervals(prefixes []netip.Prefix) []nftables.SetElement {
	var elements []nftables.SetElement
	for _, p := range prefixes {
		elements = append(elements, nftables.SetElement{Key: p.Masked().Addr().AsSlice()})
		if end := last(p).Next(); end.IsValid() {
			elements = append(elements, nftables.SetElement{Key: end.AsSlice(), IntervalEnd: true})
		}
	}
	return elements
}

// last returns the last address of a prefix.
func last(p netip.Prefix) netip.Addr {
	b := p.Masked().Addr().AsSlice()
	for i := p.Bits(); i < len(b)*8; i++ {
		b[i/8] |= 0x80 >> (i % 8)
	}
	a, _ := netip.AddrFromSlice(b)
	return a
}
