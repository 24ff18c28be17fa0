package exporter

import (
	"net/netip"
	"testing"
	"time"

	"github.com/wgnode/wgnode/probe/diagnose"
	"github.com/wgnode/wgnode/tunnel/uapi"
)

func TestMissing(t *testing.T) {
	at := netip.MustParseAddrPort("192.0.2.1:51820")
	const alive = 25 * time.Second
	for _, tc := range []struct {
		name    string
		written bool
		conf    uapi.PeerStatus
		ready   []diagnose.State // all others are missing
	}{
		{name: "kept alive", written: true, conf: uapi.PeerStatus{PersistentKeepalive: alive}, ready: []diagnose.State{diagnose.StateUp}},
		{name: "kept alive where it called from", conf: uapi.PeerStatus{PersistentKeepalive: alive, Endpoint: at},
			ready: []diagnose.State{diagnose.StateUp}},
		{name: "never called", conf: uapi.PeerStatus{PersistentKeepalive: alive}, ready: states},
		{name: "called, and failed", conf: uapi.PeerStatus{Endpoint: at}, ready: states},
		{name: "has an endpoint", written: true, conf: uapi.PeerStatus{}, ready: states[1:]},
		{name: "had a session", conf: uapi.PeerStatus{Endpoint: at, LastHandshake: time.Unix(1, 0)}, ready: states[1:]},
	} {
		ready := make(map[diagnose.State]bool)
		for _, s := range tc.ready {
			ready[s] = true
		}
		for _, s := range states {
			if got := missing(&diagnose.PeerReport{State: s}, &tc.conf, tc.written); got == ready[s] {
				t.Errorf("%s, %s: missing is %v", tc.name, s, got)
			}
		}
	}
}

var states = []diagnose.State{diagnose.StateFailing, diagnose.StateUp, diagnose.StateHandshaking, diagnose.StateStale,
	diagnose.StateNeverSeen}
