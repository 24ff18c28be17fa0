package mirror

import (
	"testing"
	"time"
)

// The clock follows steps of the wall clock and the time that the host was asleep: at
// once while nobody keeps it, as when nothing has passed, else by the next sync.
func TestClockFollows(t *testing.T) {
	var wall, since int64 = 1e18, 0
	c := &Clock{base: time.Now(), Read: func(time.Time) (int64, int64) { return wall, since }}
	near := func(what string, got int64) {
		t.Helper()
		if abs(got-wall) > int64(time.Millisecond) {
			t.Errorf("%s: %v off", what, time.Duration(got-wall))
		}
	}
	near("at first", c.Now())
	for _, step := range []struct {
		what        string
		wall, since time.Duration
	}{
		{"time passes", time.Hour, time.Hour},
		{"suspend, which the monotonic clock does not count", 8 * time.Hour, time.Second},
		{"set back", -24 * time.Hour, 0},
		{"set forward", 48 * time.Hour, time.Millisecond},
	} {
		wall, since = wall+int64(step.wall), since+int64(step.since)
		near(step.what, c.Now())
		c.Keep()
		wall += int64(step.wall)
		near(step.what+", kept", c.Sync())
		c.Leave()
	}
}
