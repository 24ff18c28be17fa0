//go:build linux

package kernelwg

import (
	"context"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/wgnode/wgnode/node/lab"
	"github.com/wgnode/wgnode/probe"
	"github.com/wgnode/wgnode/probe/patience"
)

// refusals is a site on which one thing after another is wrong.
type refusals struct {
	*site
	t    *testing.T
	k, p *watched
}

// say sends a datagram into the tunnel, whatever comes of it.
func (r *refusals) say(h *lab.Host, to string) {
	r.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience.Limit())
	defer cancel()
	c, err := h.Dial(ctx, "udp", to)
	if err != nil {
		r.t.Fatal(err)
	}
	defer c.Close()
	_, _ = c.Write([]byte("x")) // an error is one of the things that may come of it
}

// begin has K begin a new session with a datagram.
func (r *refusals) begin() {
	r.t.Helper()
	r.newSession(r.t)
	r.say(r.K, "10.7.0.2:9")
}

// refused is the first event with a reason, which may have come before another one that was
// awaited.
func (r *refusals) refused(w *watched, reason probe.Reason) probe.Event {
	r.t.Helper()
	for _, e := range w.all {
		if e.Reason == reason {
			return e
		}
	}
	return w.await(r.t, reason.String(), func(e *probe.Event) bool { return e.Reason == reason })
}

// wantPeer wants an event to name the only peer.
func (r *refusals) wantPeer(w *watched, e probe.Event, peer lab.Key) {
	r.t.Helper()
	if got := w.Peers().Key(e.Peer).Base64(); got != peer.Public {
		r.t.Errorf("%s: peer %s, want %s", e.Reason, got, peer.Public)
	}
}

// file keeps a secret where wg reads it.
func (r *refusals) file(name, secret string) string {
	path := filepath.Join("/run", name)
	r.K.WriteFile(path, secret, 0o600)
	r.P.WriteFile(path, secret, 0o600)
	return path
}

// What is refused is told, with the reason and whose it is.
func TestRefused(t *testing.T) {
	s := newSite(t)
	s.bothKernel(t)
	r := &refusals{s, t, watch(t, s.K, probe.LevelExact), watch(t, s.P, probe.LevelExact)}

	r.say(s.P, "10.7.0.1:9")
	r.wantPeer(r.p, r.refused(r.p, probe.NoEndpoint), s.keyK)

	r.say(s.K, "10.7.0.99:9")
	if e := r.refused(r.k, probe.NoAllowedIPsMatch); e.Peer != 0 || e.InnerDst.Netip().String() != "10.7.0.99" {
		t.Errorf("no AllowedIPs: %s for peer %d", content(&e), e.Peer)
	}
	r.handshakes()
	r.packets()

	s.K.Run("ip", "route", "add", "unreachable", "192.0.2.2/32")
	r.say(s.K, "10.7.0.2:9")
	if e := r.refused(r.k, probe.SendError); e.Errno() != unix.EHOSTUNREACH {
		t.Errorf("the socket has refused with %v, want %v", e.Errno(), unix.EHOSTUNREACH)
	}
	r.k.nothingLost(t)
	r.p.nothingLost(t)
	if t.Failed() {
		t.Logf("\n%s\n\n%s", r.k.text(), r.p.text())
	}
}

// handshakes are refused.
func (r *refusals) handshakes() {
	r.t.Helper()
	s, other := r.site, lab.NewKey(r.t)

	// K has another public key for P.
	s.K.Run("wg", "set", "wg0", "peer", other.Public, "allowed-ips", "10.7.0.2/32", "endpoint", "192.0.2.2:51820")
	r.begin()
	if e := r.refused(r.p, probe.InvalidMAC1); e.Kind != probe.KindInitiation || e.OuterSrc.Netip().String() != "192.0.2.1" {
		r.t.Errorf("wrong public key: a %s from %v", e.Kind, e.OuterSrc.Netip())
	}
	s.K.Run("wg", "set", "wg0", "peer", other.Public, "remove", "peer", s.keyP.Public, "allowed-ips", "10.7.0.2/32")

	// P has a preshared key, and K has none.
	psk := r.file("psk", other.Private)
	s.P.Run("wg", "set", "wg0", "peer", s.keyK.Public, "preshared-key", psk)
	r.begin()
	e := r.refused(r.k, probe.ResponseRejected)
	r.wantPeer(r.k, e, s.keyP)
	if e.Checkpoint != probe.A3 {
		r.t.Errorf("preshared key: at %s", e.Checkpoint)
	}
	s.P.Run("wg", "set", "wg0", "peer", s.keyK.Public, "preshared-key", "/dev/null")

	// K has a key that P does not know.
	s.K.Run("wg", "set", "wg0", "private-key", r.file("other", other.Private))
	r.begin()
	e = r.refused(r.p, probe.UnknownPeer)
	if k, ok := e.StaticKey(); !ok || k.Base64() != other.Public {
		r.t.Errorf("unknown peer: %v, want %s", k, other.Public)
	}
	s.K.Run("wg", "set", "wg0", "private-key", r.file("own", s.keyK.Private))
}

// packets are refused.
func (r *refusals) packets() {
	r.t.Helper()
	s := r.site

	// K sends from an address that is not its own to P.
	s.K.Run("ip", "address", "add", "10.7.0.3/32", "dev", "wg0")
	s.K.Try("ping", "-c1", "-W1", "-I", "10.7.0.3", "10.7.0.2")
	e := r.refused(r.p, probe.DisallowedSource)
	r.wantPeer(r.p, e, s.keyK)
	if src, _ := e.Inner(); src.Addr().String() != "10.7.0.3" || e.Pair == 0 {
		r.t.Errorf("disallowed source: from %v, belongs to %d", src, e.Pair)
	}

	// Everything comes twice.
	if out, status, _ := s.K.Try("tc", "qdisc", "add", "dev", "eth0", "root", "netem", "duplicate", "100%"); status != 0 {
		r.t.Logf("this kernel does not send twice: %s", strings.TrimSpace(out))
		return
	}
	r.begin()
	r.wantPeer(r.p, r.refused(r.p, probe.InitiationRefused), s.keyK)
	e = r.refused(r.p, probe.Replayed)
	r.wantPeer(r.p, e, s.keyK)
	s.K.Run("tc", "qdisc", "delete", "dev", "eth0", "root")
}
