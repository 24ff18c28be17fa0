package legs

import "math"

// Times are how long something took, over some probes, in nanoseconds.
type Times struct {
	Least   int64 `json:"least"`
	Average int64 `json:"average"`
	Most    int64 `json:"most"`
	// Jitter is the standard deviation, as the mdev of ping(8): the square root of the mean
	// of the squares less the square of the mean. It does not depend on an order, so that
	// answers that overtake each other do not make it larger.
	Jitter int64 `json:"jitter"`
}

// sums adds up times without keeping them (Welford's method, which loses no digits).
type sums struct {
	n           uint64
	least, most int64
	mean, m2    float64
}

func (s *sums) add(ns int64) {
	if s.n == 0 || ns < s.least {
		s.least = ns
	}
	if s.n == 0 || ns > s.most {
		s.most = ns
	}
	s.n++
	d := float64(ns) - s.mean
	s.mean += d / float64(s.n)
	s.m2 += d * (float64(ns) - s.mean)
}

// times words the sums, nil where there is nothing.
func (s *sums) times() *Times {
	if s.n == 0 {
		return nil
	}
	return &Times{Least: s.least, Average: int64(math.Round(s.mean)), Most: s.most,
		Jitter: int64(math.Round(math.Sqrt(s.m2 / float64(s.n))))}
}
