package render

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/wgnode/wgnode/probe/merge"
)

// lostShown bounds how many lost messages are written; JSON has them all.
const lostShown = 40

// lost names lost messages: counters that follow each other as a range.
func (t *text) lost(r *merge.Result) {
	if len(r.Lost) == 0 {
		return
	}
	type stream struct {
		from, to, leg string
		what          merge.What
		index         uint32
		by            string
	}
	of := make(map[stream][]uint64)
	var order []stream
	for i := range r.Lost {
		l := &r.Lost[i]
		k := stream{from: l.From, to: l.To, leg: l.Leg, what: l.What, index: l.Receiver}
		if l.Kernel != nil {
			k.by = ": " + l.Kernel.String()
		}
		n := l.Counter
		if l.What != merge.Data {
			n = uint64(l.Sender)
			k.index = 0
		}
		if of[k] == nil {
			order = append(order, k)
		}
		of[k] = append(of[k], n)
	}
	t.section("Lost on the path", len(r.Lost), 0)
	for i, k := range order {
		if i == lostShown {
			t.item(2, "-", fmt.Sprintf("and in %d more sessions", len(order)-lostShown))
			break
		}
		name := fmt.Sprintf("%s to %s %s", k.from, k.to, k.what)
		if k.leg != "" {
			name = k.leg + " " + name
		}
		if k.what == merge.Data {
			name += fmt.Sprintf(" index %#08x counter ", k.index)
		} else {
			name += " index "
		}
		t.item(2, "-", name+ranges(of[k], k.what != merge.Data)+k.by)
	}
	if r.LostLeftOut > 0 {
		t.item(2, "-", fmt.Sprintf("and %d more that are not named", r.LostLeftOut))
	}
}

// ranges writes numbers, at most lostShown of them.
func ranges(n []uint64, hex bool) string {
	slices.Sort(n)
	one := func(v uint64) string {
		if hex {
			return fmt.Sprintf("%#08x", v)
		}
		return strconv.FormatUint(v, 10)
	}
	var words []string
	for i := 0; i < len(n); {
		j := i
		for j+1 < len(n) && n[j+1] == n[j]+1 && !hex {
			j++
		}
		if len(words) == lostShown {
			words = append(words, fmt.Sprintf("and %d more", len(n)-i))
			break
		}
		if j > i {
			words = append(words, one(n[i])+"-"+one(n[j]))
		} else {
			words = append(words, one(n[i]))
		}
		i = j + 1
	}
	return strings.Join(words, ", ")
}
