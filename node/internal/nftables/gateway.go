//go:build linux

package nftables

import (
	"slices"

	"github.com/google/nftables"
	"github.com/google/nftables/binaryutil"
	"github.com/google/nftables/expr"
	"golang.org/x/sys/unix"
)

func (Gateway) number() byte { return unix.NFPROTO_INET }

func (g Gateway) compose(c *nftables.Conn, _ *contents, _ bool) error {
	table := replace(c, g)
	if len(g.Forwards) > 0 {
		in := c.AddChain(&nftables.Chain{Name: "prerouting", Table: table, Type: nftables.ChainTypeNAT,
			Hooknum: nftables.ChainHookPrerouting, Priority: nftables.ChainPriorityNATDest})
		for _, f := range g.Forwards {
			source := from(f.From)
			if f.From == "" {
				source = fromOther(g.Link)
			}
			rule(c, in, "port forward", isFamily(f.To.Addr()), source, toHost(), toPort(f.protocol(), f.Port), f.dnat())
		}
	}
	if len(g.Forwards)+len(g.Masquerade) > 0 {
		out := c.AddChain(&nftables.Chain{Name: "postrouting", Table: table, Type: nftables.ChainTypeNAT,
			Hooknum: nftables.ChainHookPostrouting, Priority: nftables.ChainPriorityNATSource})
		for _, link := range g.Masquerade {
			rule(c, out, "masquerade", from(g.Link), to(link), []expr.Any{&expr.Masq{}})
		}
		for _, f := range g.Forwards {
			rule(c, out, "answers to a port forward come back here", to(g.Link), toAddress(f.To.Addr()),
				toPort(f.protocol(), f.To.Port()), wasForwarded(), []expr.Any{&expr.Masq{}})
		}
	}
	forward := c.AddChain(&nftables.Chain{Name: "forward", Table: table, Type: nftables.ChainTypeFilter,
		Hooknum: nftables.ChainHookForward, Priority: nftables.ChainPriorityMangle})
	for _, way := range [][]expr.Any{to(g.Link), from(g.Link)} {
		rule(c, forward, "segments fit through the tunnel", way, clamp())
	}
	return nil
}

func (f Forward) protocol() byte {
	if f.UDP {
		return unix.IPPROTO_UDP
	}
	return unix.IPPROTO_TCP
}

// dnat is `dnat ip to ADDRESS:PORT`.
func (f Forward) dnat() []expr.Any {
	const portReg = 2
	return []expr.Any{
		&expr.Immediate{Register: reg, Data: f.To.Addr().AsSlice()},
		&expr.Immediate{Register: portReg, Data: binaryutil.BigEndian.PutUint16(f.To.Port())},
		&expr.NAT{Type: expr.NATTypeDestNAT, Family: nfproto(f.To.Addr()), RegAddrMin: reg, RegProtoMin: portReg, Specified: true},
	}
}

// wasForwarded is `ct status dnat`.
func wasForwarded() []expr.Any {
	const dnat = 1 << 5 // IPS_DST_NAT in linux/netfilter/nf_conntrack_common.h
	return []expr.Any{
		&expr.Ct{Key: expr.CtKeySTATUS, Register: reg},
		&expr.Bitwise{SourceRegister: reg, DestRegister: reg, Len: 4, Mask: binaryutil.NativeEndian.PutUint32(dnat), Xor: make([]byte, 4)},
		&expr.Cmp{Op: expr.CmpOpNeq, Register: reg, Data: make([]byte, 4)},
	}
}

// clamp is `tcp flags syn / syn,rst tcp option maxseg size set rt mtu`. The
// kernel takes the smaller of the two directions, and never enlarges the size.
func clamp() []expr.Any {
	const flags, syn, rst = 13, 1 << 1, 1 << 2 // RFC 9293 section 3.1
	const maxseg = 2                           // RFC 9293 section 3.2: the option's kind, and where in it the size is
	return slices.Concat(isProtocol(unix.IPPROTO_TCP), []expr.Any{
		&expr.Payload{Base: expr.PayloadBaseTransportHeader, Offset: flags, Len: 1, DestRegister: reg},
		&expr.Bitwise{SourceRegister: reg, DestRegister: reg, Len: 1, Mask: []byte{syn | rst}, Xor: []byte{0}},
		equal([]byte{syn}),
		&expr.Rt{Key: expr.RtTCPMSS, Register: reg},
		&expr.Byteorder{SourceRegister: reg, DestRegister: reg, Op: expr.ByteorderHton, Len: 2, Size: 2},
		&expr.Exthdr{SourceRegister: reg, Type: maxseg, Offset: 2, Len: 2, Op: expr.ExthdrOpTcpopt},
	})
}
