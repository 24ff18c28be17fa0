package transit

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"sync"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"
	"golang.zx2c4.com/wireguard/tun"

	"github.com/wgnode/wgnode/node/internal/proxy"
	"github.com/wgnode/wgnode/probe"
	"github.com/wgnode/wgnode/probe/patience"
	"github.com/wgnode/wgnode/tunnel/netstack"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// bed is a peer's stack, joined to one that routes. Hosts beyond it are ports of
// this host's loopback.
type bed struct {
	t    *testing.T
	peer *netstack.Net
	end  context.CancelFunc

	mu     sync.Mutex
	hosts  map[string]string // guarded by mu: what the addresses beyond are here
	events []probe.Event     // guarded by mu
	dialed []net.Addr        // guarded by mu: the own ends of sockets
	fails  map[string]error  // guarded by mu
}

func newBed(t *testing.T, o proxy.Options) *bed {
	t.Helper()
	devA, peer, err := netstack.New([]netip.Addr{netip.MustParseAddr("10.0.0.1"), netip.MustParseAddr("fd00::1")}, 1420)
	if err != nil {
		t.Fatal(err)
	}
	devB, router, err := netstack.New([]netip.Addr{netip.MustParseAddr("10.0.0.2"), netip.MustParseAddr("fd00::2")}, 1420)
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	wg.Go(func() { pump(devA, devB) })
	wg.Go(func() { pump(devB, devA) })
	ctx, end := context.WithCancel(context.Background())
	b := &bed{t: t, peer: peer, end: end, hosts: make(map[string]string), fails: make(map[string]error)}
	rules := Rules{{Prefix: netip.MustParsePrefix("192.0.2.0/24")}, {Prefix: netip.MustParsePrefix("2001:db8::/32")}}
	r, err := open(router, rules, b.record, o, b.dial)
	if err != nil {
		t.Fatal(err)
	}
	wg.Go(func() {
		if err := r.Serve(ctx); err != nil {
			t.Error(err)
		}
		_ = devA.Close()
		_ = devB.Close()
	})
	t.Cleanup(func() {
		end()
		wg.Wait()
	})
	return b
}

func pump(from, to tun.Device) {
	bufs, sizes := make([][]byte, from.BatchSize()), make([]int, from.BatchSize())
	for i := range bufs {
		bufs[i] = make([]byte, 65535)
	}
	for {
		n, err := from.Read(bufs, sizes, 0)
		if err != nil {
			return
		}
		out := make([][]byte, n)
		for i := range out {
			out[i] = bufs[i][:sizes[i]]
		}
		_, _ = to.Write(out, 0) // fails when it is over
	}
}

func (b *bed) record(e *probe.Event) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.events = append(b.events, *e)
}

func (b *bed) dial(ctx context.Context, network, address string) (net.Conn, error) {
	b.mu.Lock()
	host, err := b.hosts[network+" "+address], b.fails[address]
	b.mu.Unlock()
	if err != nil {
		return nil, err
	}
	var d net.Dialer
	c, err := d.DialContext(ctx, network, host)
	if err == nil {
		b.mu.Lock()
		b.dialed = append(b.dialed, c.LocalAddr())
		b.mu.Unlock()
	}
	return c, err
}

// listen has a TCP server at an address beyond the router.
func (b *bed) listen(address string, handle func(*net.TCPConn)) {
	b.t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.t.Fatal(err)
	}
	b.mu.Lock()
	b.hosts["tcp "+address] = l.Addr().String()
	b.mu.Unlock()
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			wg.Go(func() {
				defer c.Close()
				handle(c.(*net.TCPConn))
			})
		}
	})
	b.t.Cleanup(func() {
		_ = l.Close()
		b.end() // which ends the connections
		wg.Wait()
	})
}

func (b *bed) connect(address string) *netstack.Conn {
	b.t.Helper()
	ctx := patience.Context(b.t)
	c, err := b.peer.DialContext(ctx, "tcp", address)
	if err != nil {
		b.t.Fatal(err)
	}
	if err := c.SetDeadline(patience.Deadline()); err != nil {
		b.t.Fatal(err)
	}
	return c.(*netstack.Conn)
}

// await waits for something that others bring about.
func (b *bed) await(what string, done func() bool) {
	b.t.Helper()
	patience.Until(b.t, what, done)
}

