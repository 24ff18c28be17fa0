package netstack_test

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/netip"
	"os"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/net/nettest"

	"github.com/wgnode/wgnode/probe/patience"
	"github.com/wgnode/wgnode/tunnel/netstack"
)

// Connections are what package net promises.
func TestConn(t *testing.T) {
	for _, to := range []netip.Addr{b4, b6} {
		nettest.TestConn(t, func() (net.Conn, net.Conn, func(), error) {
			a, b := wire(t, nil)
			l, err := b.Listen("tcp", ":80")
			if err != nil {
				return nil, nil, nil, err
			}
			c1, err := a.DialContext(t.Context(), "tcp", netip.AddrPortFrom(to, 80).String())
			if err != nil {
				return nil, nil, nil, err
			}
			c2, err := l.Accept()
			return c1, c2, func() {
				_, _, _ = c1.Close(), c2.Close(), l.Close()
			}, err
		})
	}
}

// sendRandom writes n bytes that depend on seed, ends its direction, and returns
// their sum.
func sendRandom(t *testing.T, c net.Conn, seed uint64, n int) (sum [32]byte) {
	h := sha256.New()
	r := rand.NewChaCha8([32]byte{byte(seed)})
	buf := make([]byte, 100_000)
	for n > 0 {
		b := buf[:min(n, len(buf))]
		_, _ = r.Read(b) // never fails
		h.Write(b)
		if _, err := c.Write(b); err != nil {
			t.Errorf("after all but %d bytes: %v", n, err)
			return sum
		}
		n -= len(b)
	}
	if err := c.(*netstack.Conn).CloseWrite(); err != nil {
		t.Error(err)
	}
	return [32]byte(h.Sum(nil))
}

func sumOf(t *testing.T, r io.Reader) [32]byte {
	h := sha256.New()
	if _, err := io.Copy(h, r); err != nil {
		t.Error(err)
	}
	return [32]byte(h.Sum(nil))
}

// exchange sends n bytes both ways over each of several connections at once, and
// wants them to arrive as they were.
func exchange(t *testing.T, a, b *netstack.Net, to netip.Addr, conns, n int) {
	t.Helper()
	if testing.Short() {
		n /= 5
	}
	l, err := b.Listen("tcp", netip.AddrPortFrom(to, 0).String())
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	var wg sync.WaitGroup
	defer wg.Wait()
	for i := range conns {
		near, err := a.DialContext(t.Context(), "tcp", l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		far, err := l.Accept()
		if err != nil {
			t.Fatal(err)
		}
		wg.Go(func() {
			defer near.Close()
			defer far.Close()
			var sent, got [2][32]byte
			var four sync.WaitGroup
			four.Go(func() { sent[0] = sendRandom(t, near, uint64(2*i), n) })
			four.Go(func() { sent[1] = sendRandom(t, far, uint64(2*i+1), n) })
			four.Go(func() { got[0] = sumOf(t, far) })
			four.Go(func() { got[1] = sumOf(t, near) })
			four.Wait()
			if sent != got {
				t.Errorf("connection %d: what arrived is not what was sent", i)
			}
		})
	}
}

func TestBulk(t *testing.T) {
	a, b := wire(t, nil)
	exchange(t, a, b, b4, 3, 5e6)
	exchange(t, a, b, b6, 3, 5e6)
}

// What is damaged on the way is not taken, also where it comes in a batch.
func TestDamaged(t *testing.T) {
	var mu sync.Mutex
	count := 0
	a, b := wire(t, func(_ string, pkt []byte) (on, back []byte) {
		mu.Lock()
		defer mu.Unlock()
		if count++; count%60 == 0 && len(pkt) > 200 {
			pkt[len(pkt)-rand.IntN(100)-1] ^= 0x10
		}
		return pkt, nil
	})
	exchange(t, a, b, b4, 2, 2e5)
	exchange(t, a, b, b6, 2, 2e5)
}

// A host on the way that takes only smaller packets, and says so, is listened to.
func TestPathMTU(t *testing.T) {
	const narrow = 1280
	var told sync.Map
	a, b := wire(t, func(from string, pkt []byte) (on, back []byte) {
		if len(pkt) <= narrow {
			return pkt, nil
		}
		n, _ := told.LoadOrStore(from, 0)
		told.Store(from, n.(int)+1)
		return nil, tooBig(pkt, narrow)
	})
	exchange(t, a, b, b4, 1, 3e6)
	exchange(t, a, b, b6, 1, 3e6)
	for _, from := range []string{"a", "b"} {
		n, ok := told.Load(from)
		if !ok {
			t.Fatal("nothing was too big")
		}
		// Some 100 that were on their way.
		if n.(int) > 1000 {
			t.Errorf("%s was told %d times", from, n)
		}
	}
}

// What the far side and the network say to an attempt, programs find by number.
func TestRefusals(t *testing.T) {
	codes := make(chan [2]byte, 1)
	a, _ := wire(t, func(from string, pkt []byte) (on, back []byte) {
		if from != "a" {
			return pkt, nil
		}
		select {
		case c := <-codes:
			return nil, icmpError(pkt, c[0], c[1], 0)
		default:
			return pkt, nil
		}
	})
	for _, test := range []struct {
		to         netip.Addr
		icmp, code byte // 0: none
		want       syscall.Errno
	}{
		{to: b4, want: syscall.ECONNREFUSED},
		{to: b6, want: syscall.ECONNREFUSED},
		{to: b4, icmp: 3, want: syscall.ENETUNREACH},
		{to: b4, icmp: 3, code: 1, want: syscall.EHOSTUNREACH},
		{to: b4, icmp: 3, code: 3, want: syscall.ECONNREFUSED},
		{to: b4, icmp: 3, code: 13, want: syscall.EHOSTUNREACH},
		{to: b6, icmp: 1, want: syscall.ENETUNREACH},
		{to: b6, icmp: 1, code: 1, want: syscall.ENETUNREACH}, // prohibited: all that gVisor can tell
		{to: b6, icmp: 1, code: 3, want: syscall.ENETUNREACH},
		{to: b6, icmp: 1, code: 4, want: syscall.ECONNREFUSED},
	} {
		if test.icmp != 0 {
			codes <- [2]byte{test.icmp, test.code}
		}
		_, err := a.DialContext(t.Context(), "tcp", netip.AddrPortFrom(test.to, 81).String())
		if op, ok := errors.AsType[*net.OpError](err); !errors.Is(err, test.want) || !ok || op.Op != "dial" {
			t.Errorf("%s, ICMP %d %d: %v, want %v", test.to, test.icmp, test.code, err, test.want)
		}
	}
	for _, to := range []netip.Addr{b4, b6} {
		c, err := a.DialContext(t.Context(), "udp", netip.AddrPortFrom(to, 81).String())
		if err != nil {
			t.Fatal(err)
		}
		if _, err := c.Write([]byte("hello")); err != nil {
			t.Error(err)
		}
		if _, err := c.Read(make([]byte, 10)); !errors.Is(err, syscall.ECONNREFUSED) {
			t.Errorf("UDP to %s: %v", to, err)
		}
		_ = c.Close()
		if _, err := c.Read(make([]byte, 10)); !errors.Is(err, net.ErrClosed) {
			t.Errorf("after Close: %v", err)
		}
	}
}

// A connection that is closed without lingering is reset, one that is half closed
// is not.
func TestResetAndHalfClose(t *testing.T) {
	a, b := wire(t, nil)
	l, err := b.Listen("tcp4", ":80")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	pair := func() (near, far *netstack.Conn) {
		c, err := a.DialContext(t.Context(), "tcp", "10.0.1.2:80")
		if err != nil {
			t.Fatal(err)
		}
		d, err := l.Accept()
		if err != nil {
			t.Fatal(err)
		}
		return c.(*netstack.Conn), d.(*netstack.Conn)
	}
	near, far := pair()
	if err := errors.Join(near.SetLinger(0), near.Close()); err != nil {
		t.Fatal(err)
	}
	if _, err := far.Read(make([]byte, 1)); !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("after a reset: %v", err)
	}
	if from, to := far.RemoteAddr(), far.LocalAddr(); from == nil || to == nil || near.RemoteAddr().String() != to.String() {
		t.Errorf("it was from %v to %v", from, to)
	}
	_ = far.Close()

	near, far = pair()
	defer near.Close()
	defer far.Close()
	if err := near.CloseWrite(); err != nil {
		t.Fatal(err)
	}
	if n, err := far.Read(make([]byte, 1)); n != 0 || err != io.EOF {
		t.Errorf("after its end: %d bytes, %v", n, err)
	}
	if _, err := far.Write([]byte("x")); err != nil {
		t.Error(err)
	}
	if _, err := io.ReadFull(near, make([]byte, 1)); err != nil {
		t.Error(err)
	}
	if _, err := near.Write([]byte("x")); !errors.Is(err, syscall.EPIPE) {
		t.Errorf("write after its end: %v", err)
	}
}

