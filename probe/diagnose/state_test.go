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
		{"never seen", 0, nil, nil, Idle, StateNeverSeen},
		{"up", 179 * time.Second, nil, nil, Healthy, StateUp},
		{"up, its handshake just done", time.Second, ago(2 * time.Second), nil, Healthy, StateUp},
		{"stale", 180 * time.Second, nil, nil, Idle, StateStale},
		{"stale, the last handshake in view", 200 * time.Second, ago(201 * time.Second), nil, Idle, StateStale},
		{"calls", 0, ago(3 * time.Second), nil, Idle, StateHandshaking},
		{"is called", time.Hour, nil, ago(3 * time.Second), Idle, StateHandshaking},
		{"gave up", 0, ago(91 * time.Second), nil, Idle, StateNeverSeen},
		{"fails", 0, ago(3 * time.Second), nil, NoResponse, StateFailing},
		{"fails with a session", time.Minute, nil, nil, SharedKey, StateFailing},
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
