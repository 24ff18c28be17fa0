package tundev_test

import (
	"encoding/hex"
	"fmt"
	"net/netip"
	"testing"

	"golang.zx2c4.com/wireguard/conn"
	"golang.zx2c4.com/wireguard/device"
	"golang.zx2c4.com/wireguard/tun"

	"github.com/wgnode/wgnode/node/lab"
	"github.com/wgnode/wgnode/probe/key"
	"github.com/wgnode/wgnode/tunnel"
	"github.com/wgnode/wgnode/tunnel/tundev"
	"github.com/wgnode/wgnode/tunnel/udp"
)

// side is one end of a tunnel: a host with a WireGuard device and a wire into
// its interface.
type side struct {
	host *lab.Host
	wire *tundev.Wire
}

// TestDeliversWhatWasSent sends random packets and super packets through two
// nodes, of which one or both may be wireguard-go with its own TUN device and
// bind, and looks at what arrives: every packet, byte for byte, each flow's in
// order.
//
//	wire -> wg0 A eth0 ------ eth0 B wg0 -> wire
//
// wireguard-go joins some packets that ours must not, so that it gets ordinary
// traffic only.
func TestDeliversWhatWasSent(t *testing.T) {
	if testing.Short() {
		t.Skip("moves packets through the kernel; not with -short")
	}
	for i, test := range []struct {
		from, to string
		mtu      int
		unusual  bool
	}{
		{from: "ours", to: "ours", mtu: 1420, unusual: true},
		{from: "ours", to: "ours", mtu: 1280, unusual: true},
		{from: "ours", to: "ours", mtu: 9000, unusual: true},
		{from: "ours", to: "ours", mtu: 60000, unusual: true},
		{from: "wireguard-go", to: "ours", mtu: 1420, unusual: true},
		{from: "wireguard-go", to: "ours", mtu: 9000, unusual: true},
		{from: "ours", to: "wireguard-go", mtu: 1280},
		{from: "ours", to: "wireguard-go", mtu: 9000},
		{from: "wireguard-go", to: "wireguard-go", mtu: 1420},
		{from: "ours", to: "ours", mtu: 1420},
	} {
		t.Run(fmt.Sprintf("%s to %s, MTU %d, unusual %v", test.from, test.to, test.mtu, test.unusual), func(t *testing.T) {
			t.Parallel()
			l := lab.New(t)
			a, b := side{host: l.Host("A")}, side{host: l.Host("B")}
			l.Link(a.host.End("eth0", "10.9.0.1/24"), b.host.End("eth0", "10.9.0.2/24"))
			for _, s := range []side{a, b} {
				s.host.Run("ip", "link", "set", "eth0", "mtu", "65535")
			}
			keyA, keyB := key.GeneratePrivate(), key.GeneratePrivate()
			b.start(t, test.to, test.mtu, keyB, keyA.Public(), netip.AddrPort{})
			a.start(t, test.from, test.mtu, keyA, keyB.Public(), netip.MustParseAddrPort("10.9.0.2:51820"))
			gen := tundev.NewTraffic(uint64(i), test.mtu, test.unusual)
			sent, got := 0, 0
			for range 40 {
				want := a.send(t, gen)
				have := b.receive(t, len(want))
				compare(t, want, have)
				sent, got = sent+len(want), got+len(have)
			}
			t.Logf("%d packets sent, %d came in %d super packets and single ones", sent, got, b.wire.Messages)
			if b.wire.Messages > got*9/10 {
				t.Error("hardly any packets were joined")
			}
		})
	}
}

