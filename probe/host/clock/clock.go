// Package clock describes this host's clocks: how their times relate, and whether
// something keeps them right. Clocks of two hosts are compared by what is exchanged
// between them, and not by what each says of itself; but where one is wrong, this says
// which.
package clock

import "time"

// Clock is what the kernel says of its clocks at one instant.
type Clock struct {
	Wall      time.Time
	Monotonic time.Duration // CLOCK_MONOTONIC, 0 if it could not be read
	Source    string        // the kernel's clock source, such as "tsc"; "" if not known
	// Synchronized: something keeps the wall clock right, to MaxError.
	Synchronized bool
	MaxError     time.Duration
}
