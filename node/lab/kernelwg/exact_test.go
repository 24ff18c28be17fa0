//go:build linux

package kernelwg

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/wgnode/wgnode/probe"
)

// transferred is how many bytes go through the tunnel at a time.
const transferred = 256 << 10

// message tells messages from one host apart.
type message struct {
	index   uint32
	counter uint64
}

// content is what is known of what is in one.
func content(e *probe.Event) string {
	src, dst := e.Inner()
	return fmt.Sprintf("%v > %v protocol %d, %d bytes in %d", src, dst, e.Proto, e.InnerLen, e.OuterLen)
}

// messages are the data messages that pass a seam, with what is in them. Those that a host
// has received are best seen as they leave the tunnel: wgnode does not know before what is in one.
func (w *watched) messages(seam probe.Seam) map[message]string {
	all := make(map[message]string)
	for i := range w.all {
		if e := &w.all[i]; e.Seam == seam && (e.Kind == probe.KindData || e.Kind == probe.KindInner) {
			all[message{e.Receiver, e.Counter}] = content(e)
		}
	}
	return all
}

// compare wants every message that one host has sent among those that the other has received,
// with the same packet in it, and none besides. The last messages of a session before the
// final one may have come to a device that was down by then.
func compare(t *testing.T, way string, final uint32, sent, received map[message]string) {
	t.Helper()
	latest, late := make(map[uint32]uint64), 0
	for m := range received {
		latest[m.index] = max(latest[m.index], m.counter)
	}
	for m, in := range sent {
		if got, ok := received[m]; !ok && m.index != final && m.counter > latest[m.index] {
			late++
		} else if !ok {
			t.Errorf("%s: index %x counter %d (%s) was sent and not received", way, m.index, m.counter, in)
		} else if got != in {
			t.Errorf("%s: index %x counter %d was sent as %s, received as %s", way, m.index, m.counter, in, got)
		}
	}
	if len(received)+late != len(sent) {
		t.Errorf("%s: %d were sent, %d received", way, len(sent), len(received))
	}
	t.Logf("%s: %d data messages, %d of them found at the other end, %d too late for their session", way, len(sent), len(received), late)
}

// between awaits a last packet at both ends, so that all that came before it has been seen.
func (s *site) between(t *testing.T, k, p *watched) {
	t.Helper()
	s.K.Run("ping", "-c1", "-W60", "-s", "77", "10.7.0.2")
	last := func(e *probe.Event) bool {
		_, reply := e.ICMPEcho()
		return reply && e.InnerLen == 77+28
	}
	k.await(t, "the reply in the tunnel", func(e *probe.Event) bool { return last(e) && e.Checkpoint == probe.A6 })
	p.await(t, "the reply sent", func(e *probe.Event) bool { return last(e) && e.Checkpoint == probe.B8 })
}

// last is the latest event of a seam.
func (w *watched) last(seam probe.Seam) (e probe.Event) {
	for i := range w.all {
		if w.all[i].Seam == seam {
			e = w.all[i]
		}
	}
	return e
}

// nothingLost wants that no record was lost.
func (w *watched) nothingLost(t *testing.T) {
	t.Helper()
	if n, err := w.Lost(); n != 0 || err != nil {
		t.Errorf("%d records were lost: %v", n, err)
	}
	if n := w.sub.Lost(); n != 0 {
		t.Errorf("%d events were read too late", n)
	}
}

