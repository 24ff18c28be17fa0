//go:build linux

package dryrun

import (
	"encoding/binary"

	"github.com/google/nftables/expr"
	"golang.org/x/sys/unix"

	"github.com/wgnode/wgnode/probe/host/netfilter"
)

// tri is whether something is so.
type tri uint8

const (
	no tri = iota
	yes
	maybe
)

func is(b bool) tri {
	if b {
		return yes
	}
	return no
}

func (t tri) not() tri {
	switch t {
	case yes:
		return no
	case no:
		return yes
	case maybe:
	}
	return maybe
}

// rule is a rule that is run: the registers (16 bytes of verdict, then 64 of data), of which
// some bytes are known, and what came of it.
type rule struct {
	m        *machine
	sure     bool
	data     [80]byte
	known    [80]bool
	fits     tri
	why      string // what is not known, if it fits perhaps
	verdicts []expr.Verdict
}

// rule runs a rule. What it changes of the packet is changed if it is sure that it does,
// and otherwise not known any more.
func (m *machine) rule(s netfilter.Statement, sure bool) *rule {
	r := &rule{m: m, sure: sure, fits: yes}
	for _, e := range s.Expressions {
		switch r.expression(e) {
		case no:
			r.fits = no
			return r
		case maybe:
			if r.fits == yes {
				r.fits, r.why = maybe, e.Name
			}
		case yes:
		}
	}
	return r
}

// slot is where a register begins: those of 16 bytes are 1 to 4, those of 4 bytes from 8 on.
func slot(register uint32) int {
	if register < 8 {
		return int(register) * 16
	}
	return 16 + int(register-8)*4
}

// bytes is what a register holds.
func (r *rule) bytes(register uint32, n int) header {
	at := slot(register)
	if at+n > len(r.data) || n < 0 {
		return newHeader(max(n, 0))
	}
	return header{r.data[at : at+n], r.known[at : at+n]}
}

// put puts a value into a register, which is filled up to four bytes.
func (r *rule) put(register uint32, h header) tri {
	if whole := (len(h.b) + 3) &^ 3; whole > len(h.b) {
		filled := newHeader(whole)
		filled.set(len(h.b), make([]byte, whole-len(h.b))...)
		copy(filled.b, h.b)
		copy(filled.known, h.known)
		h = filled
	}
	to := r.bytes(register, len(h.b))
	copy(to.b, h.b)
	copy(to.known, h.known)
	return yes
}

func (r *rule) value(register uint32, b ...byte) tri {
	h := newHeader(len(b))
	h.set(0, b...)
	return r.put(register, h)
}

func (r *rule) native(register, v uint32) tri {
	return r.value(register, binary.NativeEndian.AppendUint32(nil, v)...)
}

func (r *rule) unknown(register uint32, n int) tri { return r.put(register, newHeader(n)) }

// decoded is an expression of the library's, nil if it cannot be decoded.
func decoded[T any, P interface {
	*T
	expr.Any
}](r *rule, e netfilter.Expression) P {
	x := P(new(T))
	family := byte(unix.NFPROTO_INET)
	switch r.m.base.Table.Family {
	case "ip":
		family = unix.NFPROTO_IPV4
	case "ip6":
		family = unix.NFPROTO_IPV6
	}
	if err := expr.Unmarshal(family, e.Data, x); err != nil {
		return nil
	}
	return x
}

// expression runs one expression: whether the rule goes on after it.
func (r *rule) expression(e netfilter.Expression) tri {
	switch e.Name {
	case "counter", "log", "last", "objref", "flow_offload", "dup", "secmark": // packets go on
		return yes
	case "notrack":
		if r.sure && r.fits == yes {
			r.m.packet.State = netfilter.Untracked
		} else {
			r.m.packet.State = 0
		}
		return yes
	case "nat", "masq", "redir", "tproxy":
		r.m.translated = true
		r.verdicts = append(r.verdicts, expr.Verdict{Kind: expr.VerdictAccept})
		return yes
	case "reject":
		r.verdicts = append(r.verdicts, expr.Verdict{Kind: expr.VerdictDrop})
		return yes
	case "queue", "synproxy":
		r.verdicts = append(r.verdicts, expr.Verdict{Kind: expr.VerdictQueue})
		return yes
	case "immediate":
		return r.immediate(e)
	case "payload":
		return run(r, e, r.payload)
	case "meta":
		return run(r, e, r.meta)
	case "ct":
		return run(r, e, r.ct)
	case "fib":
		return run(r, e, r.fib)
	case "cmp":
		return run(r, e, r.cmp)
	case "range":
		return run(r, e, r.within)
	case "bitwise":
		return r.bitwise(e)
	case "byteorder":
		return run(r, e, r.byteorder)
	case "lookup":
		return run(r, e, r.lookup)
	case "match":
		return run(r, e, r.match)
	case "target":
		return run(r, e, r.target)
	}
	r.forget()
	return maybe
}

