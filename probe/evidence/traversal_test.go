package evidence_test

import (
	"testing"
	"time"

	"github.com/wgnode/wgnode/probe/evidence"
)

// What anybody could have sent says nothing beside what is the peer's, whichever comes first.
func TestClaimedTraversals(t *testing.T) {
	drop := &evidence.Drop{Chain: "one that drops strangers"}
	claimed := evidence.Traversal{Packets: 1, At: noon.Add(2), In: "lan", Drop: drop, Whose: evidence.Claimed}
	own := evidence.Traversal{Packets: 1, At: noon.Add(1), In: "wan", Passed: "input", Whose: evidence.Secret}
	lost := evidence.Traversal{Packets: 1, At: noon.Add(3), In: "wan", Incomplete: true, Whose: evidence.Authenticated}
	for _, c := range []struct {
		name   string
		all    []evidence.Traversal
		passed string
		drop   *evidence.Drop
		in     string
		whose  evidence.Known
	}{
		{name: "anybody's", all: []evidence.Traversal{claimed, claimed}, drop: drop, in: "lan", whose: evidence.Claimed},
		{name: "then the peer's", all: []evidence.Traversal{claimed, own}, passed: "input", in: "wan", whose: evidence.Secret},
		{name: "the peer's first", all: []evidence.Traversal{own, claimed}, passed: "input", in: "wan", whose: evidence.Secret},
		{name: "the peer's, its end unknown", all: []evidence.Traversal{claimed, lost}, in: "wan", whose: evidence.Authenticated},
	} {
		var got evidence.Traversal
		for i := range c.all {
			got.Add(&c.all[i])
		}
		if got.Packets != 2 || got.Passed != c.passed || got.Drop != c.drop || got.In != c.in || got.Whose != c.whose {
			t.Errorf("%s: %+v", c.name, got)
		}
	}
}

// When packets came by is known of all, for who asks whether any did, and of the peer's alone.
func TestTimes(t *testing.T) {
	at := func(n int, data bool, whose evidence.Known) (one evidence.Traversal) {
		one = evidence.Traversal{Packets: 1, At: noon.Add(time.Duration(n)), Whose: whose}
		if data {
			one.DataAt = one.At
		}
		return one
	}
	for _, c := range []struct {
		name         string
		all          []evidence.Traversal
		own, ownData int // 0: never
		any, anyData int
	}{
		{"the peer's", []evidence.Traversal{at(1, true, evidence.Secret), at(2, false, evidence.Authenticated)}, 2, 1, 2, 1},
		{"then anybody's", []evidence.Traversal{at(1, false, evidence.Authenticated), at(2, true, evidence.Claimed)}, 1, 0, 2, 2},
		{"anybody's first", []evidence.Traversal{at(1, true, evidence.Claimed), at(2, false, evidence.Authenticated)}, 2, 0, 2, 1},
		{"in turn", []evidence.Traversal{at(1, true, evidence.Secret), at(2, true, evidence.Claimed), at(3, false, evidence.Secret),
			at(4, true, evidence.Claimed)}, 3, 1, 4, 4},
		{"anybody's alone", []evidence.Traversal{at(1, true, evidence.Claimed), at(2, false, evidence.Claimed)}, 2, 1, 2, 1},
	} {
		var got evidence.Traversal
		for i := range c.all {
			got.Add(&c.all[i])
		}
		when := func(n int) time.Time {
			if n == 0 {
				return time.Time{}
			}
			return noon.Add(time.Duration(n))
		}
		want := evidence.Times{At: when(c.own), DataAt: when(c.ownData)}
		if own := got.Times(); own != want || got.At != when(c.any) || got.DataAt != when(c.anyData) {
			t.Errorf("%s: %+v, of all %s, %s", c.name, own, got.At, got.DataAt)
		}
	}
}
