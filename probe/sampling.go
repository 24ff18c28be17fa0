package probe

// Sampled reports whether e is of one of the packets that are looked at if it is one
// of every n. All events of such a packet are, and everything rare: handshakes,
// drops, changes of an endpoint.
func (e *Event) Sampled(n uint64) bool {
	switch LaneOf(e) {
	case LaneTUNRead, LaneUDPReceive:
		return e.Seq%n == 0
	case LaneTUNWrite, LaneUDPSend:
		return e.Pair%n == 0
	}
	return true
}

// sampled picks what is sampled of a lane.
func (s *Subscription) sampled(id Lane) pick {
	if s.every == 1 {
		return func(dst, from []Event) []Event { return append(dst, from...) }
	}
	return func(dst, from []Event) []Event {
		s.sample(id, from, func(e *Event) { dst = append(dst, *e) })
		return dst
	}
}

// wanted picks what is sampled of a lane and matches. What is not is never copied.
func (s *Subscription) wanted(id Lane) pick {
	if s.match == nil {
		return s.sampled(id)
	}
	return func(dst, from []Event) []Event {
		s.sample(id, from, func(e *Event) {
			if s.match(e) {
				dst = append(dst, *e)
			}
		})
		return dst
	}
}

// sample calls f for the events that are [Event.Sampled]. Where they are numbered, the
// others are not even looked at.
func (s *Subscription) sample(id Lane, from []Event, f func(*Event)) {
	if id == LaneTUNRead || id == LaneUDPReceive {
		first := from[0].Seq % s.every
		for i := (s.every - first) % s.every; i < uint64(len(from)); i += s.every {
			f(&from[i])
		}
		return
	}
	for i := range from {
		if e := &from[i]; e.Sampled(s.every) {
			f(e)
		}
	}
}
