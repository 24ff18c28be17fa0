package top

import (
	"fmt"
	"math"
	"time"

	"github.com/wgnode/wgnode/probe/flows"
)

// ago words how long something is ago, in at most four columns: "12s", "3m", "5h", "12d".
func ago(now, at time.Time) string {
	if at.IsZero() || at.UnixNano() == 0 {
		return "-"
	}
	switch d := now.Sub(at); {
	case d < time.Second:
		return "0s"
	case d < 2*time.Minute:
		return fmt.Sprintf("%ds", int(d.Seconds()))
	case d < 2*time.Hour:
		return fmt.Sprintf("%dm", int(d.Minutes()))
	case d < 48*time.Hour:
		return fmt.Sprintf("%dh", int(d.Hours()))
	default:
		return fmt.Sprintf("%dd", int(d.Hours()/24))
	}
}

// amount words a number in at most five columns: "0", "812", "1.2k", "34k", "1.2M".
func amount(v float64) string {
	const units = " kMGTPE"
	if v < 0 || math.IsNaN(v) {
		return "-"
	}
	unit := 0
	for v >= 999.5 && unit < len(units)-1 {
		v, unit = v/1000, unit+1
	}
	switch {
	case unit == 0 && (v == 0 || v >= 9.95 || v == math.Trunc(v)):
		return fmt.Sprintf("%.0f", v)
	case unit == 0:
		return fmt.Sprintf("%.1f", v)
	case v < 9.95:
		return fmt.Sprintf("%.1f%c", v, units[unit])
	}
	return fmt.Sprintf("%.0f%c", v, units[unit])
}

// estimate is amount, marked where one of so many packets was counted.
func estimate(v uint64, every uint64) string {
	if every > 1 {
		return "~" + amount(float64(v))
	}
	return amount(float64(v))
}

// clock is the time of day of an instant.
func clock(at int64) string { return time.Unix(0, at).Format("15:04:05.000") }

// sum is what passed in each of some samples, in both directions.
func sum(samples []flows.Sample) []float64 {
	out := make([]float64, len(samples))
	for i, s := range samples {
		out[i] = float64(s.In + s.Out)
	}
	return out
}