// What waits in a stack that ends is told.
func TestEnd(t *testing.T) {
	dev, n, err := netstack.New([]netip.Addr{a4}, wireMTU)
	if err != nil {
		t.Fatal(err)
	}
	l, err := n.Listen("tcp", ":80")
	if err != nil {
		t.Fatal(err)
	}
	c, err := n.DialContext(t.Context(), "tcp", "10.0.0.1:80")
	if err != nil {
		t.Fatal(err)
	}
	u, err := n.ListenPacket("udp", ":0")
	if err != nil {
		t.Fatal(err)
	}
	errs := make(chan error, 4)
	wait := func(what string, f func() error) {
		go func() { errs <- fmt.Errorf("%s: %w", what, f()) }()
	}
	wait("accept", func() error { _, _ = l.Accept(); _, err := l.Accept(); return err })
	wait("read", func() error { _, err := c.Read(make([]byte, 1)); return err })
	wait("receive", func() error { _, _, err := u.ReadFrom(make([]byte, 1)); return err })
	wait("dial", func() error { _, err := n.DialContext(context.Background(), "tcp", "10.9.9.9:1"); return err })
	time.Sleep(20 * time.Millisecond) // they would fail as well if they came later
	if err := dev.Close(); err != nil {
		t.Fatal(err)
	}
	for range 4 {
		select {
		case err := <-errs:
			if errors.Unwrap(err) == nil {
				t.Errorf("no error: %v", err)
			}
		case <-patience.After():
			t.Fatal("something still waits")
		}
	}
	if _, err := dev.Read([][]byte{make([]byte, 2000)}, make([]int, 1), 0); !errors.Is(err, os.ErrClosed) {
		t.Errorf("read after Close: %v", err)
	}
}

// The stack answers an echo to each of its addresses.
func TestEcho(t *testing.T) {
	a, _ := wire(t, nil)
	ctx := patience.Context(t)
	for _, to := range []string{"10.0.0.2", "10.0.1.2", "fd00::2"} {
		if err := a.Ping(ctx, netip.MustParseAddr(to), func(uint16) {}); err != nil {
			t.Errorf("%s: %v", to, err)
		}
	}
	short, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if err := a.Ping(short, netip.MustParseAddr("10.0.0.3"), func(uint16) {}); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("nobody: %v", err)
	}
}
