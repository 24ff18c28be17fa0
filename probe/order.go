package probe

import (
	"cmp"
	"slices"
)

// compareEvents orders by time, and within one instant by the order in which
// a packet passes the seams.
func compareEvents(a, b Event) int {
	switch {
	case a.Time < b.Time:
		return -1
	case a.Time > b.Time:
		return 1
	}
	return int(seamRank[a.Seam&7]) - int(seamRank[b.Seam&7])
}

// sortEvents puts events in order. They are large, so it is their places that
// are sorted. Those that compare equal keep their order.
func sortEvents(events []Event) {
	if slices.IsSortedFunc(events, compareEvents) {
		return
	}
	type place struct {
		time int64
		rank uint8
		at   uint32
	}
	places := make([]place, len(events))
	for i := range events {
		places[i] = place{events[i].Time, seamRank[events[i].Seam&7], uint32(i)}
	}
	slices.SortFunc(places, func(a, b place) int {
		switch {
		case a.time != b.time:
			return cmp.Compare(a.time, b.time)
		case a.rank != b.rank:
			return cmp.Compare(a.rank, b.rank)
		}
		return cmp.Compare(a.at, b.at)
	})
	sorted := make([]Event, len(events))
	for i := range places {
		sorted[i] = events[places[i].at]
	}
	copy(events, sorted)
}

var seamRank = [8]uint8{SeamTUNRead: 0, SeamUDPSend: 1, SeamUDPReceive: 2, SeamTUNWrite: 3, SeamForward: 4, SeamDevice: 5}