// Ends, resets and refusals pass as they are.
func TestConnections(t *testing.T) {
	b := newBed(t, proxy.Options{})
	ended := make(chan error, 1)
	b.listen("192.0.2.1:80", func(c *net.TCPConn) {
		got, err := io.ReadAll(c) // until the peer's end
		_, _ = c.Write(append([]byte("got "), got...))
		ended <- err
	})
	c := b.connect("192.0.2.1:80")
	defer c.Close()
	if _, err := c.Write([]byte("hello")); err != nil {
		t.Fatal(err)
	}
	if err := c.CloseWrite(); err != nil {
		t.Fatal(err)
	}
	if got, err := io.ReadAll(c); string(got) != "got hello" || err != nil {
		t.Errorf("%q, %v", got, err)
	}
	if err := <-ended; err != nil {
		t.Error(err)
	}

	b.listen("[2001:db8::1]:80", func(c *net.TCPConn) {
		_, _ = c.Read(make([]byte, 1))
		_ = c.SetLinger(0)
	})
	c = b.connect("[2001:db8::1]:80")
	defer c.Close()
	if _, err := c.Write([]byte("x")); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Read(make([]byte, 1)); !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("after a reset: %v", err)
	}

	// A client that vanishes: its kernel resets.
	gone := make(chan error, 1)
	b.listen("192.0.2.1:81", func(c *net.TCPConn) {
		_, err := c.Read(make([]byte, 1))
		gone <- err
	})
	c = b.connect("192.0.2.1:81")
	if err := errors.Join(c.SetLinger(0), c.Close()); err != nil {
		t.Fatal(err)
	}
	if err := <-gone; !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("the far side of a client that has gone: %v", err)
	}

	b.mu.Lock()
	b.fails["192.0.2.9:1"], b.fails["192.0.2.9:2"] = syscall.ECONNREFUSED, syscall.EHOSTUNREACH
	b.fails["192.0.2.9:3"] = &net.OpError{Op: "dial", Err: syscall.ENETUNREACH}
	b.mu.Unlock()
	for address, want := range map[string]syscall.Errno{"192.0.2.9:1": syscall.ECONNREFUSED, "192.0.2.9:2": syscall.EHOSTUNREACH,
		"192.0.2.9:3": syscall.ENETUNREACH, "198.51.100.1:80": syscall.EHOSTUNREACH, "127.0.0.1:80": 0} {
		ctx, cancel := context.WithTimeout(t.Context(), patience.Limit())
		if want == 0 { // of loopback nothing is said
			ctx, cancel = context.WithTimeout(t.Context(), 100*time.Millisecond)
		}
		_, err := b.peer.DialContext(ctx, "tcp", address)
		cancel()
		if err == nil || want != 0 && !errors.Is(err, want) {
			t.Errorf("%s: %v, want %v", address, err, want)
		}
	}
	b.wantEvents(t, "B5 192.0.2.1:80 0", "B6 192.0.2.1:80 0", "B5 [2001:db8::1]:80 0", "B5 192.0.2.9:1 0", "B6 192.0.2.9:1 4",
		"B6 192.0.2.9:2 icmp-host-unreachable0", "B5 192.0.2.9:3 icmp-net-unreachable0", "B5 198.51.100.1:80 icmp-prohibited0")
}

// wantEvents wants the events of packets of connections: "CHECKPOINT TARGET REASON", with
// the flag that resets behind it.
func (b *bed) wantEvents(t *testing.T, wanted ...string) {
	t.Helper()
	b.mu.Lock()
	defer b.mu.Unlock()
	seen := make(map[string]bool)
	for i := range b.events {
		e := &b.events[i]
		src, dst := e.Inner()
		if e.Checkpoint == probe.B6 && !e.Dropped() {
			src, dst = dst, src
		}
		seen[fmt.Sprintf("%s %s %s%d", e.Checkpoint, dst, e.Reason, e.Info&probe.TCPRst)] = true
		if src.Addr() != netip.MustParseAddr("10.0.0.1") && src.Addr() != netip.MustParseAddr("fd00::1") {
			t.Errorf("%s of %s > %s", e.Checkpoint, src, dst)
		}
	}
	for _, want := range wanted {
		if !seen[want] {
			t.Errorf("no event %q in %v", want, seen)
		}
	}
}

// A thousand connections at once are a thousand, and none is left when it ends.
func TestManyConnections(t *testing.T) {
	b := newBed(t, proxy.Options{})
	b.listen("192.0.2.1:80", func(c *net.TCPConn) { _, _ = io.Copy(c, c) })
	n := 1000
	if testing.Short() {
		n = 200
	}
	var wg sync.WaitGroup
	all := make(chan struct{})
	var here sync.WaitGroup
	here.Add(n)
	for i := range n {
		wg.Go(func() {
			ctx, cancel := context.WithTimeout(context.Background(), patience.Limit())
			defer cancel()
			c, err := b.peer.DialContext(ctx, "tcp", "192.0.2.1:80")
			here.Done()
			if err != nil {
				t.Errorf("connection %d: %v", i, err)
				return
			}
			defer c.Close()
			<-all // nobody ends before all are there
			text := fmt.Sprint("this is connection ", i)
			if _, err := io.WriteString(c, text); err != nil {
				t.Error(err)
			}
			got := make([]byte, len(text))
			if _, err := io.ReadFull(c, got); string(got) != text {
				t.Errorf("connection %d: %q, %v", i, got, err)
			}
		})
	}
	here.Wait()
	close(all)
	wg.Wait()
}
