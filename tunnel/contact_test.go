package tunnel

import (
	"net"
	"net/netip"
	"os"
	"testing"

	"github.com/wgnode/wgnode/probe"
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
	e := await(t, w, "endpoint", func(e *probe.Event) bool { return e.Kind == probe.KindEndpoint })
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
	await(t, w, "session", func(e *probe.Event) bool { return e.Kind == probe.KindResponse && e.Seam == probe.SeamDevice })
	if s, _ := a.StateOf(b.key.Public()); s.InitiationPending || !s.PendingSince.IsZero() || s.Established.IsZero() {
		t.Errorf("answered: %+v", s)
	}
	if err := a.SendKeepalive(b.key.Public()); err != nil {
		t.Fatal(err)
	}
	await(t, w, "keepalive", func(e *probe.Event) bool { return e.Kind == probe.KindKeepalive && e.Seam == probe.SeamUDPSend })

	if _, ok := a.StateOf(a.key.Public()); ok {
		t.Error("a has itself for a peer")
	}
	for _, err := range []error{a.SendKeepalive(a.key.Public()), a.RenewSession(a.key.Public())} {
		if err == nil {
			t.Error("nobody to send to, and no error")
		}
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
