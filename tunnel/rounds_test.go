package tunnel

import (
	"net/netip"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"golang.zx2c4.com/wireguard/conn"
	"golang.zx2c4.com/wireguard/conn/bindtest"

	"github.com/wgnode/wgnode/probe"
	"github.com/wgnode/wgnode/probe/key"
	"github.com/wgnode/wgnode/tunnel/internal/account"
	"github.com/wgnode/wgnode/tunnel/internal/tunneltest"
)

// memBind is a UDP bind in memory that remembers what was sent last.
type memBind struct {
	conn.Bind
	mu   sync.Mutex
	last []byte        // guarded by mu
	to   conn.Endpoint // guarded by mu
}

func (b *memBind) Send(bufs [][]byte, ep conn.Endpoint) error {
	b.mu.Lock()
	b.last, b.to = slices.Clone(bufs[len(bufs)-1]), ep
	b.mu.Unlock()
	return b.Bind.Send(bufs, ep)
}

// again sends what was sent last once more.
func (b *memBind) again(t *testing.T) {
	t.Helper()
	b.mu.Lock()
	defer b.mu.Unlock()
	if err := b.Bind.Send([][]byte{b.last}, b.to); err != nil {
		t.Fatal(err)
	}
}

// memPair makes two tunnels that need nothing of the host, so that they may live in a
// bubble of synctest, where time passes when all wait.
func memPair(t *testing.T) (a, b *end, from *memBind) {
	t.Helper()
	binds := bindtest.NewChannelBinds()
	from = &memBind{Bind: binds[0]}
	ends := [2]*end{}
	for i, bind := range []conn.Bind{from, &memBind{Bind: binds[1]}} {
		dev := tunneltest.NewTUN()
		tn, err := New(dev, bind, Options{RecorderBytes: 1 << 20})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(tn.Close)
		ends[i] = &end{Tunnel: tn, tun: dev, key: key.GeneratePrivate(), addr: netip.AddrFrom4([4]byte{10, 0, 0, byte(i + 1)})}
	}
	a, b = ends[0], ends[1]
	b.start(t, b.configFor(a))
	ca := a.configFor(b)
	ca.Peers[0].Endpoint = netip.MustParseAddrPort("127.0.0.1:1")
	a.start(t, ca)
	return a, b, from
}

// worked is how many rounds the accountant has made. It is to be asked when all sleep.
func (e *end) worked() int {
	synctest.Wait()
	return int(e.watch.Accountant.Worked())
}

// inTime lets d pass.
func inTime(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

// While nothing passes the accountant does nothing; and before it sleeps it has found out
// what became of the last packet, also if no other comes that would show it.
func TestAccountantSleeps(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b, wire := memPair(t)
		rests := func(what string) {
			t.Helper()
			inTime(5 * time.Second)
			for _, e := range []*end{a, b} {
				before := e.worked()
				inTime(time.Hour)
				// The device renews sessions and says that it is there, for a while.
				if n := e.worked() - before; n > 50 {
					t.Errorf("%s: %d rounds in an hour", what, n)
				}
				if !e.watch.Accountant.Asleep() {
					t.Errorf("%s: the accountant is awake", what)
				}
			}
		}
		rests("before the first packet")
		a.send(tunneltest.UDP4(a.addr, b.addr, 1, 1, 8))
		b.receive(t)
		inTime(3 * account.Every)
		wire.again(t)
		inTime(2 * time.Second)
		if n := b.PeerState(1).Drops[probe.Replayed]; n != 1 {
			t.Errorf("2 s after the last packet: %d replayed, want 1", n)
		}
		rests("after traffic")
		for range 3 { // nobody answers any more: they wait, and are discarded in the end
			if err := b.Down(); err != nil {
				t.Fatal(err)
			}
			a.send(tunneltest.UDP4(a.addr, b.addr, 2, 2, 8))
		}
		inTime(10 * time.Second)
		before := a.worked()
		inTime(4 * time.Second)
		if n := a.worked() - before; n > 10 {
			t.Errorf("%d rounds in 4 s with three packets that wait", n)
		}
		inTime(2 * time.Minute)
		if s := a.PeerState(1); s.Drops[probe.HandshakeGaveUp] != 3 || s.Waiting != 0 {
			t.Errorf("after the device gave up: %d wait, drops %v", s.Waiting, s.Drops)
		}
		rests("after the device gave up")
	})
}

// The word that seams and accountant share loses no packet, wherever one comes in the
// other's way.
func TestNothingIsSleptOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b, wire := memPair(t)
		a.send(tunneltest.UDP4(a.addr, b.addr, 1, 1, 8))
		b.receive(t)
		for i := range 200 { // at every moment of a round, of falling asleep and of waking
			wire.again(t)
			inTime(time.Duration(i%37) * account.Every / 12)
		}
		inTime(2 * time.Second)
		if n := b.PeerState(1).Drops[probe.Replayed]; n != 200 {
			t.Errorf("%d replayed, want 200: drops %v", n, b.PeerState(1).Drops)
		}
	})
}

// What the first packet after a suspend is recorded with is the time at which it came.
func TestFirstPacketAfterSuspend(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b, _ := memPair(t)
		inTime(time.Second)
		a.m.Clock.Read = func(base time.Time) (int64, int64) {
			now := time.Now()
			return now.Add(8 * time.Hour).UnixNano(), int64(now.Sub(base))
		}
		a.send(tunneltest.UDP4(a.addr, b.addr, 1, 1, 8))
		b.receive(t)
		var e probe.Event
		a.rec.Scan(probe.LaneTUNRead, func(got *probe.Event) bool { e = *got; return true })
		if off := e.When().Sub(time.Now().Add(8 * time.Hour)).Abs(); off > time.Minute {
			t.Errorf("%v off", off)
		}
	})
}
