package filter_test

import (
	"errors"
	"hash/fnv"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/wgnode/wgnode/probe"
	"github.com/wgnode/wgnode/probe/filter"
)

// FuzzCompile: no input makes Compile panic, and what it accepts has a
// canonical form that is the same filter.
func FuzzCompile(f *testing.F) {
	f.Add("peer alice tcp port 80,443 not A4 dropped", uint64(1))
	f.Add(`peer "a b" outer src net 10.0.0.0/8 not host fd00::1`, uint64(2))
	f.Add("handshake in not reason replayed,unknown-index port 1-70", uint64(3))
	resolve := func(s string) ([]probe.PeerID, error) {
		if strings.HasPrefix(s, "bad") {
			return nil, errors.New("bad")
		}
		h := fnv.New32a()
		h.Write([]byte(s))
		return []probe.PeerID{probe.PeerID(h.Sum32() % 8)}, nil
	}
	f.Fuzz(func(t *testing.T, text string, seed uint64) {
		one, err := filter.Compile([]string{text}, resolve)
		if err != nil {
			return
		}
		canonical := one.String()
		two, err := filter.Compile([]string{canonical}, resolve)
		if err != nil {
			t.Fatalf("%q: the canonical form %q: %v", text, canonical, err)
		}
		if got := two.String(); got != canonical {
			t.Fatalf("%q: canonical form %q, of that %q", text, canonical, got)
		}
		filter.Complete(strings.Fields(text), text)
		r := rand.New(rand.NewPCG(seed, 0))
		for range 50 {
			e := randomEvent(r)
			if a, b := one.Match(&e), two.Match(&e); a != b {
				t.Fatalf("%q matches %v, %q %v: %+v", text, a, canonical, b, e)
			}
		}
	})
}

func randomEvent(r *rand.Rand) probe.Event {
	addr := func() probe.Addr {
		return probe.Addr{10: 0xff, 11: 0xff, 12: 10, 15: byte(r.IntN(4))}
	}
	return probe.Event{
		InnerSrc: addr(), InnerDst: addr(), OuterSrc: addr(), OuterDst: addr(),
		InnerSrcPort: uint16(r.IntN(100)), InnerDstPort: uint16(r.IntN(100)),
		OuterSrcPort: uint16(r.IntN(100)), OuterDstPort: uint16(r.IntN(100)),
		Peer: probe.PeerID(r.IntN(8)), Seam: probe.Seam(r.IntN(6)),
		Checkpoint: probe.Checkpoint(r.IntN(15)), Kind: probe.Kind(r.IntN(10)),
		Proto: []uint8{0, 1, 6, 17, 58}[r.IntN(5)], Reason: probe.Reason(r.IntN(2) * r.IntN(probe.NumReasons)),
		Flags: probe.Flags(r.IntN(64)),
	}
}
