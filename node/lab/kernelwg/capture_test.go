//go:build linux

package kernelwg

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/wgnode/wgnode/probe"
	"github.com/wgnode/wgnode/probe/host/kernelwg"
)

// numbered are the messages of a kind of seam with whose they are, and without what is in them.
func (w *watched) numbered(seam probe.Seam) map[message]string {
	all := make(map[message]string)
	for i := range w.all {
		if e := &w.all[i]; e.Seam == seam && (e.Kind == probe.KindData || e.Kind == probe.KindKeepalive) {
			all[message{e.Receiver, e.Counter}] = fmt.Sprintf("%s of %s, %d bytes", e.Kind, w.Peers().Key(e.Peer), e.OuterLen)
		}
	}
	return all
}

// Copies of packets tell of the same messages as the kernel's functions do, and never what is
// in one.
func TestCaptureAgainstExact(t *testing.T) {
	s := newSite(t)
	s.bothKernel(t)
	k, p := watch(t, s.K, probe.LevelExact), watch(t, s.P, probe.LevelExact)
	copies := watch(t, s.K, probe.LevelCapture)
	s.transfer(t, "10.7.0.2:5001", transferred)
	s.between(t, k, p)
	copies.await(t, "the reply in the tunnel", func(e *probe.Event) bool {
		_, reply := e.ICMPEcho()
		return reply && e.InnerLen == 77+28 && e.Checkpoint == probe.A6
	})
	last := k.last(probe.SeamTUNWrite)
	received := func(e *probe.Event) bool {
		return e.Seam == probe.SeamUDPReceive && e.Receiver == last.Receiver && e.Counter == last.Counter
	}
	if !slices.ContainsFunc(copies.all, func(e probe.Event) bool { return received(&e) }) {
		copies.await(t, "the message with the reply", received)
	}
	for _, seam := range []probe.Seam{probe.SeamUDPSend, probe.SeamUDPReceive} {
		compare(t, seam.String(), k.last(seam).Receiver, k.numbered(seam), copies.numbered(seam))
	}
	for i := range copies.all {
		if e := &copies.all[i]; e.Kind == probe.KindData && e.InnerLen != 0 {
			t.Errorf("a copy of a message tells what is in it: %s", content(e))
		}
	}
	copies.nothingLost(t)
	if t.Failed() {
		t.Logf("\n%s\n\n%s", k.text(), copies.text())
	}
}

// The kernel tells of a device what it was configured with, and no secret.
func TestRead(t *testing.T) {
	s := newSite(t)
	s.bothKernel(t)
	s.K.Ping("10.7.0.2")
	var d *kernelwg.Device
	var names []string
	if err := s.K.Do(func() (err error) {
		if d, err = kernelwg.Read("wg0"); err != nil {
			return err
		}
		names, err = kernelwg.Names()
		return err
	}); err != nil {
		t.Fatal(err)
	}
	if len(names) != 1 || names[0] != "wg0" || d.Name != "wg0" || d.Public.Base64() != s.keyK.Public || d.Port != 51820 || len(d.Peers) != 1 {
		t.Fatalf("%v: %+v", names, d)
	}
	p := d.Peers[0]
	if p.Public.Base64() != s.keyP.Public || p.Endpoint != netip.MustParseAddrPort("192.0.2.2:51820") || p.Preshared ||
		fmt.Sprint(p.AllowedIPs) != "[10.7.0.2/32 fd07::2/128]" || p.Handshake.IsZero() || p.Sent == 0 || p.Received == 0 {
		t.Errorf("%+v", p)
	}
	if text := fmt.Sprintf("%+v", d); strings.Contains(text, s.keyK.Private) {
		t.Error("a secret is told")
	}
}

// At level half each packet that leaves the tunnel is told with the message that it was in, and
// no packet is with a message that is sent.
func TestHalfAgainstExact(t *testing.T) {
	s := newSite(t)
	s.bothKernel(t)
	k, p := watch(t, s.K, probe.LevelExact), watch(t, s.P, probe.LevelExact)
	half := watch(t, s.P, probe.LevelHalf)
	s.transfer(t, "10.7.0.2:5001", transferred)
	s.between(t, k, p)
	last := p.last(probe.SeamTUNWrite)
	half.await(t, "the last packet out of the tunnel", func(e *probe.Event) bool {
		return e.Seam == probe.SeamTUNWrite && e.Receiver == last.Receiver && e.Counter == last.Counter
	})
	compare(t, "out of the tunnel", last.Receiver, p.messages(probe.SeamTUNWrite), half.messages(probe.SeamTUNWrite))
	for m, in := range half.messages(probe.SeamUDPReceive) {
		if p.messages(probe.SeamUDPReceive)[m] != in {
			t.Errorf("received index %x counter %d: %s", m.index, m.counter, in)
		}
	}
	for i := range half.all {
		if e := &half.all[i]; e.Seam == probe.SeamUDPSend && e.InnerLen != 0 {
			t.Errorf("it is told what was sent: %s", content(e))
		}
	}
	half.nothingLost(t)
	if t.Failed() {
		t.Logf("\n%s\n\n%s", p.text(), half.text())
	}
}
