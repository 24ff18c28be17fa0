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
	return int(a.Seam.order()) - int(b.Seam.order())
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
		places[i] = place{events[i].Time, events[i].Seam.order(), uint32(i)}
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
