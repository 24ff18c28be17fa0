package diagnose

import (
	"testing"
	"time"

	"github.com/wgnode/wgnode/probe"
)

func TestState(t *testing.T) {
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	ago := func(d time.Duration) *probe.Event { return &probe.Event{Time: now.Add(-d).UnixNano()} }
	for _, test := range []struct {
		name        string
		established time.Duration // ago, 0: never
		sent, came  *probe.Event  // the latest initiations
		code        Code
		want        State
	}{
		{name: "never seen", code: Idle, want: StateNeverSeen},
		{name: "up", established: 179 * time.Second, code: Healthy, want: StateUp},
		{name: "up, its handshake just done", established: time.Second, sent: ago(2 * time.Second), code: Healthy, want: StateUp},
		{name: "stale", established: 180 * time.Second, code: Idle, want: StateStale},
		{name: "stale, the last handshake in view", established: 200 * time.Second, sent: ago(201 * time.Second), code: Idle, want: StateStale},
		{name: "calls", sent: ago(3 * time.Second), code: Idle, want: StateHandshaking},
		{name: "is called", established: time.Hour, came: ago(3 * time.Second), code: Idle, want: StateHandshaking},
		{name: "gave up", sent: ago(91 * time.Second), code: Idle, want: StateNeverSeen},
		{name: "fails", sent: ago(3 * time.Second), code: NoResponse, want: StateFailing},
		{name: "fails with a session", established: time.Minute, code: SharedKey, want: StateFailing},
	} {
		t.Run(test.name, func(t *testing.T) {
			p := new(Peer)
			if test.established != 0 {
				p.Handshake.Established = now.Add(-test.established)
			}
			p.Seen[probe.A2], p.Seen[probe.B1] = test.sent, test.came
			f := &Facts{Peer: p}
			if got := f.State(&Verdict{Code: test.code}, now); got != test.want {
				t.Errorf("%s, want %s", got, test.want)
			}
		})
	}
}

// A verdict about the other host's half puts nothing into this one's ladder.
func TestLadderOfTheOtherHost(t *testing.T) {
	f := &Facts{Side: probe.SideB, Peer: &Peer{}, Flow: &Flow{}}
	for _, r := range f.Ladder(&Verdict{Code: PSKMismatch, Checkpoint: probe.A3}, time.Now()) {
		if r.Checkpoint.Side() != probe.SideB || r.Status == Fail {
			t.Errorf("%s is %s", r.Checkpoint, r.Status)
		}
	}
}
