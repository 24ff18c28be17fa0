package netfilter

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"

	"github.com/google/nftables/expr"
	"golang.org/x/sys/unix"
)

// check reports what makes a match useless.
func (m Match) check() error {
	switch {
	case !m.Src.IsValid() && !m.Dst.IsValid():
		return errors.New("neither a source nor a destination is given")
	case m.Src.IsValid() && m.Dst.IsValid() && m.Src.Addr().Is4() != m.Dst.Addr().Is4():
		return fmt.Errorf("%v and %v are of two families", m.Src, m.Dst)
	case m.Src.Addr().Is4In6() || m.Dst.Addr().Is4In6():
		return errors.New("an IPv4 address is written as one of IPv6")
	case m.In != "" && m.Out != "":
		return errors.New("a packet that comes in has no way out yet")
	case len(m.In) >= unix.IFNAMSIZ || len(m.Out) >= unix.IFNAMSIZ:
		return fmt.Errorf("interface name %s%s is too long", m.In, m.Out)
	case m.Payload != 0 && m.Proto != unix.IPPROTO_UDP:
		return errors.New("a payload length goes with UDP only")
	case m.Opening && m.Proto != unix.IPPROTO_TCP:
		return errors.New("connections are opened by TCP only")
	case (m.ICMPType != nil || m.ICMPID != nil) && m.Proto != unix.IPPROTO_ICMP && m.Proto != unix.IPPROTO_ICMPV6:
		return errors.New("an ICMP type or identifier goes with ICMP only")
	case (m.SrcPort != 0 || m.DstPort != 0) && m.Proto == 0:
		return errors.New("ports need a protocol")
	}
	return nil
}

func (m Match) is4() bool {
	if m.Dst.IsValid() {
		return m.Dst.Addr().Is4()
	}
	return m.Src.Addr().Is4()
}

// reg is the register that the expressions below work with.
const reg = 1

// exprs returns the rule that marks what m selects.
func (m Match) exprs() []expr.Any {
	var b builder
	family := uint16(unix.ETH_P_IPV6)
	if m.is4() {
		family = unix.ETH_P_IP
	}
	// By the frame's type, which the hooks of devices know, too.
	b.meta(expr.MetaKeyPROTOCOL, binary.BigEndian.AppendUint16(nil, family))
	if m.Quoted {
		m.quoted(&b)
	} else {
		m.direct(&b)
	}
	if m.Mark != nil {
		b.meta(expr.MetaKeyMARK, binary.NativeEndian.AppendUint32(nil, *m.Mark))
	}
	if m.In != "" {
		b.meta(expr.MetaKeyIIFNAME, ifname(m.In))
	}
	if m.Out != "" {
		b.meta(expr.MetaKeyOIFNAME, ifname(m.Out))
	}
	if m.Rate != 0 {
		b = append(b, &expr.Limit{Type: expr.LimitTypePkts, Rate: uint64(m.Rate), Unit: expr.LimitTimeSecond, Burst: max(m.Rate/10, 5)})
	}
	// To accept ends this chain, so that a packet is marked by one rule.
	return append(b,
		&expr.Immediate{Register: reg, Data: []byte{1}},
		&expr.Meta{Key: expr.MetaKeyNFTRACE, SourceRegister: true, Register: reg},
		&expr.Verdict{Kind: expr.VerdictAccept},
	)
}

// direct matches the packet itself. The addresses come first: they are what
// most other packets fail.
func (m Match) direct(b *builder) {
	src, dst := uint32(8), uint32(24) // offsets in the IPv6 header
	if m.is4() {
		src, dst = 12, 16
	}
	b.address(expr.PayloadBaseNetworkHeader, dst, m.Dst)
	b.address(expr.PayloadBaseNetworkHeader, src, m.Src)
	if m.Proto != 0 {
		b.meta(expr.MetaKeyL4PROTO, []byte{m.Proto})
	}
	b.ports(0, m)
	if m.Payload != 0 {
		const udpHeader = 8
		b.payload(expr.PayloadBaseTransportHeader, 4, binary.BigEndian.AppendUint16(nil, m.Payload+udpHeader))
	}
	if m.Opening {
		const flags, syn = 13, 0x02 // RFC 9293, section 3.1
		*b = append(*b,
			&expr.Payload{DestRegister: reg, Base: expr.PayloadBaseTransportHeader, Offset: flags, Len: 1},
			&expr.Bitwise{SourceRegister: reg, DestRegister: reg, Len: 1, Mask: []byte{syn}, Xor: []byte{0}},
			&expr.Cmp{Op: expr.CmpOpNeq, Register: reg, Data: []byte{0}})
	}
}

