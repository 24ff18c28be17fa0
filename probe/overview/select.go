package overview

import (
	"cmp"
	"slices"
	"strings"

	"github.com/wgnode/wgnode/probe/diagnose"
)

// Select has t hold of all its peers those that r asks for, in the order that it asks for, and
// count the others.
func (t *Tunnel) Select(all []Peer, r *Request) {
	t.count(all)
	peers := make([]*Peer, 0, len(all))
	t.Left, t.IdleLeft = 0, 0
	fewer := r.Few > 0 && len(all) > r.Few && r.Peer == "" && len(r.States) == 0
	for i := range all {
		p := &all[i]
		switch {
		case r.Peer != "" && !p.Called(r.Peer), len(r.States) > 0 && !slices.Contains(r.States, p.State):
		case fewer && p.Idle:
			t.IdleLeft++
		default:
			peers = append(peers, p)
		}
	}
	exact := func(p *Peer) bool { return p.Name == r.Peer || p.PublicKey.String() == r.Peer }
	if r.Peer != "" && slices.ContainsFunc(peers, exact) { // the beginning of another's key is not meant
		peers = slices.DeleteFunc(peers, func(p *Peer) bool { return !exact(p) })
	}
	slices.SortFunc(peers, r.Sort.compare)
	if r.Limit > 0 && len(peers) > r.Limit {
		t.Left = len(peers) - r.Limit
		peers = peers[:r.Limit]
	}
	t.Peers = make([]Peer, len(peers))
	for i, p := range peers {
		t.Peers[i] = *p
	}
}

// count takes the sums over all peers.
func (t *Tunnel) count(all []Peer) {
	t.Total, t.Idle, t.RxBytes, t.TxBytes, t.Rates = len(all), 0, 0, 0, nil
	t.Counts = make(map[diagnose.State]int)
	for i := range all {
		p := &all[i]
		t.Counts[p.State]++
		if p.Idle {
			t.Idle++
		}
		t.RxBytes += p.RxBytes
		t.TxBytes += p.TxBytes
		if p.Rates != nil {
			if t.Rates == nil {
				t.Rates = &Rates{Over: p.Rates.Over}
			}
			t.Rates.Rx += p.Rates.Rx
			t.Rates.Tx += p.Rates.Tx
		}
	}
}

// Faults is how many peers have one.
func (t *Tunnel) Faults() int {
	return t.Counts[diagnose.StateFailing] + t.Counts[diagnose.StateDegraded]
}

// minKey is how many characters of a key stand for it, at least: as in a filter.
const minKey = 8

// Called reports whether a word means the peer: its name, its key, or the beginning of that.
func (p *Peer) Called(word string) bool {
	if word == p.Name {
		return true
	}
	begin := strings.TrimSuffix(word, "…")
	return len(begin) >= minKey && strings.HasPrefix(p.PublicKey.String(), begin)
}

// compare is the order of two peers.
func (s Sort) compare(a, b *Peer) int {
	first := 0
	switch s {
	case SortFaults:
		first = cmp.Compare(a.rank(), b.rank())
	case SortHandshake:
		first = b.Handshake.Compare(a.Handshake)
	case SortRate:
		first = cmp.Compare(b.rate(), a.rate())
	case SortBytes:
		first = cmp.Compare(b.RxBytes+b.TxBytes, a.RxBytes+a.TxBytes)
	case SortRTT:
		first = cmp.Compare(b.took(), a.took())
	}
	if first != 0 {
		return first
	}
	// Those without a name come last.
	if (a.Name == "") != (b.Name == "") {
		return cmp.Compare(b.Name, a.Name)
	}
	return cmp.Or(natural(a.Name, b.Name), slices.Compare(a.PublicKey[:], b.PublicKey[:]))
}

// rank is a peer's place in [SortFaults].
func (p *Peer) rank() int {
	rank := slices.Index(States(), p.State)
	if rank < 0 { // of a later release
		rank = len(States())
	}
	return rank
}

func (p *Peer) rate() float64 {
	if p.Rates == nil {
		return -1
	}
	return p.Rates.Rx + p.Rates.Tx
}

func (p *Peer) took() int64 {
	if p.RTT == nil {
		return 0
	}
	return int64(p.RTT.Took)
}

// natural compares two names with the numbers in them as numbers: "phone 9" is before
// "phone 10".
func natural(a, b string) int {
	for a != "" && b != "" {
		da, db := digits(a), digits(b)
		if da > 0 && db > 0 {
			na, nb := strings.TrimLeft(a[:da], "0"), strings.TrimLeft(b[:db], "0")
			if c := cmp.Or(cmp.Compare(len(na), len(nb)), strings.Compare(na, nb), cmp.Compare(da, db)); c != 0 {
				return c
			}
			a, b = a[da:], b[db:]
			continue
		}
		if a[0] != b[0] {
			return cmp.Compare(a[0], b[0])
		}
		a, b = a[1:], b[1:]
	}
	return cmp.Compare(len(a), len(b))
}

// digits is how many digits s begins with.
func digits(s string) int {
	n := 0
	for n < len(s) && s[n] >= '0' && s[n] <= '9' {
		n++
	}
	return n
}
