package node

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/wgnode/wgnode/node/explain"
	"github.com/wgnode/wgnode/probe"
	"github.com/wgnode/wgnode/probe/diagnose"
	"github.com/wgnode/wgnode/probe/key"
	"github.com/wgnode/wgnode/probe/overview"
	"github.com/wgnode/wgnode/probe/patience"
)

// Who looks at a node at a glance sees how its peer fares; a request that is not understood is
// refused.
func TestOverview(t *testing.T) {
	alice, _ := pair(t)
	alice.get("http://10.0.0.2/")
	c := alice.dial()
	got, err := c.Overview(t.Context(), overview.Request{Wait: patience.Limit()})
	if err != nil {
		t.Fatal(err)
	}
	if got.Interface != alice.Name() || got.Kind != overview.KindNode || got.State != overview.Running || got.Level != probe.LevelDevice ||
		got.Total != 1 || len(got.Peers) != 1 || got.VerdictsAt.IsZero() || !got.Netstack {
		t.Fatalf("%+v", got)
	}
	p := &got.Peers[0]
	if p.State != diagnose.StateUp || p.Idle || p.Verdict == nil || !p.Verdict.Healthy || p.Handshake.IsZero() ||
		p.RTT == nil || p.RTT.Of != overview.OfHandshake || p.RxBytes == 0 || p.TxBytes == 0 || len(p.AllowedIPs) == 0 {
		t.Errorf("%+v, verdict %+v", p, p.Verdict)
	}
	if p.Rates == nil || p.Rates.Over <= 0 || got.Rates == nil {
		t.Errorf("who waits is not told rates: %+v", p.Rates)
	}
	again, err := c.Overview(t.Context(), overview.Request{Peer: "nobody"})
	if err != nil || len(again.Peers) != 0 || again.Total != 1 {
		t.Errorf("%+v, %v", again, err)
	}
	if _, err := c.Overview(t.Context(), overview.Request{Sort: "nope"}); err == nil || !strings.Contains(err.Error(), "no order of peers") {
		t.Errorf("an unknown order: %v", err)
	}
}

// Verdicts are found out when somebody asks, once for all who do, and tell since when they are the
// same.
func TestKeeper(t *testing.T) {
	alice, _ := pair(t)
	k := explain.NewKeeper(alice.Subject, func(context.Context) {})
	defer k.Close()
	first := k.Kept(patience.Limit())
	if first == nil || len(first.Peers) != 1 || first.ByKey[bobOf(alice)] == nil {
		t.Fatalf("%+v", first)
	}
	patience.Until(t, "it is found out anew", func() bool { return k.Kept(0) != first })
	then := k.Kept(0)
	if !then.At.After(first.At) || !then.Peers[0].Since.Equal(first.Peers[0].Since) || then.Peers[0].Since.After(first.At) {
		t.Errorf("first %+v, then %+v", first, then)
	}
	k.Close()
	if k.Kept(patience.Limit()) == nil { // which waits for nothing
		t.Error("what is kept is forgotten")
	}
}

func bobOf(alice *stackNode) key.Public { return alice.Config().Peers[0].PublicKey }

// BenchmarkOverview is a look at a hub with a client, by one who sees it first, and has to wait for
// a doctor, and by one who looks on.
func BenchmarkOverview(b *testing.B) {
	for _, peers := range []int{200, 10_000} {
		h := newHub(b, peers)
		c := h.dial()
		look := func(b *testing.B, req overview.Request) {
			t, err := c.Overview(b.Context(), req)
			if err != nil || t.Total != peers || t.VerdictsAt.IsZero() {
				b.Fatalf("%+v, %v", t, err)
			}
		}
		b.Run(fmt.Sprintf("%d/first", peers), func(b *testing.B) {
			for b.Loop() {
				h.keeper.Close()
				h.keeper = explain.NewKeeper(h.Subject, func(context.Context) {})
				look(b, overview.Request{Few: 20, Limit: 50, Wait: 10 * time.Second})
			}
		})
		b.Run(fmt.Sprintf("%d/again", peers), func(b *testing.B) {
			for b.Loop() {
				look(b, overview.Request{Few: 20, Limit: 50})
			}
		})
		b.Run(fmt.Sprintf("%d/all", peers), func(b *testing.B) {
			for b.Loop() {
				look(b, overview.Request{})
			}
		})
	}
}
