package control

import (
	"context"
	"errors"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/wgnode/wgnode/probe"
	"github.com/wgnode/wgnode/probe/diagnose"
	"github.com/wgnode/wgnode/probe/key"
	"github.com/wgnode/wgnode/probe/overview"
	"github.com/wgnode/wgnode/tunnel"
	"github.com/wgnode/wgnode/tunnel/uapi"
)

// Rates are of the time since somebody has asked before: not of a moment, and not of an hour.
func TestSamples(t *testing.T) {
	at := time.Unix(1_800_000_000, 0)
	count := func(rx, tx uint64) *uapi.Status {
		return &uapi.Status{Peers: []uapi.PeerStatus{{PublicKey: key.Public{1}, RxBytes: rx, TxBytes: tx}}}
	}
	var s samples
	for _, c := range []struct {
		after  time.Duration // since the beginning
		rx, tx uint64
		over   time.Duration // 0: not known
		rateRx float64
	}{
		{after: 0, rx: 1000},
		{after: 100 * time.Millisecond, rx: 2000},
		{after: 500 * time.Millisecond, rx: 2000, over: 500 * time.Millisecond, rateRx: 2000},
		{after: 1 * time.Second, rx: 3000, over: time.Second, rateRx: 2000},
		{after: 1500 * time.Millisecond, rx: 4000, over: 1500 * time.Millisecond, rateRx: 2000},
		{after: 2 * time.Second, rx: 9000, over: time.Second, rateRx: 6000},
		{after: time.Hour, rx: 9000},
		{after: time.Hour + 500*time.Millisecond, rx: 9500, over: 500 * time.Millisecond, rateRx: 1000},
		{after: time.Hour + time.Second, rx: 10}, // the peer was removed, and added again
	} {
		now := count(c.rx, c.tx)
		r := s.since(now, at.Add(c.after))
		got := r.of(&now.Peers[0])
		switch {
		case got == nil && c.over == 0:
		case got == nil || got.Over != c.over || got.Rx != c.rateRx || got.Tx != 0:
			t.Errorf("after %v: %+v, want %v over %v", c.after, got, c.rateRx, c.over)
		}
	}
}

// A node of an earlier release says so, in words.
func TestOverviewOfEarlierRelease(t *testing.T) {
	l, err := net.Listen("unix", filepath.Join(t.TempDir(), "s"))
	if err != nil {
		t.Fatal(err)
	}
	srv := &http.Server{Handler: http.NewServeMux()}
	go func() { _ = srv.Serve(l) }()
	t.Cleanup(func() { _ = srv.Close() })
	c := NewClient("wg0", func(context.Context) (*net.UnixConn, error) {
		return net.DialUnix("unix", nil, l.Addr().(*net.UnixAddr))
	})
	if _, err := c.Overview(t.Context(), overview.Request{}); !errors.Is(err, ErrEarlier) || !strings.Contains(err.Error(), "wg0") {
		t.Error(err)
	}
}

// What is served of a WireGuard that no doctor has looked at is what it tells itself.
func TestOverviewOfOne(t *testing.T) {
	f := newFake(t)
	c := f.serve(t)
	got, err := c.Overview(t.Context(), overview.Request{Sort: overview.SortName, Limit: 1, Few: 1})
	if err != nil || got.Total != 1 || got.Kind != overview.KindKernel || got.Level != probe.LevelCapture || len(got.Peers) != 1 {
		t.Fatalf("%+v, %v", got, err)
	}
	p := &got.Peers[0]
	if p.PublicKey != f.peer || p.Name != f.name || p.State != diagnose.StateNeverSeen || !p.Idle || len(p.AllowedIPs) != 1 {
		t.Errorf("%+v", p)
	}
}

// A handshake that we have only answered is none: the peer may not take the answer.
func TestAnsweredIsNotComplete(t *testing.T) {
	now := time.Unix(1_800_000_000, 0)
	ago := func(d time.Duration) time.Time { return now.Add(-d) }
	for _, c := range []struct {
		answered, completed time.Time
		want                diagnose.State
	}{
		{want: diagnose.StateNeverSeen},
		{answered: ago(5 * time.Second), want: diagnose.StateHandshaking},
		{answered: ago(5 * time.Minute), want: diagnose.StateNeverSeen},
		{answered: ago(5 * time.Second), completed: ago(time.Minute), want: diagnose.StateUp},
		{answered: ago(5 * time.Second), completed: ago(time.Hour), want: diagnose.StateHandshaking},
		{answered: ago(time.Hour), completed: ago(time.Hour), want: diagnose.StateStale},
	} {
		ps := tunnel.PeerState{Key: key.Public{1}, Configured: true, Established: c.answered}
		said := &uapi.Status{Peers: []uapi.PeerStatus{{PublicKey: ps.Key, LastHandshake: c.completed}}}
		if got := stateNow(&ps, c.completed, now); got != c.want {
			t.Errorf("answered %v, completed %v: %s, want %s", c.answered, c.completed, got, c.want)
		}
		if got := peersOf([]tunnel.PeerState{ps}, said, nil, nil)[0].Handshake; !got.Equal(c.completed) {
			t.Errorf("handshake %v, want %v", got, c.completed)
		}
	}
}
