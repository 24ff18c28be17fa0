package flows

import "time"

// Sample is what passed in one interval of a [Series].
type Sample struct {
	In, Out uint64 // bytes towards this host, and from it
	Drops   uint64
}

// Series is what passed in each of the latest intervals: a ring, for drawing. The zero Series is
// empty and takes no memory; one that is used must have been made by [Table].
type Series struct {
	ring  []Sample
	first int64 // interval that ring's first sample is of, when it was made or cleared last
	last  int64 // the newest interval
}

// at returns the sample of an interval, nil if it is older than the ring reaches. What is newer
// moves the ring on.
func (s *Series) at(interval int64, size int) *Sample {
	if s.ring == nil {
		s.ring, s.first, s.last = make([]Sample, size), interval, interval
	}
	n := int64(len(s.ring))
	switch {
	case interval <= s.last-n:
		return nil
	case interval-s.last >= n:
		clear(s.ring)
		s.first, s.last = interval, interval
	}
	for s.last < interval {
		s.last++
		s.ring[index(s.last, n)] = Sample{}
	}
	s.first = min(s.first, interval)
	return &s.ring[index(interval, n)]
}

func index(interval, n int64) int64 {
	if i := interval % n; i >= 0 {
		return i
	}
	return interval%n + n
}

// latest are the n samples up to an interval, the oldest first, appended to dst. Those before
// the first event are zero, too.
func (s *Series) latest(dst []Sample, interval int64, n int) []Sample {
	for i := interval - int64(n) + 1; i <= interval; i++ {
		var v Sample
		if s.ring != nil && i <= s.last && i > s.last-int64(len(s.ring)) && i >= s.first {
			v = s.ring[index(i, int64(len(s.ring)))]
		}
		dst = append(dst, v)
	}
	return dst
}

// Pace says how long the intervals of a table's series are, and how many are kept.
type Pace struct {
	Interval time.Duration
	Kept     int
}

// defaultPace is a minute of seconds.
var defaultPace = Pace{time.Second, 60}

func (p Pace) interval(at int64) int64 {
	n := at / int64(p.Interval)
	if at < 0 && at%int64(p.Interval) != 0 {
		n--
	}
	return n
}
