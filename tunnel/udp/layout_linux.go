package udp

import "math/bits"

const (
	// firstSegment is the size of packets that is expected at first: what the
	// device makes of a TUN device's 1420 bytes.
	firstSegment = 1452

	// leastScattered is the size of packets that are worth scattering. To copy
	// shorter ones costs less than what the kernel takes for each piece.
	leastScattered = 512

	// patientCalls is after how many calls in a row that would have been served
	// better by a smaller layout it is made smaller.
	patientCalls = 8
)

// layout is a guess at what comes next. The kernel joins packets of one size
// that follow each other, up to 64 and more, and cares not for our buffers:
// where each packet shall land has to be said before it is known how long they
// are. So each message gets width buffers in a row, and of each but the last
// the first segment bytes; the last takes what remains, however much it is:
//
//	buffers    |segment|       |segment|       |segment......|
//	message    |packet |       |packet |       |packet |.... | (rest, if any)
//
// If the guess was right every packet is where the caller looks for it, and
// nothing is copied. Buffers that nothing came to have size 0, which callers
// skip. If it was wrong the packets are moved, and the next guess is better.
// Where small packets are expected the first buffer takes all, and they are
// moved in any case.
type layout struct {
	join    bool // the kernel joins packets
	width   int  // a power of two
	segment int
	narrow  int // calls in a row that half the width was enough for
	short   int // calls in a row whose packets were shorter than segment
}

// pieces returns how many buffers the kernel is told of for each message.
func (l *layout) pieces() int {
	if l.segment < leastScattered {
		return 1
	}
	return l.width
}

func newLayout(join bool) layout { return layout{join: join, width: 1, segment: firstSegment} }

// train is what is known of a received message: packets of segment bytes, but
// for the last, which may be shorter.
type train struct {
	ep      *Endpoint
	bytes   int
	segment int
}

func (t train) count() int { return (t.bytes + t.segment - 1) / t.segment }

// seen is the sum of what came in one call.
type seen struct {
	widest  int // packets in the longest train
	longest int // the longest packet
	heavy   train
}

func (s *seen) add(t train) {
	s.widest = max(s.widest, t.count())
	s.longest = max(s.longest, t.segment)
	if t.bytes > s.heavy.bytes && t.count() > 1 {
		s.heavy = t
	}
}

// learn makes the layout larger at once if it was too small, for then packets
// had to be moved, and smaller only after a while.
func (l *layout) learn(s seen) {
	if !l.join || s.widest == 0 {
		return
	}
	switch {
	case s.widest > l.width:
		l.width = min(batchSize/2, 1<<bits.Len(uint(s.widest-1)))
		l.narrow = 0
	case s.widest > l.width/2:
		l.narrow = 0
	default:
		if l.narrow++; l.narrow >= patientCalls && l.width > 1 {
			l.width /= 2
			l.narrow = 0
		}
	}
	switch {
	case s.heavy.segment > l.segment || s.heavy.segment == 0 && s.longest > l.segment:
		l.segment = max(s.heavy.segment, s.longest)
		l.short = 0
	case s.heavy.segment == l.segment || s.heavy.segment == 0:
		l.short = 0
	default:
		if l.short++; l.short >= patientCalls {
			l.segment = s.heavy.segment
			l.short = 0
		}
	}
}
