package evidence_test

import (
	"testing"

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
	var got evidence.Traversal
	got.Add(&own)
	got.Add(&claimed)
	if got.At != claimed.At {
		t.Errorf("the latest came at %s, not at %s", claimed.At, got.At)
	}
}