// Which packet is in which message is known at both ends, whatever the kernel cuts the
// packets into, and over a new session.
func TestKernelAgainstKernel(t *testing.T) {
	s := newSite(t)
	s.bothKernel(t)
	k, p := watch(t, s.K, probe.LevelExact), watch(t, s.P, probe.LevelExact)
	s.transfer(t, "10.7.0.2:5001", transferred)
	s.newSession(t)
	// From here on K sends over IPv6, and P follows.
	s.K.Run("wg", "set", "wg0", "peer", s.keyP.Public, "endpoint", "[2001:db8::2]:51820")
	s.transfer(t, "[fd07::2]:5001", transferred)
	s.between(t, k, p)
	compare(t, "K to P", k.last(probe.SeamUDPSend).Receiver, k.messages(probe.SeamUDPSend), p.messages(probe.SeamTUNWrite))
	compare(t, "P to K", p.last(probe.SeamUDPSend).Receiver, p.messages(probe.SeamUDPSend), k.messages(probe.SeamTUNWrite))
	k.nothingLost(t)
	p.nothingLost(t)
	moved := func(e probe.Event) bool {
		from, to := e.Outer()
		return e.Kind == probe.KindEndpoint && from.String() == "192.0.2.1:51820" && to.String() == "[2001:db8::1]:51820"
	}
	if !slices.ContainsFunc(p.all, moved) {
		t.Error("P has not told that K's endpoint has moved")
	}
	sessions, cut := make(map[uint32]bool), false
	for i := range k.all {
		e := &k.all[i]
		if e.Seam == probe.SeamUDPSend && e.Kind == probe.KindData {
			sessions[e.Receiver] = true
		}
		cut = cut || e.Seam == probe.SeamTUNRead && e.InnerLen > 1420
		if e.Dropped() && e.Reason != probe.LinkScope {
			t.Errorf("dropped: %s %s", content(e), e.Reason)
		}
	}
	if len(sessions) < 2 {
		t.Errorf("there was %d session, want two", len(sessions))
	}
	if !cut {
		t.Error("the kernel has cut no packet: this shows less than it should")
	}
	if t.Failed() {
		t.Logf("\n%s\n\n%s", k.text(), p.text())
	}
}

// newSession has K begin a new session: a device that was down has none.
func (s *site) newSession(t *testing.T) {
	t.Helper()
	s.K.Run("ip", "link", "set", "wg0", "down")
	s.K.Run("ip", "link", "set", "wg0", "up")
	// What was configured by hand for IPv6 goes with the link.
	s.K.Run("ip", "address", "replace", "fd07::1/64", "dev", "wg0", "nodad")
}

// What is lost on the way is told as sent and not as received, and nothing else is missing, or is
// said to hold another packet.
func TestLoss(t *testing.T) {
	s := newSite(t)
	s.bothKernel(t)
	k, p := watch(t, s.K, probe.LevelExact), watch(t, s.P, probe.LevelExact)
	s.K.Ping("10.7.0.2")
	if out, status, _ := s.K.Try("tc", "qdisc", "add", "dev", "eth0", "root", "netem", "loss", "5%"); status != 0 {
		t.Skipf("this kernel does not lose packets: %s", out)
	}
	s.transfer(t, "10.7.0.2:5001", transferred)
	said := s.K.Run("tc", "-s", "qdisc", "show", "dev", "eth0")
	s.K.Run("tc", "qdisc", "delete", "dev", "eth0", "root")
	s.between(t, k, p)
	var dropped int
	if at := strings.Index(said, "(dropped "); at < 0 {
		t.Fatal(said)
	} else if _, err := fmt.Sscanf(said[at:], "(dropped %d", &dropped); err != nil {
		t.Fatal(err)
	}
	sent, received := k.messages(probe.SeamUDPSend), p.messages(probe.SeamTUNWrite)
	missing := len(sent)
	for m, in := range received {
		if sent[m] != in {
			t.Errorf("index %x counter %d was sent as %s, received as %s", m.index, m.counter, sent[m], in)
		}
		missing--
	}
	t.Logf("%d sent, %d missing, %d dropped on the way", len(sent), missing, dropped)
	if missing > dropped {
		t.Errorf("%d are missing of %d, %d were dropped", missing, len(sent), dropped)
	}
	compare(t, "P to K", p.last(probe.SeamUDPSend).Receiver, p.messages(probe.SeamUDPSend), k.messages(probe.SeamTUNWrite))
	k.nothingLost(t)
	p.nothingLost(t)
}
