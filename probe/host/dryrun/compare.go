//go:build linux

package dryrun

import (
	"bytes"
	"encoding/binary"
	"slices"

	"github.com/google/nftables/expr"
	"github.com/mdlayher/netlink"

	"github.com/wgnode/wgnode/probe/host/netfilter"
)

func all(known []bool) bool { return !slices.Contains(known, false) }

// cmp compares a register. A byte that differs tells that two values do, whatever the rest is.
func (r *rule) cmp(x *expr.Cmp) tri {
	v := r.bytes(x.Register, len(x.Data))
	differs := false
	for i := range v.b {
		differs = differs || v.known[i] && v.b[i] != x.Data[i]
	}
	switch known := all(v.known); {
	case x.Op == expr.CmpOpEq && differs:
		return no
	case x.Op == expr.CmpOpNeq && differs:
		return yes
	case !known:
		return maybe
	}
	return ordered(x.Op, bytes.Compare(v.b, x.Data))
}

func ordered(op expr.CmpOp, c int) tri {
	switch op {
	case expr.CmpOpEq:
		return is(c == 0)
	case expr.CmpOpNeq:
		return is(c != 0)
	case expr.CmpOpLt:
		return is(c < 0)
	case expr.CmpOpLte:
		return is(c <= 0)
	case expr.CmpOpGt:
		return is(c > 0)
	case expr.CmpOpGte:
		return is(c >= 0)
	}
	return maybe
}

func (r *rule) within(x *expr.Range) tri {
	v := r.bytes(x.Register, len(x.FromData))
	if !all(v.known) || len(x.ToData) != len(x.FromData) {
		return maybe
	}
	in := is(bytes.Compare(v.b, x.FromData) >= 0 && bytes.Compare(v.b, x.ToData) <= 0)
	if x.Op == expr.CmpOpNeq {
		return in.not()
	}
	return in
}

func (r *rule) bitwise(e netfilter.Expression) tri {
	const operation = 6 // NFTA_BITWISE_OP: 0 is what the library knows
	x := decoded[expr.Bitwise](r, e)
	ad, err := netlink.NewAttributeDecoder(e.Data)
	if x == nil || err != nil {
		r.forget()
		return maybe
	}
	ad.ByteOrder = binary.BigEndian
	for ad.Next() {
		if ad.Type() == operation && ad.Uint32() != 0 {
			return r.unknown(x.DestRegister, int(x.Len))
		}
	}
	v := r.bytes(x.SourceRegister, int(x.Len))
	out := newHeader(int(x.Len))
	for i := range out.b {
		if i >= len(x.Mask) || i >= len(x.Xor) {
			break
		}
		out.b[i] = v.b[i]&x.Mask[i] ^ x.Xor[i]
		out.known[i] = v.known[i] || x.Mask[i] == 0
	}
	return r.put(x.DestRegister, out)
}

// byteorder turns numbers around, where this machine is little-endian.
func (r *rule) byteorder(x *expr.Byteorder) tri {
	v := r.bytes(x.SourceRegister, int(x.Len))
	out := header{slices.Clone(v.b), slices.Clone(v.known)}
	if size := int(x.Size); binary.NativeEndian.Uint16([]byte{1, 0}) == 1 && size > 0 {
		for i := 0; i+size <= len(out.b); i += size {
			slices.Reverse(out.b[i : i+size])
			slices.Reverse(out.known[i : i+size])
		}
	}
	return r.put(x.DestRegister, out)
}
