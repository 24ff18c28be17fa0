//go:build linux

package dryrun

import (
	"github.com/google/nftables/expr"
	"github.com/google/nftables/xt"
	"golang.org/x/sys/unix"

	"github.com/wgnode/wgnode/probe/host/netfilter"
)

// This file knows the matches and targets of iptables that nf_tables carries out for it.

// match is a match of iptables.
func (r *rule) match(x *expr.Match) tri {
	switch info := x.Info.(type) {
	case *xt.Comment:
		return yes
	case *xt.ConntrackMtinfo1:
		return r.state(uint16(info.StateMask), info.MatchFlags, info.InvertFlags)
	case *xt.ConntrackMtinfo2:
		return r.state(info.StateMask, info.MatchFlags, info.InvertFlags)
	case *xt.ConntrackMtinfo3:
		return r.state(info.StateMask, info.MatchFlags, info.InvertFlags)
	case *xt.Tcp:
		return r.tcp(info)
	case *xt.Udp:
		return r.ports(unix.IPPROTO_UDP, info.SrcPorts, info.DstPorts,
			info.InvFlags&xt.UdpInvSrcPorts != 0, info.InvFlags&xt.UdpInvDestPorts != 0)
	case *xt.AddrTypeV1:
		return r.addrType(info)
	}
	return r.named(x.Name)
}

// named is maybe, for what is not known here by more than its name.
func (r *rule) named(name string) tri {
	if r.fits == yes {
		r.fits, r.why = maybe, "-m "+name
	}
	return maybe
}

// states are the bits of xt_conntrack's state_mask (linux/netfilter/xt_conntrack.h). Two more
// are about translation.
var states = map[netfilter.State]uint16{netfilter.Invalid: 1 << 0, netfilter.Established: 1 << 1, netfilter.Related: 1 << 2,
	netfilter.New: 1 << 3, netfilter.Untracked: 1 << 8}

const translations = 1<<6 | 1<<7

func (r *rule) state(mask, match, invert uint16) tri {
	const byState = uint16(xt.ConntrackState | xt.ConntrackStateAlias)
	state := r.m.packet.State
	fits := mask&states[state] != 0
	switch {
	case match&byState == 0 || match&^byState != 0, state == 0, mask&translations != 0 && !fits:
		return r.named("conntrack")
	case invert&byState != 0:
		return is(!fits)
	}
	return is(fits)
}

func (r *rule) tcp(x *xt.Tcp) tri {
	if x.Option != 0 {
		return r.named("tcp")
	}
	flags := is(r.m.packet.TCPFlags&x.FlagsMask == x.FlagsCmp)
	if x.InvFlags&xt.TcpInvFlags != 0 {
		flags = flags.not()
	}
	if flags == no {
		return no
	}
	return r.ports(unix.IPPROTO_TCP, x.SrcPorts, x.DstPorts, x.InvFlags&xt.TcpInvSrcPorts != 0, x.InvFlags&xt.TcpInvDestPorts != 0)
}

func (r *rule) ports(proto uint8, src, dst [2]uint16, notSrc, notDst bool) tri {
	p := r.m.packet
	if p.Proto != proto {
		return no
	}
	fits := yes
	for _, t := range []tri{within16(p.SrcPort, src, notSrc), within16(p.DstPort, dst, notDst)} {
		switch t {
		case no:
			return no
		case maybe:
			fits = maybe
		case yes:
		}
	}
	return fits
}

// within16 reports whether a port, 0 if it is not known, is in a range.
func within16(port uint16, of [2]uint16, not bool) tri {
	t := is(port >= of[0] && port <= of[1])
	switch {
	case of == [2]uint16{0, 65535}:
		t = yes
	case port == 0:
		return maybe
	}
	if not {
		return t.not()
	}
	return t
}

func (r *rule) addrType(x *xt.AddrTypeV1) tri {
	// Flags of struct xt_addrtype_info_v1.
	const notSource, notDest, limited = 1 << 0, 1 << 1, 1<<2 | 1<<3
	p := r.m.packet
	if x.Flags&limited != 0 || p.AddrType == nil {
		return r.named("addrtype")
	}
	for _, side := range []struct {
		of   uint16
		not  bool
		addr Side
	}{{x.Source, x.Flags&notSource != 0, Source}, {x.Dest, x.Flags&notDest != 0, Destination}} {
		if side.of == 0 {
			continue
		}
		addr := p.Dst
		if side.addr == Source {
			addr = p.Src
		}
		kind, ok := p.AddrType(addr)
		if !ok || p.Untold == side.addr {
			return r.named("addrtype")
		}
		if (side.of&(1<<kind) != 0) == side.not {
			return no
		}
	}
	return yes
}

// target is a target of iptables that nf_tables has no verdict for.
func (r *rule) target(x *expr.Target) tri {
	verdict := func(k expr.VerdictKind) tri {
		r.verdicts = append(r.verdicts, expr.Verdict{Kind: k})
		return yes
	}
	switch x.Name {
	case "LOG", "NFLOG", "TCPMSS", "TOS", "DSCP", "CLASSIFY", "CHECKSUM", "TTL", "HL", "TRACE", "SET":
		return yes
	case "MARK", "CONNMARK":
		r.m.packet.MarkUnknown = true
		return yes
	case "CT", "NOTRACK":
		r.m.packet.State = 0
		return yes
	case "ACCEPT":
		return verdict(expr.VerdictAccept)
	case "DROP", "REJECT":
		return verdict(expr.VerdictDrop)
	case "SNAT", "DNAT", "MASQUERADE", "REDIRECT", "NETMAP", "TPROXY":
		r.m.translated = true
		return verdict(expr.VerdictAccept)
	case "NFQUEUE":
		return verdict(expr.VerdictQueue)
	}
	// It may do anything.
	r.verdicts = append(r.verdicts, expr.Verdict{Kind: expr.VerdictAccept}, expr.Verdict{Kind: expr.VerdictDrop})
	return r.named(x.Name)
}
