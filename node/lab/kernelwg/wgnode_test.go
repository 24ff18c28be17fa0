//go:build linux

package kernelwg

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/wgnode/wgnode/node/lab"
	"github.com/wgnode/wgnode/probe"
	"github.com/wgnode/wgnode/probe/recording"
)

// withWgnode brings the tunnel up with the kernel's WireGuard on K and wgnode on P.
func (s *site) withWgnode(t testing.TB) {
	t.Helper()
	kernel(t, s.K, lab.Tunnel{Name: "wg0", Conf: conf(s.keyK, s.keyP, "192.0.2.2:51820", "10.7.0.2/32, fd07::2/128"),
		Addrs: []string{"10.7.0.1/24", "fd07::1/64"}})
	s.P.WriteFile("/etc/wireguard/wg0.conf", fmt.Sprintf("[Interface]\nPrivateKey = %s\nListenPort = 51820\n"+
		"Address = 10.7.0.2/24, fd07::2/64\n[Peer]\nPublicKey = %s\nAllowedIPs = 10.7.0.1/32, fd07::1/128\n",
		s.keyP.Private, s.keyK.Public), 0o600)
	s.P.Run(lab.Wgnode(t), "up", "wg0")
}

// record records wgnode's events on P; the function that it returns ends that, and returns them.
func (s *site) record(t *testing.T) (end func() []probe.Event) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "p.pcapng")
	p := s.P.Start(lab.Wgnode(t), "record", "wg0", "-w", path)
	p.WaitOutput(t.Context(), "recording wg0")
	return func() (all []probe.Event) {
		t.Helper()
		p.Signal(syscall.SIGINT)
		if err := p.Wait(); err != nil {
			t.Fatalf("record: %v\n%s", err, p.Output())
		}
		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		r, err := recording.NewReader(bytes.NewReader(b))
		if err != nil {
			t.Fatal(err)
		}
		for {
			packet, err := r.Next()
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				t.Fatal(err)
			}
			all = append(all, packet.Event)
		}
		if loss := r.Loss(); loss != (recording.Loss{}) {
			t.Errorf("the recording lacks some: %+v", loss)
		}
		return all
	}
}

// The kernel's WireGuard and wgnode tell the same of every message between them.
func TestKernelAgainstWgnode(t *testing.T) {
	s := newSite(t)
	s.withWgnode(t)
	k := watch(t, s.K, probe.LevelExact)
	end := s.record(t)
	s.transfer(t, "10.7.0.2:5001", transferred)
	s.newSession(t)
	s.transfer(t, "[fd07::2]:5001", transferred)
	s.K.Run("ping", "-c1", "-W60", "-s", "77", "10.7.0.2")
	k.await(t, "the reply in the tunnel", func(e *probe.Event) bool {
		_, reply := e.ICMPEcho()
		return reply && e.InnerLen == 77+28 && e.Checkpoint == probe.A6
	})
	p := &watched{all: end()}
	// P may have sent more after that: the end of a connection.
	last := message{index: p.last(probe.SeamUDPSend).Receiver}
	for m := range p.messages(probe.SeamUDPSend) {
		if m.index == last.index {
			last.counter = max(last.counter, m.counter)
		}
	}
	if _, seen := k.messages(probe.SeamTUNWrite)[last]; !seen {
		k.await(t, "the last message of P", func(e *probe.Event) bool {
			return e.Seam == probe.SeamTUNWrite && e.Receiver == last.index && e.Counter == last.counter
		})
	}
	compare(t, "K to P", k.last(probe.SeamUDPSend).Receiver, k.messages(probe.SeamUDPSend), p.messages(probe.SeamTUNWrite))
	compare(t, "P to K", p.last(probe.SeamUDPSend).Receiver, p.messages(probe.SeamUDPSend), k.messages(probe.SeamTUNWrite))
	k.nothingLost(t)
	if t.Failed() {
		t.Logf("\n%s\n\n%s", k.text(), p.text())
	}
}
