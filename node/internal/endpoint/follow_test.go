package endpoint

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/wgnode/wgnode/node/config"
	"github.com/wgnode/wgnode/probe/key"
	"github.com/wgnode/wgnode/tunnel"
)

const (
	v6Old = "[2001:db8::2]:51820"
	v4Old = "203.0.113.2:51820"
	v4New = "203.0.113.3:51820"
)

// world is a name server, a device with one peer, and what answers where. Its
// device does as the real one: it makes a handshake every 120 s if there is
// traffic, and tries every 5 s until it is answered.
type world struct {
	mu      sync.Mutex
	answers []string // of the name server; none: no such host
	asked   int
	hangs   bool // the name server does not answer at all
	alive   map[string]bool
	traffic bool
	tried   []string // endpoints that initiations went to, each once in a row
	state   tunnel.PeerState
	log     strings.Builder
}

func (w *world) Write(b []byte) (int, error) { // the log
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.log.Write(b)
}

func (w *world) lookup(ctx context.Context, _ string) ([]netip.Addr, error) {
	w.mu.Lock()
	w.asked++
	hangs, answers := w.hangs, w.answers
	w.mu.Unlock()
	if hangs {
		<-ctx.Done()
		return nil, ctx.Err()
	}
	if len(answers) == 0 {
		return nil, errors.New("no such host")
	}
	var addrs []netip.Addr
	for _, a := range answers {
		addrs = append(addrs, netip.MustParseAddrPort(a).Addr())
	}
	return addrs, nil
}

func (w *world) StateOf(key.Public) (tunnel.PeerState, bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.state, true
}

func (w *world) SetEndpoint(_ key.Public, ep netip.AddrPort) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.state.Endpoint = ep
	return nil
}

func (w *world) RenewSession(key.Public) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.initiate()
	return nil
}

func (w *world) InitiateHandshake(k key.Public) error {
	if s, _ := w.StateOf(k); time.Since(s.Initiated) < 5*time.Second {
		return nil
	}
	return w.RenewSession(k)
}

// initiate sends an initiation. The caller holds mu.
func (w *world) initiate() {
	if !w.state.Endpoint.IsValid() {
		return
	}
	now, to := time.Now(), w.state.Endpoint.String()
	w.state.Initiated = now
	if len(w.tried) == 0 || w.tried[len(w.tried)-1] != to {
		w.tried = append(w.tried, to)
	}
	if w.alive[to] {
		w.state.Established, w.state.InitiationPending, w.state.PendingSince = now, false, time.Time{}
		return
	}
	if !w.state.InitiationPending {
		w.state.InitiationPending, w.state.PendingSince = true, now
	}
}

// device is the device's timers.
func (w *world) device(ctx context.Context) {
	for tick := time.NewTicker(5 * time.Second); ; {
		select {
		case <-ctx.Done():
			tick.Stop()
			return
		case <-tick.C:
		}
		w.mu.Lock()
		if w.traffic && time.Since(w.state.Established) >= 120*time.Second {
			w.initiate()
		}
		w.mu.Unlock()
	}
}

