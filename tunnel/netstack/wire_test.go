package netstack_test

import (
	"net/netip"
	"sync"
	"testing"

	"go.uber.org/goleak"
	"golang.zx2c4.com/wireguard/tun"

	"github.com/wgnode/wgnode/tunnel/netstack"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	wireMTU  = 1420
	headroom = 16 // before each packet, as the WireGuard device has it
)

var (
	a4, a6 = netip.MustParseAddr("10.0.0.1"), netip.MustParseAddr("fd00::1")
	b4, b6 = netip.MustParseAddr("10.0.0.2"), netip.MustParseAddr("fd00::2")
)

// wire joins two stacks. Each packet is given to between, if that is not nil,
// which returns what goes on, and what goes back to the sender; nil for nothing.
func wire(t *testing.T, between func(from string, pkt []byte) (on, back []byte)) (a, b *netstack.Net) {
	t.Helper()
	devA, a, err := netstack.New([]netip.Addr{a4, a6}, wireMTU)
	if err != nil {
		t.Fatal(err)
	}
	devB, b, err := netstack.New([]netip.Addr{b4, b6, netip.MustParseAddr("10.0.1.2")}, wireMTU)
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	wg.Go(func() { pump(t, "a", devA, devB, between) })
	wg.Go(func() { pump(t, "b", devB, devA, between) })
	t.Cleanup(func() {
		_ = devA.Close()
		_ = devB.Close()
		wg.Wait()
	})
	return a, b
}

func pump(t *testing.T, name string, from, to tun.Device, between func(string, []byte) (on, back []byte)) {
	n := from.BatchSize()
	bufs, sizes := make([][]byte, n), make([]int, n)
	for i := range bufs {
		bufs[i] = make([]byte, 65535)
	}
	framed := func(pkt []byte) []byte { return append(make([]byte, headroom), pkt...) }
	for {
		k, err := from.Read(bufs, sizes, headroom)
		if err != nil {
			return
		}
		var on, back [][]byte
		for i := range k {
			pkt := bufs[i][headroom : headroom+sizes[i]]
			if len(pkt) > wireMTU {
				t.Errorf("%s sends %d bytes", name, len(pkt))
			}
			if between == nil {
				on = append(on, bufs[i][:headroom+sizes[i]])
				continue
			}
			o, b := between(name, pkt)
			if o != nil {
				on = append(on, framed(o))
			}
			if b != nil {
				back = append(back, framed(b))
			}
		}
		// They fail only when it is over.
		if len(on) > 0 {
			_, _ = to.Write(on, headroom)
		}
		if len(back) > 0 {
			_, _ = from.Write(back, headroom)
		}
	}
}
