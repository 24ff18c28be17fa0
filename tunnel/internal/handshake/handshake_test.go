package handshake

import (
	"net/netip"
	"testing"

	"github.com/wgnode/wgnode/probe"
	"github.com/wgnode/wgnode/probe/key"
	"github.com/wgnode/wgnode/tunnel/internal/mirror"
	"github.com/wgnode/wgnode/tunnel/internal/tap"
	"github.com/wgnode/wgnode/tunnel/internal/tunneltest"
)

func newTest(t testing.TB) *Tracker {
	t.Helper()
	rec, err := probe.NewRecorder(probe.MinRecorderBytes)
	if err != nil {
		t.Fatal(err)
	}
	return New(mirror.New(rec), tap.New(rec))
}

// Whom a handshake message is for is known by its mac1 alone; what the device has said
// before only saves trying all peers.
func TestAddressee(t *testing.T) {
	h := newTest(t)
	var all []*mirror.Peer
	for i := range 3 * sendingKept {
		p := h.m.Peers.Ensure(key.Public{byte(i), 1})
		p.Configured.Store(true)
		all = append(all, p)
	}
	at := netip.MustParseAddrPort("192.0.2.1:1")
	for i, p := range all {
		if got := h.addressee(tunneltest.InitiationTo(t, &p.MAC1), at); got != p {
			t.Errorf("peer %d, of whom nothing was said: %d", p.ID, got.ID)
		}
		h.About(p)
		h.About(all[(i+1)%len(all)]) // and of another since
		p.Configured.Store(false)    // it would not be found among all
		if got := h.addressee(tunneltest.InitiationTo(t, &p.MAC1), at); got != p {
			t.Errorf("peer %d, of whom the device has spoken: %d", p.ID, got.ID)
		}
		p.Configured.Store(true)
	}
	if got := h.addressee(tunneltest.InitiationTo(t, &[32]byte{1}), at); got.ID != 0 {
		t.Errorf("a message for nobody is for %d", got.ID)
	}
}

// BenchmarkAddressee finds whom a message to a new address is for, one of a thousand peers.
func BenchmarkAddressee(b *testing.B) {
	h := newTest(b)
	var last *mirror.Peer
	for i := range 1000 {
		last = h.m.Peers.Ensure(key.Public{byte(i), byte(i >> 8), 1})
		last.Configured.Store(true)
	}
	msg := tunneltest.InitiationTo(b, &last.MAC1)
	for name, said := range map[string]bool{"named": true, "unnamed": false} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				clear(h.recipient)
				for i := range h.sending {
					h.sending[i].Store(nil)
				}
				if said {
					h.About(last)
				}
				if h.addressee(msg, netip.AddrPort{}) != last {
					b.Fatal("not found")
				}
			}
		})
	}
}
