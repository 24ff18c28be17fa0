package probe

import (
	"testing"
	"time"
)

func TestBrief(t *testing.T) {
	for d, want := range map[time.Duration]string{
		0: "0 s", 7: "7 ns", 630 * time.Microsecond: "630 µs", 860412 * time.Microsecond: "860 ms",
		33712 * time.Microsecond: "33.7 ms", 1034 * time.Millisecond: "1.03 s", 9996 * time.Millisecond: "10.0 s",
		99960 * time.Microsecond: "100 ms", -1500 * time.Microsecond: "-1.50 ms", 125 * time.Second: "2m5s",
	} {
		if got := Brief(d); got != want {
			t.Errorf("%v is %q, want %q", d, got, want)
		}
	}
}

func TestCount(t *testing.T) {
	for n, want := range map[int]string{0: "0 packets", 1: "1 packet", 2: "2 packets"} {
		if got := Count(n, "packet"); got != want {
			t.Errorf("%d is %q, want %q", n, got, want)
		}
	}
}
