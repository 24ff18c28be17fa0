package account

import (
	"cmp"
	"slices"
	"sort"

	"github.com/wgnode/wgnode/probe"
	"github.com/wgnode/wgnode/tunnel/internal/tag"
)

// gap is a range of ordinals whose packets did not leave the device.
type gap struct {
	peer     probe.PeerID
	state    tag.State
	from, to uint64
	reason   probe.Reason // where it is known
	tries    int          // rounds in which the cause was sought
}

// packetID names one packet inside the device.
type packetID struct {
	peer    probe.PeerID
	state   tag.State
	ordinal uint64
}

// cut takes the ordinals first to last out of gaps.
func cut(gaps []gap, peer probe.PeerID, state tag.State, first, last uint64) []gap {
	for i := range gaps {
		g := &gaps[i]
		if g.peer != peer || g.state != state || g.to < first || g.from > last {
			continue
		}
		if g.to > last {
			behind := *g
			behind.from = last + 1
			gaps = append(gaps, behind)
		}
		gaps[i].to = max(first, gaps[i].from) - 1
	}
	return gaps
}

// gapWay names a way: of one peer, in one direction.
type gapWay struct {
	peer  probe.PeerID
	state tag.State
}

// gapIndex finds gaps by ordinal: the places of each way's gaps in a list, in
// order. The gaps of one way do not overlap.
type gapIndex map[gapWay][]int

func indexGaps(gaps []gap, outbound bool) gapIndex {
	index := make(gapIndex)
	for i, g := range gaps {
		if (g.state == tag.Outbound) == outbound {
			k := gapWay{g.peer, g.state}
			index[k] = append(index[k], i)
		}
	}
	for _, places := range index {
		slices.SortFunc(places, func(i, j int) int { return cmp.Compare(gaps[i].from, gaps[j].from) })
	}
	return index
}

func (x gapIndex) find(gaps []gap, way gapWay, ordinal uint64) (place int, ok bool) {
	places := x[way]
	n := sort.Search(len(places), func(i int) bool { return gaps[places[i]].to >= ordinal })
	if n == len(places) || gaps[places[n]].from > ordinal {
		return 0, false
	}
	return places[n], true
}

// notes keeps what was found out about packets until it is asked for, but not
// for ever: the zero value is ready, and forget, called twice, forgets all.
type notes[V any] struct {
	young, old map[packetID]V
}

func (n *notes[V]) put(id packetID, v V) {
	if len(n.young) >= queue {
		n.forget()
	}
	if n.young == nil {
		n.young = make(map[packetID]V)
	}
	n.young[id] = v
}

func (n *notes[V]) get(id packetID) (V, bool) {
	if v, ok := n.young[id]; ok {
		return v, true
	}
	v, ok := n.old[id]
	return v, ok
}

func (n *notes[V]) forget() { n.young, n.old = nil, n.young }