// run has a follower look after the peer until the test's bubble ends. Its
// endpoint is first, "" if its name does not resolve at the start.
func (w *world) run(t *testing.T, first string, keepalive uint16) *Follower {
	k := key.GeneratePrivate().Public()
	s := New(&config.Config{Peers: []config.Peer{{PublicKey: k, Name: "hub", Endpoint: "hub.example:51820",
		PersistentKeepalive: keepalive}}}, w.lookup)
	if first != "" {
		w.state.Endpoint = netip.MustParseAddrPort(first)
		s.order[0].addr = w.state.Endpoint
	}
	f := s.Follow(Options{Tunnel: w, Logger: slog.New(slog.NewTextHandler(w, nil)), Reachable: func(netip.Addr) bool { return true }})
	ctx, cancel := context.WithCancel(t.Context())
	var running sync.WaitGroup
	running.Go(func() { w.device(ctx) })
	running.Go(func() {
		if err := f.Run(ctx); err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(func() { cancel(); running.Wait() })
	return f
}

// after lets time pass and returns what the world is like then.
func (w *world) after(d time.Duration) (endpoint string, asked int) {
	time.Sleep(d)
	synctest.Wait()
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.state.Endpoint.String(), w.asked
}

func (w *world) change(f func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	f()
}

// The name gets another address: the tunnel follows, and nobody was asked while
// all was well.
func TestFollows(t *testing.T) {
	for name, keepalive := range map[string]uint16{"keepalive": 25, "traffic": 0} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := &world{answers: []string{v4Old}, alive: map[string]bool{v4Old: true}, traffic: true}
				w.run(t, v4Old, keepalive)
				if at, asked := w.after(time.Hour); at != v4Old || asked != 0 {
					t.Fatalf("a healthy peer is at %s, its name was looked up %d times", at, asked)
				}
				w.change(func() { w.answers, w.alive = []string{v4New}, map[string]bool{v4New: true} })
				// A handshake every 120 s, and 15 s to find that it is not answered.
				at, asked := w.after(150 * time.Second)
				if at != v4New || asked == 0 {
					t.Fatalf("after its name has changed: at %s, looked up %d times", at, asked)
				}
				if s, _ := w.StateOf(key.Public{}); time.Since(s.Established) > 150*time.Second {
					t.Errorf("the latest handshake was %v ago", time.Since(s.Established))
				}
				if _, later := w.after(time.Hour); later != asked {
					t.Errorf("looked up %d times more", later-asked)
				}
				for _, want := range []string{"name=hub.example:51820 old=" + v4Old + " new=" + v4New, `msg="endpoint answers"`, "address=" + v4New} {
					if !strings.Contains(w.log.String(), want) {
						t.Errorf("%q is not in the log:\n%s", want, &w.log)
					}
				}
			})
		})
	}
}

// Of several addresses each gets its turn, and the one that answers stays.
func TestTriesEachAddress(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &world{answers: []string{v6Old, v4Old, v4New}, alive: map[string]bool{v4New: true}, traffic: true}
		w.run(t, v6Old, 25)
		if at, _ := w.after(time.Minute); at != v4New {
			t.Errorf("after a minute at %s", at)
		}
		if at, _ := w.after(time.Hour); at != v4New || fmt.Sprint(w.tried) != fmt.Sprint(w.answers) {
			t.Errorf("at %s, tried %s", at, w.tried)
		}
		// It dies, and the first comes to life.
		w.change(func() { w.alive = map[string]bool{v6Old: true} })
		if at, _ := w.after(4 * time.Minute); at != v6Old {
			t.Errorf("in the end at %s, tried %s", at, w.tried)
		}
	})
}

// The preferred address is dead: the next one is tried after two handshakes without an
// answer, also where the name servers are silent, and the log says why.
func TestFailsOver(t *testing.T) {
	for name, hangs := range map[string]bool{"name servers answer": false, "name servers are silent": true} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := &world{answers: []string{v6Old, v4Old}, alive: map[string]bool{v4Old: true}, traffic: true, hangs: hangs}
				f := w.run(t, v6Old, 25)
				f.set.mu.Lock()
				f.set.order[0].addrs = []netip.AddrPort{netip.MustParseAddrPort(v6Old), netip.MustParseAddrPort(v4Old)}
				f.set.mu.Unlock()
				if at, _ := w.after(18 * time.Second); at != v4Old {
					t.Errorf("at %s, tried %s", at, w.tried)
				}
				if s, _ := w.StateOf(key.Public{}); s.Established.IsZero() {
					t.Error("no handshake")
				}
				if want := "why=\"it does not answer handshakes"; !strings.Contains(w.log.String(), want) {
					t.Errorf("%q is not in the log:\n%s", want, &w.log)
				}
			})
		})
	}
}