// run decodes an expression and runs it.
func run[T any, P interface {
	*T
	expr.Any
}](r *rule, e netfilter.Expression, fn func(P) tri) tri {
	x := decoded[T, P](r, e)
	if x == nil {
		r.forget()
		return maybe
	}
	return fn(x)
}

// forget makes all registers unknown: an expression that is not understood may have set any.
func (r *rule) forget() { clear(r.known[:]) }

func (r *rule) immediate(e netfilter.Expression) tri {
	x := decoded[expr.Immediate](r, e)
	switch {
	case x == nil:
		r.forget()
		return maybe
	case x.Register != unix.NFT_REG_VERDICT:
		return r.value(x.Register, x.Data...)
	}
	v := decoded[expr.Verdict](r, e)
	if v == nil {
		return maybe
	}
	r.verdicts = append(r.verdicts, *v)
	return yes
}

func (r *rule) payload(x *expr.Payload) tri {
	h := r.m.network
	switch x.Base {
	case expr.PayloadBaseNetworkHeader:
	case expr.PayloadBaseTransportHeader:
		h = r.m.transport
	default:
		h = header{}
	}
	from, to := int(x.Offset), int(x.Offset+x.Len)
	if x.OperationType == expr.PayloadWrite {
		if to <= len(h.b) {
			clear(h.known[from:to])
		}
		return yes
	}
	if to > len(h.b) {
		return r.unknown(x.DestRegister, int(x.Len))
	}
	return r.put(x.DestRegister, header{h.b[from:to], h.known[from:to]})
}

// meta loads what is known of the packet besides its headers, or sets it.
func (r *rule) meta(x *expr.Meta) tri {
	p := r.m.packet
	if x.SourceRegister {
		if x.Key == expr.MetaKeyMARK {
			v := r.bytes(x.Register, 4)
			p.MarkUnknown = !r.sure || r.fits != yes || !all(v.known)
			p.Mark = binary.NativeEndian.Uint32(v.b)
		}
		return yes
	}
	family, ether := byte(unix.NFPROTO_IPV6), uint16(unix.ETH_P_IPV6)
	if p.is4() {
		family, ether = unix.NFPROTO_IPV4, unix.ETH_P_IP
	}
	switch x.Key {
	case expr.MetaKeyMARK:
		if p.MarkUnknown {
			return r.unknown(x.Register, 4)
		}
		return r.native(x.Register, p.Mark)
	case expr.MetaKeyIIF:
		return r.native(x.Register, p.InIndex)
	case expr.MetaKeyOIF:
		return r.native(x.Register, p.OutIndex)
	case expr.MetaKeyIIFNAME:
		return r.value(x.Register, name(p.In)...)
	case expr.MetaKeyOIFNAME:
		return r.value(x.Register, name(p.Out)...)
	case expr.MetaKeyNFPROTO:
		return r.value(x.Register, family)
	case expr.MetaKeyL4PROTO:
		return r.value(x.Register, p.Proto)
	case expr.MetaKeyPROTOCOL:
		return r.value(x.Register, binary.BigEndian.AppendUint16(nil, ether)...)
	}
	return r.unknown(x.Register, unix.IFNAMSIZ)
}

func name(link string) []byte {
	b := make([]byte, unix.IFNAMSIZ)
	copy(b, link)
	return b
}

// ct loads what connection tracking knows.
func (r *rule) ct(x *expr.Ct) tri {
	p := r.m.packet
	switch {
	case x.SourceRegister:
		return yes
	case x.Key == expr.CtKeySTATE && p.State != 0:
		return r.native(x.Register, uint32(p.State))
	case x.Key == expr.CtKeyDIRECTION && p.State != 0 && p.State != netfilter.Untracked:
		return r.value(x.Register, byte(is(p.Reply)))
	}
	return r.unknown(x.Register, 16)
}

// fib looks an address's type up; the rest is not known here.
func (r *rule) fib(x *expr.Fib) tri {
	p, addr := r.m.packet, r.m.packet.Dst
	if x.FlagSADDR {
		addr = p.Src
	}
	untold := p.Untold == Source && x.FlagSADDR || p.Untold == Destination && x.FlagDADDR
	if !x.ResultADDRTYPE || x.FlagIIF || x.FlagOIF || x.FlagMARK || p.AddrType == nil || untold {
		return r.unknown(x.Register, 16)
	}
	kind, ok := p.AddrType(addr)
	if !ok {
		return r.unknown(x.Register, 4)
	}
	return r.native(x.Register, uint32(kind))
}
