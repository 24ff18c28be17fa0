package mirror

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"strings"
	"testing"

	"golang.zx2c4.com/wireguard/conn"
	"golang.zx2c4.com/wireguard/device"

	"github.com/wgnode/wgnode/probe"
	"github.com/wgnode/wgnode/probe/key"
	"github.com/wgnode/wgnode/tunnel/internal/tunneltest"
)

// The mirror routes as the device says that it does, after any series of
// changes: prefixes of all lengths, IPv4-mapped ones among them, that move
// from peer to peer, are taken away, and go with their peers.
func TestMirrorOfAllowedIPs(t *testing.T) {
	k := newKeeper(t)
	rnd := rand.New(rand.NewPCG(5, 6))
	var keys []key.Public
	for range 6 {
		keys = append(keys, key.GeneratePrivate().Public())
	}
	for round := range 60 {
		var b strings.Builder
		for range 8 {
			fmt.Fprintf(&b, "public_key=%s\n", keys[rnd.IntN(len(keys))].Hex())
			switch rnd.IntN(12) {
			case 0:
				b.WriteString("remove=true\n")
				continue
			case 1:
				b.WriteString("replace_allowed_ips=true\n")
			case 2:
				b.WriteString("update_only=true\n")
			}
			for range 4 {
				minus := ""
				if rnd.IntN(4) == 0 {
					minus = "-"
				}
				fmt.Fprintf(&b, "allowed_ip=%s%s\n", minus, randomPrefix(rnd))
			}
		}
		if err := k.Set(b.String(), false); err != nil {
			t.Fatal(err)
		}
		compareMirror(t, k, rnd)
		if t.Failed() {
			t.Fatalf("round %d, after\n%s", round, b.String())
		}
	}
}

// newKeeper returns one with a device that is down.
func newKeeper(t *testing.T) *Keeper {
	t.Helper()
	rec, err := probe.NewRecorder(probe.MinRecorderBytes)
	if err != nil {
		t.Fatal(err)
	}
	k := NewKeeper(New(rec))
	dev := device.NewDevice(tunneltest.NewIdleTUN(), conn.NewDefaultBind(), device.NewLogger(device.LogLevelSilent, ""))
	t.Cleanup(dev.Close)
	k.Attach(dev)
	return k
}

// randomPrefix is one of few, so that they meet and nest.
func randomPrefix(rnd *rand.Rand) netip.Prefix {
	a := randomAddr(rnd)
	p, _ := a.Prefix([]int{0, 8, 16, 23, 24, 31, 32}[rnd.IntN(7)])
	switch {
	case a.Is4In6():
		p = netip.PrefixFrom(a, 90+rnd.IntN(39)).Masked()
	case a.Is6():
		p, _ = a.Prefix([]int{0, 16, 48, 64, 80, 127, 128}[rnd.IntN(7)])
	}
	return p
}

func randomAddr(rnd *rand.Rand) netip.Addr {
	n, m := byte(rnd.IntN(4)), byte(rnd.IntN(4))
	switch rnd.IntN(3) {
	case 0:
		return netip.AddrFrom4([4]byte{10, 0, n, m})
	case 1:
		return netip.AddrFrom16([16]byte{0: 0xfd, 7: n, 15: m})
	}
	return netip.AddrFrom16([16]byte{10: 0xff, 11: 0xff, 12: 10, 14: n, 15: m})
}

// compareMirror asks the mirror, by way of the cache that the packets use, and
// works out the same from what the device lists.
func compareMirror(t *testing.T, k *Keeper, rnd *rand.Rand) {
	t.Helper()
	s, err := k.Status()
	if err != nil {
		t.Fatal(err)
	}
	cache := RouteCache{From: k.m.Allowed}
	for range 200 {
		a := randomAddr(rnd)
		var want key.Public
		best := -1
		for i := range s.Peers {
			for _, p := range s.Peers[i].AllowedIPs {
				if p.Addr().Is4() == a.Is4() && contains(p, a) && p.Bits() > best {
					want, best = s.Peers[i].PublicKey, p.Bits()
				}
			}
		}
		as := probe.AddrFrom(a)
		for range 2 { // the second time from the cache
			id, bits := cache.Lookup(&as, a.Is6())
			got := k.m.Peers.Get(id)
			if best < 0 && (id != 0 || bits != probe.NoPrefix) || best >= 0 && (got.Key != want || int(bits) != best) {
				t.Errorf("%v: routed to peer %d by /%d, the device lists /%d", a, id, bits, best)
				return
			}
		}
	}
}

// contains is netip's Contains, with IPv4-mapped addresses taken for IPv6 as
// the device does.
func contains(p netip.Prefix, a netip.Addr) bool {
	q, err := a.Prefix(p.Bits())
	if a.Is4In6() {
		b, c := a.As16(), p.Addr().As16()
		for i := range p.Bits() {
			if (b[i/8]^c[i/8])>>(7-i%8)&1 != 0 {
				return false
			}
		}
		return true
	}
	return err == nil && q == p.Masked()
}