// What a start has found of a name is remembered in full.
func TestRemembersAddresses(t *testing.T) {
	w := &world{answers: []string{v6Old, v4Old}}
	k := key.GeneratePrivate().Public()
	cfg := &config.Config{Peers: []config.Peer{{PublicKey: k, Endpoint: "hub.example:51820"}}}
	s := New(cfg, w.lookup)
	s.Resolve(t.Context(), t.Logf)
	next := New(cfg, w.lookup)
	next.Inherit(s)
	if got := fmt.Sprint(next.Addresses(k)); got != fmt.Sprintf("[%s %s]", v6Old, v4Old) {
		t.Errorf("got %s", got)
	}
	if s.note(s.order[0], netip.AddrPort{}, answer{err: errors.New("no answer")}); len(s.Addresses(k)) != 2 {
		t.Error("an error has them forgotten")
	}
}

// Peers that are heard of, or that nobody wants to hear of, are left alone.
func TestLeavesAlone(t *testing.T) {
	for name, test := range map[string]struct {
		alive, traffic bool
		keepalive      uint16
	}{
		"roamed by itself": {true, true, 25},
		"idle":             {false, false, 0},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				const elsewhere = "198.51.100.9:4000"
				w := &world{answers: []string{v4Old}, alive: map[string]bool{elsewhere: test.alive}, traffic: test.traffic}
				w.state.Established = time.Now()
				w.run(t, v4Old, test.keepalive)
				if err := w.SetEndpoint(key.Public{}, netip.MustParseAddrPort(elsewhere)); err != nil {
					t.Fatal(err)
				}
				if at, asked := w.after(time.Hour); at != elsewhere || asked != 0 {
					t.Errorf("at %s, the name was looked up %d times", at, asked)
				}
			})
		})
	}
}

// Nobody is asked more often than need be, however long the trouble lasts.
func TestAsksLessAndLess(t *testing.T) {
	for name, test := range map[string]struct {
		first    string
		min, max int // questions in an hour
	}{
		"no such name": {"", 3600 / 22, 3600/18 + 20},
		"no answer":    {v4Old, 3600 / 70, 3600/54 + 20},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := &world{traffic: true}
				if test.first != "" {
					w.answers = []string{test.first}
				}
				w.run(t, test.first, 25)
				if _, asked := w.after(time.Hour); asked < test.min || asked > test.max {
					t.Errorf("looked up %d times in an hour, want %d to %d", asked, test.min, test.max)
				}
			})
		})
	}
}

// When the network is back nobody waits for what was asked without it.
func TestRush(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &world{hangs: true, alive: map[string]bool{v4Old: true}, traffic: true}
		f := w.run(t, "", 25)
		if _, asked := w.after(time.Hour); asked != 1 {
			t.Fatalf("looked up %d times at once", asked)
		}
		w.change(func() { w.hangs = false })
		f.Rush()
		if _, asked := w.after(0); asked != 2 {
			t.Fatalf("after the first rush: looked up %d times", asked)
		}
		w.after(10 * time.Minute) // the delay has grown
		w.change(func() { w.answers = []string{v4Old} })
		f.Rush()
		if at, _ := w.after(0); at != v4Old {
			t.Errorf("after the second rush: at %s", at)
		}
		if s, _ := w.StateOf(key.Public{}); s.Established.IsZero() {
			t.Error("no handshake")
		}
		if written, err := f.set.Written(f.set.order[0].key); written != "hub.example:51820" || err != nil {
			t.Errorf("written %s, %v", written, err)
		}
	})
}

// Addresses that the host has no way to come last.
func TestPrefersReachable(t *testing.T) {
	f := New(&config.Config{}, nil).Follow(Options{Reachable: netip.Addr.Is4})
	var addrs []netip.AddrPort
	for _, a := range []string{v6Old, v4New, v4Old} {
		addrs = append(addrs, netip.MustParseAddrPort(a))
	}
	if got := fmt.Sprint(f.prefer(addrs)); got != fmt.Sprintf("[%s %s %s]", v4New, v4Old, v6Old) {
		t.Errorf("got %s", got)
	}
}
