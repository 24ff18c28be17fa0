//go:build linux

package dryrun

import (
	"slices"

	"github.com/google/nftables/expr"
	"golang.org/x/sys/unix"
)

// lookup looks a key up in a set or a map. How long the key is, its elements tell.
func (r *rule) lookup(x *expr.Lookup) tri {
	t := r.m.base.Table
	s := r.m.rules.set(setName{t.Family, t.Name, x.SetName})
	size := 0
	for _, e := range s.elements {
		size = max(size, len(e.Key))
	}
	verdicts := x.IsDestRegSet && x.DestRegister == unix.NFT_REG_VERDICT
	key := r.bytes(x.SourceRegister, size)
	if !all(key.known) {
		return r.anything(x, s, verdicts)
	}
	e, ok := s.find(key.b)
	switch {
	case !ok:
		return r.anything(x, s, verdicts)
	case e == nil:
		return is(x.Invert)
	case x.Invert:
		return no
	case verdicts:
		v, ok := verdictOf(e)
		if !ok {
			return r.anything(x, s, verdicts)
		}
		r.verdicts = append(r.verdicts, v)
		return yes
	case x.IsDestRegSet:
		return r.value(x.DestRegister, e.Val...)
	}
	return yes
}

// anything is where the key or the set is not known: any element may be the one.
func (r *rule) anything(x *expr.Lookup, s *set, verdicts bool) tri {
	if !verdicts {
		if x.IsDestRegSet {
			return r.unknown(x.DestRegister, 16)
		}
		return maybe
	}
	kinds := []expr.VerdictKind{expr.VerdictAccept, expr.VerdictDrop}
	if s.unread || s.dynamic {
		for _, k := range kinds {
			r.verdicts = append(r.verdicts, expr.Verdict{Kind: k})
		}
	}
	for i := range s.elements {
		v, ok := verdictOf(&s.elements[i])
		if ok && !slices.Contains(r.verdicts, v) {
			r.verdicts = append(r.verdicts, v)
		}
	}
	return maybe
}
