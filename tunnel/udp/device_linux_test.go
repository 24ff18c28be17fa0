package udp

import (
	"bytes"
	"crypto/ecdh"
	"crypto/rand"
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"golang.zx2c4.com/wireguard/device"
	"golang.zx2c4.com/wireguard/tun/tuntest"

	"github.com/wgnode/wgnode/probe/patience"
)

// tunnelEnd is a WireGuard device over a Bind.
type tunnelEnd struct {
	tun  *tuntest.ChannelTUN
	dev  *device.Device
	key  *ecdh.PrivateKey
	icmp chan ICMPError
}

func newTunnelEnd(t *testing.T) *tunnelEnd {
	t.Helper()
	key, err := ecdh.X25519().GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	e := &tunnelEnd{tun: tuntest.NewChannelTUN(), key: key, icmp: make(chan ICMPError, 1000)}
	b := New(Options{OnICMP: func(err ICMPError) { e.icmp <- err }})
	e.dev = device.NewDevice(e.tun.TUN(), b, &device.Logger{
		Verbosef: device.DiscardLogf,
		Errorf:   t.Logf,
	})
	t.Cleanup(e.dev.Close)
	e.set(t, "private_key=%x\nlisten_port=0", key.Bytes())
	if err := e.dev.Up(); err != nil {
		t.Fatal(err)
	}
	return e
}

func (e *tunnelEnd) set(t *testing.T, format string, args ...any) {
	t.Helper()
	if err := e.dev.IpcSet(fmt.Sprintf(format, args...) + "\n"); err != nil {
		t.Fatal(err)
	}
}

func (e *tunnelEnd) port(t *testing.T) string {
	t.Helper()
	state, err := e.dev.IpcGet()
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(state) {
		if port, ok := strings.CutPrefix(line, "listen_port="); ok {
			return strings.TrimSpace(port)
		}
	}
	t.Fatal("the device names no port")
	return ""
}

// ping sends a packet in at one end and expects it at the other.
func ping(t *testing.T, from, to *tunnelEnd, src, dst string) {
	t.Helper()
	msg := tuntest.Ping(netip.MustParseAddr(dst), netip.MustParseAddr(src))
	from.tun.Outbound <- msg
	select {
	case got := <-to.tun.Inbound:
		if !bytes.Equal(got, msg) {
			t.Errorf("the ping from %s to %s arrived changed", src, dst)
		}
	case <-patience.After():
		t.Fatalf("the ping from %s to %s was lost", src, dst)
	}
}

// Whatever ICMP says, the device's receive loops go on: it gives one up after
// ten errors.
func TestDevice(t *testing.T) {
	for _, family := range families {
		t.Run(family.name, func(t *testing.T) {
			a, b := newTunnelEnd(t), newTunnelEnd(t)
			deadKey, err := ecdh.X25519().GenerateKey(rand.Reader)
			if err != nil {
				t.Fatal(err)
			}
			dead := netip.AddrPortFrom(netip.MustParseAddr(family.addr), closedPort(t))
			host := strings.TrimSuffix(netip.AddrPortFrom(netip.MustParseAddr(family.addr), 0).String(), "0")
			a.set(t, "public_key=%x\nallowed_ip=1.0.0.2/32\nendpoint=%s", b.key.PublicKey().Bytes(), host+b.port(t))
			b.set(t, "public_key=%x\nallowed_ip=1.0.0.1/32", a.key.PublicKey().Bytes())

			ping(t, a, b, "1.0.0.1", "1.0.0.2")
			// Each new peer with a keepalive starts a handshake, which
			// the closed port refuses.
			for range 15 {
				a.set(t, "public_key=%x\nremove=true", deadKey.PublicKey().Bytes())
				a.set(t, "public_key=%x\nendpoint=%s\npersistent_keepalive_interval=1", deadKey.PublicKey().Bytes(), dead)
				select {
				case e := <-a.icmp:
					if e.Dst != dead {
						t.Errorf("got an error about %v, want about %v", e.Dst, dead)
					}
				case <-patience.After():
					t.Fatal("no error about the closed port")
				}
			}
			ping(t, b, a, "1.0.0.2", "1.0.0.1")
			ping(t, a, b, "1.0.0.1", "1.0.0.2")

			// And through new sockets.
			b.set(t, "listen_port=0")
			if err := b.dev.BindUpdate(); err != nil {
				t.Fatal(err)
			}
			ping(t, b, a, "1.0.0.2", "1.0.0.1")
			ping(t, a, b, "1.0.0.1", "1.0.0.2")
		})
	}
}
