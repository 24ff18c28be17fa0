package node

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
		{"kept alive", true, uapi.PeerStatus{PersistentKeepalive: alive}, []diagnose.State{diagnose.StateUp}},
		{"kept alive where it called from", false, uapi.PeerStatus{PersistentKeepalive: alive, Endpoint: at}, []diagnose.State{diagnose.StateUp}},
		{"never called", false, uapi.PeerStatus{PersistentKeepalive: alive}, states},
		{"called, and failed", false, uapi.PeerStatus{Endpoint: at}, states},
		{"has an endpoint", true, uapi.PeerStatus{}, states[1:]},
		{"had a session", false, uapi.PeerStatus{Endpoint: at, LastHandshake: time.Unix(1, 0)}, states[1:]},
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
