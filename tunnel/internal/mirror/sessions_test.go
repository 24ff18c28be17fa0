package mirror

import (
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/wgnode/wgnode/probe"
)

// Each peer's latest sessions are known, and no others.
func TestSessionTable(t *testing.T) {
	const peers, sessions = 50, 40
	table := newSessions()
	rnd := rand.New(rand.NewPCG(1, 2))
	type session struct {
		index     uint32
		initiator bool
	}
	history := make(map[probe.PeerID][]session)
	for n := range peers * sessions {
		p := probe.PeerID(1 + rnd.IntN(peers))
		s := session{rnd.Uint32(), n%2 == 0}
		table.Add(s.index, p, s.initiator, int64(n+1))
		table.Add(s.index, p, s.initiator, int64(n+2)) // a retransmission changes nothing
		if at := table.Created(s.index); at != int64(n+1) {
			t.Fatalf("session added at %d is of %d", n+1, at)
		}
		history[p] = append(history[p], s)
	}
	for p, all := range history {
		for i, s := range all {
			got, initiator := table.Lookup(s.index)
			if i < len(all)-sessionsPerPeer {
				if got != 0 || table.Created(s.index) != 0 {
					t.Errorf("peer %d: session %d of %d is still there", p, i, len(all))
				}
			} else if got != p || initiator != s.initiator {
				t.Errorf("peer %d: session %d of %d is peer %d's, initiator %v", p, i, len(all), got, initiator)
			}
		}
	}
	if n := len(*table.slots.Load()); n > 16*peers*sessionsPerPeer {
		t.Errorf("%d slots for %d sessions", n, peers*sessionsPerPeer)
	}
	shared := history[1][len(history[1])-1].index
	table.Add(shared, 2, false, 1)
	if p, initiator := table.Lookup(shared); p != 2 || initiator {
		t.Errorf("an index that two peers use is not the latest one's")
	}
}

// Readers need no lock: an entry that stays is found while others come and go
// and the table grows.
func TestSessionTableConcurrently(t *testing.T) {
	table := newSessions()
	table.Add(42, 7, true, 1)
	var stop atomic.Bool
	var readers sync.WaitGroup
	for range 2 {
		readers.Go(func() {
			for !stop.Load() {
				if p, initiator := table.Lookup(42); p != 7 || !initiator {
					t.Errorf("peer %d, initiator %v", p, initiator)
					return
				}
			}
		})
	}
	var writers sync.WaitGroup
	for w := range 2 {
		writers.Go(func() {
			rnd := rand.New(rand.NewPCG(uint64(w), 3))
			for range 20_000 {
				table.Add(rnd.Uint32()|1<<20, probe.PeerID(100+rnd.IntN(500)), false, 1)
			}
		})
	}
	writers.Wait()
	stop.Store(true)
	readers.Wait()
}
