package tunnel

import (
	"fmt"
	"net"
	"net/netip"
	"os"
	"strings"
	"testing"

	"github.com/wgnode/wgnode/probe"
	"github.com/wgnode/wgnode/probe/key"
	"github.com/wgnode/wgnode/tunnel/internal/tunneltest"
)

// What the node itself does to an endpoint is an event, but not a packet's
// doing; and unanswered initiations are known by their age.
func TestSetEndpoint(t *testing.T) {
	a, b := pair(t, nil)
	w := a.Recorder().Subscribe(probe.SubscribeOptions{})
	defer w.Close()
	silent, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(netip.MustParseAddrPort("127.0.0.1:0")))
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	to := silent.LocalAddr().(*net.UDPAddr).AddrPort()
	if s, ok := a.StateOf(b.key.Public()); !ok || s.InitiationPending || !s.Initiated.IsZero() {
		t.Fatalf("before: %+v, %v", s, ok)
	}
	if err := a.SetEndpoint(b.key.Public(), to); err != nil {
		t.Fatal(err)
	}
	e := tunneltest.Await(t, w, "endpoint", func(e *probe.Event) bool { return e.Kind == probe.KindEndpoint })
	if from, now := e.Outer(); from != b.endpoint() || now != to || e.Flags&probe.FlagEndpointMoved != 0 || e.Peer != 1 {
		t.Errorf("endpoint %s -> %s, peer %d, flags %b", from, now, e.Peer, e.Flags)
	}
	if err := a.InitiateHandshake(b.key.Public()); err != nil {
		t.Fatal(err)
	}
	first, _ := a.StateOf(b.key.Public())
	if !first.InitiationPending || first.PendingSince != first.Initiated || first.Initiated.IsZero() {
		t.Errorf("after one initiation: %+v", first)
	}
	// Again, although the first was just now.
	if err := a.RenewSession(b.key.Public()); err != nil {
		t.Fatal(err)
	}
	second, _ := a.StateOf(b.key.Public())
	if second.PendingSince != first.PendingSince || !second.Initiated.After(first.Initiated) {
		t.Errorf("after two: %+v, was %+v", second, first)
	}
	if err := a.SetEndpoint(b.key.Public(), b.endpoint()); err != nil {
		t.Fatal(err)
	}
	if err := a.RenewSession(b.key.Public()); err != nil {
		t.Fatal(err)
	}
	tunneltest.Await(t, w, "session", func(e *probe.Event) bool { return e.Kind == probe.KindResponse && e.Seam == probe.SeamDevice })
	if s, _ := a.StateOf(b.key.Public()); s.InitiationPending || !s.PendingSince.IsZero() || s.Established.IsZero() {
		t.Errorf("answered: %+v", s)
	}
	if err := a.SendKeepalive(b.key.Public()); err != nil {
		t.Fatal(err)
	}
	tunneltest.Await(t, w, "keepalive", func(e *probe.Event) bool { return e.Kind == probe.KindKeepalive && e.Seam == probe.SeamUDPSend })

	if _, ok := a.StateOf(a.key.Public()); ok {
		t.Error("a has itself for a peer")
	}
	for _, err := range []error{a.SendKeepalive(a.key.Public()), a.RenewSession(a.key.Public())} {
		if err == nil {
			t.Error("nobody to send to, and no error")
		}
	}
}

// A packet that was on its way to the old endpoint as the node set another shows no move of the
// peer's; one that follows a message of the peer's does.
func TestSetEndpointUnderWay(t *testing.T) {
	a, b := pair(t, nil)
	w := a.Recorder().Subscribe(probe.SubscribeOptions{})
	defer w.Close()
	moved := func(e *probe.Event) bool { return e.Kind == probe.KindEndpoint }
	old, to := b.endpoint(), netip.MustParseAddrPort("127.0.0.2:9")
	if err := a.SetEndpoint(b.key.Public(), to); err != nil {
		t.Fatal(err)
	}
	tunneltest.Await(t, w, "endpoint set", moved)
	p := a.m.Peers.Find(b.key.Public())
	a.m.EndpointUsed(p, old, 1)
	if s, _ := a.StateOf(b.key.Public()); s.Endpoint != to {
		t.Errorf("the endpoint is %s, want %s", s.Endpoint, to)
	}
	p.Heard.Store(a.m.Clock.Now())
	a.m.EndpointUsed(p, old, 2)
	if e := tunneltest.Await(t, w, "move", moved); e.Flags&probe.FlagEndpointMoved == 0 || e.Pair != 2 {
		t.Errorf("flags %b, because of event %d", e.Flags, e.Pair)
	}
}

// A peer that is added is known from its first message on, also if it answers before the device
// has taken in the whole operation; and where that goes is no move of its endpoint.
func TestPeerAnswersAtOnce(t *testing.T) {
	for _, test := range []struct {
		name string
		edit func(a, b *Config)
	}{
		{"never known", func(a, _ *Config) { a.Peers = nil }},
		{"removed before", nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			a, b := pair(t, test.edit)
			k := b.key.Public()
			if err := a.set(fmt.Sprintf("public_key=%x\nremove=true\n", k[:])); err != nil {
				t.Fatal(err)
			}
			w := a.Recorder().Subscribe(probe.SubscribeOptions{})
			defer w.Close()
			var config strings.Builder
			fmt.Fprintf(&config, "public_key=%x\nendpoint=%s\npersistent_keepalive_interval=25\n", k[:], b.endpoint())
			for range 3000 { // others, which take the device longer than a handshake
				guest := key.GeneratePrivate().Public()
				fmt.Fprintf(&config, "public_key=%x\npersistent_keepalive_interval=0\n", guest[:])
			}
			if err := a.set(config.String()); err != nil {
				t.Fatal(err)
			}
			s, ok := a.StateOf(k)
			if !ok {
				t.Fatal("b is no peer")
			}
			first := tunneltest.Await(t, w, "initiation", func(e *probe.Event) bool { return e.Kind == probe.KindInitiation })
			session := tunneltest.Await(t, w, "session", func(e *probe.Event) bool {
				if e.Kind == probe.KindEndpoint {
					t.Errorf("endpoint event, flags %b", e.Flags)
				}
				return e.Kind == probe.KindResponse && e.Seam == probe.SeamDevice
			})
			if first.Peer != s.ID || session.Peer != s.ID || session.Dropped() {
				t.Errorf("initiation of peer %d, session of peer %d (%v); b is %d", first.Peer, session.Peer, session.Reason, s.ID)
			}
		})
	}
}

func TestFwMark(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root: marks packets")
	}
	a, _ := pair(t, func(a, _ *Config) { a.FwMark = 77 })
	if got := a.FwMark(); got != 77 {
		t.Errorf("mark %d, want 77", got)
	}
	if err := a.set("fwmark=0\n"); err != nil {
		t.Fatal(err)
	}
	if got := a.FwMark(); got != 0 {
		t.Errorf("mark %d after it was taken away", got)
	}
}