// quoted matches an ICMP error by the packet inside, whose IP header it takes
// to have no options.
func (m Match) quoted(b *builder) {
	const inner = 8 // the length of the ICMP header
	base := expr.PayloadBaseTransportHeader
	proto, src, dst, transport := uint32(6), uint32(8), uint32(24), uint32(40)
	// The types of errors are 3, 4, 5, 11 and 12 (RFC 792); below 128 (RFC 4443).
	icmp, from, to := byte(unix.IPPROTO_ICMPV6), byte(1), byte(127)
	if m.is4() {
		proto, src, dst, transport = 9, 12, 16, 20
		icmp, from, to = unix.IPPROTO_ICMP, 3, 12
	}
	b.meta(expr.MetaKeyL4PROTO, []byte{icmp})
	*b = append(*b,
		&expr.Payload{DestRegister: reg, Base: base, Offset: 0, Len: 1},
		&expr.Cmp{Op: expr.CmpOpGte, Register: reg, Data: []byte{from}},
		&expr.Cmp{Op: expr.CmpOpLte, Register: reg, Data: []byte{to}})
	if m.is4() { // 8 is echo
		*b = append(*b, &expr.Cmp{Op: expr.CmpOpNeq, Register: reg, Data: []byte{icmpEcho}})
		b.payload(base, inner, []byte{0x45})
	}
	b.address(base, inner+dst, m.Dst)
	b.address(base, inner+src, m.Src)
	if m.Proto != 0 {
		b.payload(base, inner+proto, []byte{m.Proto})
	}
	b.ports(inner+transport, m)
}

// builder is a rule in the making.
type builder []expr.Any

func (b *builder) meta(key expr.MetaKey, value []byte) {
	*b = append(*b,
		&expr.Meta{Key: key, Register: reg},
		&expr.Cmp{Op: expr.CmpOpEq, Register: reg, Data: value})
}

func (b *builder) payload(base expr.PayloadBase, offset uint32, value []byte) {
	*b = append(*b,
		&expr.Payload{DestRegister: reg, Base: base, Offset: offset, Len: uint32(len(value))},
		&expr.Cmp{Op: expr.CmpOpEq, Register: reg, Data: value})
}

func (b *builder) address(base expr.PayloadBase, offset uint32, p netip.Prefix) {
	if !p.IsValid() || p.Bits() == 0 {
		return
	}
	addr := p.Masked().Addr().AsSlice()
	if p.IsSingleIP() {
		b.payload(base, offset, addr)
		return
	}
	size := uint32(len(addr))
	mask := make([]byte, size)
	for i := range p.Bits() {
		mask[i/8] |= 0x80 >> (i % 8)
	}
	*b = append(*b,
		&expr.Payload{DestRegister: reg, Base: base, Offset: offset, Len: size},
		&expr.Bitwise{SourceRegister: reg, DestRegister: reg, Len: size, Mask: mask, Xor: make([]byte, size)},
		&expr.Cmp{Op: expr.CmpOpEq, Register: reg, Data: addr})
}

// ports matches ports, ICMP type and identifier in the transport header that
// begins at the offset.
func (b *builder) ports(offset uint32, m Match) {
	base := expr.PayloadBaseTransportHeader
	if m.DstPort != 0 {
		b.payload(base, offset+2, binary.BigEndian.AppendUint16(nil, m.DstPort))
	}
	if m.SrcPort != 0 {
		b.payload(base, offset, binary.BigEndian.AppendUint16(nil, m.SrcPort))
	}
	if m.ICMPType != nil {
		b.payload(base, offset, []byte{*m.ICMPType})
	}
	if m.ICMPID != nil {
		b.payload(base, offset+4, binary.BigEndian.AppendUint16(nil, *m.ICMPID))
	}
}

// ifname is a name as the kernel compares it: whole.
func ifname(name string) []byte {
	b := make([]byte, unix.IFNAMSIZ)
	copy(b, name)
	return b
}
