package probe

import (
	"fmt"
	"net/netip"
	"time"
)

// Count words a number of things: "1 packet", "2 packets". The noun takes an s.
func Count[N int | uint64](n N, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

// Brief words a duration for people, with three significant digits: "860 ms",
// "1.03 s". What takes minutes is in whole seconds: "2m5s".
func Brief(d time.Duration) string {
	unit, name := time.Second, "s"
	switch a := d.Abs(); {
	case a == 0:
		return "0 s"
	case a < time.Microsecond:
		return fmt.Sprintf("%d ns", d)
	case a < time.Millisecond:
		unit, name = time.Microsecond, "µs"
	case a < time.Second:
		unit, name = time.Millisecond, "ms"
	case a >= 100*time.Second:
		return d.Round(time.Second).String()
	}
	n := float64(d) / float64(unit)
	digits := 2
	switch a := max(n, -n); {
	case a >= 99.95:
		digits = 0
	case a >= 9.995:
		digits = 1
	}
	return fmt.Sprintf("%.*f %s", digits, n, name)
}

// TargetText writes a flow's destination: without the port where that is 0, for ICMP
// echo.
func TargetText(t netip.AddrPort) string {
	if t.Port() == 0 {
		return t.Addr().String()
	}
	return t.String()
}

// FlowText is [TargetText] with what says that UDP is meant, and UDP alone.
func FlowText(t netip.AddrPort, udp bool) string {
	if udp {
		return TargetText(t) + "/udp"
	}
	return TargetText(t)
}
