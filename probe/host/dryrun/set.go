//go:build linux

package dryrun

import (
	"bytes"
	"encoding/binary"
	"slices"

	"github.com/google/nftables"
	"github.com/google/nftables/expr"
	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"
)

type setName struct{ family, table, name string }

// set is a set or map with its elements, by key.
type set struct {
	unread   bool
	interval bool
	// dynamic: rules change it while packets pass.
	dynamic  bool
	elements []nftables.SetElement
}

var tableFamilies = map[string]nftables.TableFamily{"ip": nftables.TableFamilyIPv4, "ip6": nftables.TableFamilyIPv6,
	"inet": nftables.TableFamilyINet}

// set reads a set, once.
func (r *Rules) set(n setName) *set {
	if s, ok := r.sets[n]; ok {
		return s
	}
	s := &set{}
	r.sets[n] = s
	table := &nftables.Table{Name: n.table, Family: tableFamilies[n.family]}
	about, err := r.conn.GetSetByName(table, n.name)
	if err != nil {
		s.unread = true
		return s
	}
	about.Table = table
	if s.elements, err = r.conn.GetSetElements(about); err != nil {
		s.unread = true
		return s
	}
	s.interval, s.dynamic = about.Interval, about.Dynamic
	// Where one interval ends and the next begins, the beginning counts.
	slices.SortStableFunc(s.elements, func(a, b nftables.SetElement) int {
		if c := bytes.Compare(a.Key, b.Key); c != 0 || a.IntervalEnd == b.IntervalEnd {
			return c
		}
		if a.IntervalEnd {
			return -1
		}
		return 1
	})
	return s
}

// find looks a key up, of which all bytes are known. It returns nil if the set has not got
// it, and false if that cannot be told.
func (s *set) find(key []byte) (*nftables.SetElement, bool) {
	if s.unread || s.dynamic {
		return nil, false
	}
	var all, below *nftables.SetElement // an element for all keys, and the last that is not above this one
	for i := range s.elements {
		e := &s.elements[i]
		switch {
		case len(e.Key) == 0:
			all = e
		case len(e.Key) < len(key):
			return nil, false
		case len(e.KeyEnd) > 0:
			if within(key, e.Key, e.KeyEnd) {
				return e, true
			}
		case !s.interval && bytes.Equal(e.Key[:len(key)], key):
			return e, true
		case s.interval && bytes.Compare(e.Key[:len(key)], key) <= 0:
			below = e
		}
	}
	if below != nil && !below.IntervalEnd {
		return below, true
	}
	return all, true
}

// within reports whether each field of a key that has several is in its interval. A field
// begins at a multiple of four bytes; an address of IPv6 has four words, of which the interval
// of a prefix has one that is no single value at most before words that may be anything.
func within(key, from, to []byte) bool {
	for i := 0; i+4 <= len(key) && i+4 <= len(to); i += 4 {
		if bytes.Compare(key[i:i+4], from[i:i+4]) < 0 || bytes.Compare(key[i:i+4], to[i:i+4]) > 0 {
			return false
		}
	}
	return true
}

// verdictOf is the verdict that an element of a verdict map has.
func verdictOf(e *nftables.SetElement) (expr.Verdict, bool) {
	ad, err := netlink.NewAttributeDecoder(e.Val)
	if err != nil {
		return expr.Verdict{}, false
	}
	ad.ByteOrder = binary.BigEndian
	var v expr.Verdict
	found := false
	for ad.Next() {
		switch ad.Type() {
		case unix.NFTA_VERDICT_CODE:
			v.Kind, found = expr.VerdictKind(int32(ad.Uint32())), true
		case unix.NFTA_VERDICT_CHAIN:
			v.Chain = ad.String()
		}
	}
	return v, found && ad.Err() == nil
}
