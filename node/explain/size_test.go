//go:build linux

package explain

import "testing"

// A path's limit is found to the step, whatever else is lost while it is looked for, and
// is never invented where answers stop.
func TestLargest(t *testing.T) {
	upTo := func(limit int) func(int, int) bool { return func(size, _ int) bool { return size <= limit } }
	for _, c := range []struct {
		name            string
		least, greatest int
		answered        func(size, try int) bool
		want            int
		tested          bool
	}{
		{name: "all", least: 576, greatest: 1420, answered: upTo(1500), want: 1420, tested: true},
		{name: "a limit", least: 576, greatest: 1420, answered: upTo(1232), want: 1232, tested: true},
		{name: "a limit between steps", least: 576, greatest: 1420, answered: upTo(1235), want: 1232, tested: true},
		{name: "a limit of IPv6", least: 1280, greatest: 1420, answered: upTo(1300), want: 1300, tested: true},
		{name: "just below the full size", least: 576, greatest: 1420, answered: upTo(1419), want: 1416, tested: true},
		{name: "a limit below what every path takes", least: 576, greatest: 1420, answered: upTo(400), want: 400, tested: true},
		{name: "an MTU of the least", least: 1280, greatest: 1280, answered: upTo(1280), want: 1280, tested: true},
		{name: "no answers", least: 576, greatest: 1420, answered: upTo(0)},
		{name: "answers stop", least: 576, greatest: 1420, answered: func(_, try int) bool { return try == 1 }},
		{name: "the tunnel recovers", least: 576, greatest: 1420, answered: func(_, try int) bool { return try == 1 || try > 9 }, want: 1420,
			tested: true},
		{name: "one more is lost", least: 576, greatest: 1420, answered: func(size, try int) bool { return try != 5 && size <= 1232 }, want: 1232,
			tested: true},
		{name: "another is lost", least: 576, greatest: 1420, answered: func(size, try int) bool { return try != 4 && size <= 1232 }, want: 1232,
			tested: true},
	} {
		t.Run(c.name, func(t *testing.T) {
			try := 0
			size, why := largest(c.least, c.greatest, func(size int) bool {
				try++
				return c.answered(size, try)
			})
			if size != c.want || (why == "") != c.tested {
				t.Errorf("%d bytes, untested: %q; want %d", size, why, c.want)
			}
		})
	}
}