// start makes the interface and the wire.
func (s *side) start(t *testing.T, kind string, mtu int, own key.Private, peer key.Public, endpoint netip.AddrPort) {
	t.Helper()
	all := []netip.Prefix{netip.MustParsePrefix("0.0.0.0/0"), netip.MustParsePrefix("::/0")}
	var closeDevice func()
	err := s.host.Do(func() error {
		if kind == "ours" {
			dev, err := tundev.Create("wg0", mtu)
			if err != nil {
				return err
			}
			if f, ok := dev.(*tundev.Fallback); ok {
				return f.Cause
			}
			tn, err := tunnel.New(dev, udp.New(udp.Options{}), tunnel.Options{})
			if err != nil {
				return err
			}
			closeDevice = tn.Close
			if err := tn.Configure(tunnel.Config{PrivateKey: own, ListenPort: 51820,
				Peers: []tunnel.PeerConfig{{PublicKey: peer, AllowedIPs: all, Endpoint: endpoint}}}); err != nil {
				return err
			}
			return tn.Up()
		}
		dev, err := tun.CreateTUN("wg0", mtu)
		if err != nil {
			return err
		}
		d := device.NewDevice(newQuiet(dev), conn.NewDefaultBind(), device.NewLogger(device.LogLevelSilent, ""))
		closeDevice = d.Close
		text := fmt.Sprintf("private_key=%s\nlisten_port=51820\npublic_key=%s\nallowed_ip=0.0.0.0/0\nallowed_ip=::/0\n",
			hex.EncodeToString(own[:]), hex.EncodeToString(peer[:]))
		if endpoint.IsValid() {
			text += fmt.Sprintf("endpoint=%v\n", endpoint)
		}
		if err := d.IpcSet(text); err != nil {
			return err
		}
		return d.Up()
	})
	if closeDevice != nil {
		t.Cleanup(closeDevice)
	}
	if err == nil {
		s.host.Run("ip", "link", "set", "wg0", "up")
		err = s.host.Do(func() (err error) {
			s.wire, err = tundev.OpenWire("wg0")
			return err
		})
	}
	if err != nil {
		t.Fatalf("%s: %v", s.host.Name(), err)
	}
	t.Cleanup(s.wire.Close)
}

// quiet has no events. wireguard-go's device announces that it is up at once,
// and the sockets would be opened by another thread, in another host.
type quiet struct {
	tun.Device
	events chan tun.Event
}

func newQuiet(dev tun.Device) quiet {
	q := quiet{dev, make(chan tun.Event)}
	go func() {
		defer close(q.events)
		for range dev.Events() {
		}
	}()
	return q
}

func (q quiet) Events() <-chan tun.Event { return q.events }

// send sends some messages and returns the packets in them.
func (s *side) send(t *testing.T, gen *tundev.Traffic) (sent [][]byte) {
	t.Helper()
	for len(sent) < 100 {
		msg, pkts := gen.Message()
		if err := s.wire.Send(msg); err != nil {
			t.Fatalf("send %d bytes: %v", len(msg), err)
		}
		sent = append(sent, pkts...)
	}
	return sent
}

// receive waits for n packets.
func (s *side) receive(t *testing.T, n int) (got [][]byte) {
	t.Helper()
	for len(got) < n {
		pkts, err := s.wire.Receive()
		if err != nil {
			t.Fatalf("after %d of %d packets: %v", len(got), n, err)
		}
		got = append(got, pkts...)
	}
	return got
}

// compare compares flow by flow; each has a destination of its own.
func compare(t *testing.T, want, have [][]byte) {
	t.Helper()
	queues := make(map[string][][]byte)
	for _, p := range have {
		queues[tundev.Addresses(p)] = append(queues[tundev.Addresses(p)], p)
	}
	for i, p := range want {
		q := queues[tundev.Addresses(p)]
		if len(q) == 0 {
			t.Fatalf("packet %d of %d bytes is missing: %x", i, len(p), p[:min(80, len(p))])
		}
		if !tundev.SameButAtomicID(p, q[0]) {
			n := 0
			for n < min(len(p), len(q[0])) && p[n] == q[0][n] {
				n++
			}
			t.Fatalf("packet %d of %d bytes, at %d:\n%x came as %d bytes:\n%x", i, len(p), n, p[:min(80, len(p))], len(q[0]),
				q[0][:min(80, len(q[0]))])
		}
		queues[tundev.Addresses(p)] = q[1:]
	}
}
