package top

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/gdamore/tcell/v2"

	"github.com/wgnode/wgnode/node/control"
	"github.com/wgnode/wgnode/node/explain"
	"github.com/wgnode/wgnode/probe"
	"github.com/wgnode/wgnode/probe/diagnose"
	"github.com/wgnode/wgnode/probe/overview"
	"github.com/wgnode/wgnode/probe/patience"
	"github.com/wgnode/wgnode/probe/recording"
)

// fakeNode is a node that says what a test wants.
type fakeNode struct {
	mu      sync.Mutex
	down    chan struct{} // closed when it goes down
	state   *overview.Tunnel
	watched []control.WatchRequest
	asked   []explain.Request
	events  chan probe.Event // of all watches
	names   map[probe.PeerID]peerName
}

func newFakeNode(peers int) *fakeNode {
	return &fakeNode{down: make(chan struct{}), state: manyPeers("wg0", peers), events: make(chan probe.Event, 1024)}
}

// manyPeers is a tunnel with so many peers, one of which fails.
func manyPeers(name string, n int) *overview.Tunnel {
	t := &overview.Tunnel{Interface: name, Kind: overview.KindNode, State: overview.Running}
	all := make([]overview.Peer, n)
	for i := range all {
		p := &all[i]
		p.PublicKey[0], p.PublicKey[1] = byte(i), byte(i>>8)
		p.Name, p.State = fmt.Sprintf("peer %d", i), diagnose.StateUp
		p.Handshake = noon.Add(-time.Duration(i%100) * time.Second)
		p.Endpoint = netip.AddrPortFrom(netip.AddrFrom4([4]byte{192, 0, byte(i >> 8), byte(i)}), 51820)
		p.AllowedIPs = []netip.Prefix{netip.PrefixFrom(netip.AddrFrom4([4]byte{10, 0, byte(i >> 8), byte(i)}), 32)}
		p.Rates = &overview.Rates{Rx: float64(i), Tx: 1}
		p.Verdict = &overview.Judgment{Code: diagnose.Healthy, Healthy: true}
	}
	if n > 1 {
		all[1].State = diagnose.StateFailing
		all[1].Verdict = &overview.Judgment{Code: diagnose.PSKMismatch, Checkpoint: "A3", Summary: "the preshared keys differ"}
	}
	t.Select(all, &overview.Request{})
	return t
}

func (n *fakeNode) err() error {
	select {
	case <-n.down:
		return control.ErrEnded
	default:
		return nil
	}
}

func (n *fakeNode) Overview(context.Context, overview.Request) (*overview.Tunnel, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.state, n.err()
}

func (n *fakeNode) Watch(ctx context.Context, req control.WatchRequest, into control.Watcher) (uint64, error) {
	n.mu.Lock()
	n.watched = append(n.watched, req)
	n.mu.Unlock()
	if strings.Contains(fmt.Sprint(req.Filter), "nobody") {
		return 0, errors.New("no peer has this name")
	}
	if err := into.Begin(0); err != nil {
		return 0, err
	}
	names := newTunnel("")
	names.names = n.names
	for {
		select {
		case <-ctx.Done():
			return 0, nil
		case <-n.down:
			return 0, control.ErrEnded
		case e := <-n.events:
			if err := into.Event(&e, names); err != nil {
				return 0, err
			}
		}
	}
}

func (n *fakeNode) Explain(ctx context.Context, req explain.Request) (*diagnose.Report, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.asked = append(n.asked, req)
	return &diagnose.Report{Interface: "wg0", Target: req.Target.Addr().String(), Verdict: diagnose.Verdict{Code: diagnose.Healthy,
		Summary: "all is well"}}, ctx.Err()
}

func (n *fakeNode) Record(ctx context.Context, _ control.RecordRequest, into control.Recording) (recording.Loss, error) {
	if err := into.Begin(&recording.Meta{Interface: "wg0"}); err != nil {
		return recording.Loss{}, err
	}
	<-ctx.Done()
	return recording.Loss{}, nil
}

// liveView looks at nodes by their names; one that is nil is not there.
func liveView(t *testing.T, nodes *sync.Map, names ...string) *view {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	live := NewLive(ctx, LiveOptions{Folder: t.TempDir(), List: func() []string { return names },
		Dial: func(_ context.Context, name string) (Client, error) {
			n, ok := nodes.Load(name)
			if !ok {
				return nil, errors.New("not running")
			}
			return n.(*fakeNode), nil
		}})
	t.Cleanup(func() { cancel(); live.Wait() })
	return newView(t, live, 100, 30, 256)
}

// see waits until text is seen.
func (v *view) see(text string) string {
	v.t.Helper()
	var seen string
	patience.See(v.t, text, func() (string, bool) {
		for _, job := range v.model.Jobs() {
			v.model.Done(job(v.t.Context()))
		}
		seen = v.text()
		return seen, strings.Contains(seen, text)
	})
	return seen
}

func tcpEvent(port uint16) probe.Event {
	return probe.Event{Time: noon.UnixNano(), Seam: probe.SeamTUNRead, Checkpoint: probe.A1, Kind: probe.KindInner, Proto: probe.ProtoTCP,
		Peer: 1, InnerLen: 60, InnerSrc: probe.AddrFrom(netip.MustParseAddr("10.0.0.9")), InnerSrcPort: port,
		InnerDst: probe.AddrFrom(netip.MustParseAddr("10.0.0.1")), InnerDstPort: 80, Flags: probe.FlagInitiatedHere}
}

// A tunnel that goes down is said to, and waited for; the others go on.
func TestNodeGoesDown(t *testing.T) {
	var nodes sync.Map
	one, two := newFakeNode(3), newFakeNode(2)
	two.state = manyPeers("wg1", 2)
	nodes.Store("wg0", one)
	nodes.Store("wg1", two)
	v := liveView(t, &nodes, "wg0", "wg1")
	v.see("wg0  wgnode  3 peers: 1 failing, 2 up")
	v.see("wg1  wgnode  2 peers: 1 failing, 1 up")
	nodes.Delete("wg0")
	close(one.down)
	seen := v.see("it went down; waiting for it")
	if !strings.Contains(seen, "wg1  wgnode  2 peers") {
		t.Errorf("the other is not seen any more:\n%s", seen)
	}
	nodes.Store("wg0", newFakeNode(5))
	v.see("wg0  wgnode  5 peers")
}

func TestExplainPeerAndFlow(t *testing.T) {
	var nodes sync.Map
	n := newFakeNode(3)
	n.names = map[probe.PeerID]peerName{1: {n.state.Peers[0].PublicKey, "peer 1"}}
	nodes.Store("wg0", n)
	v := liveView(t, &nodes, "wg0")
	if seen := v.see("▸peer 1"); !strings.Contains(seen, "psk-mismatch at A3") { // faults are first
		t.Errorf("no verdict:\n%s", seen)
	}
	v.keys(tcell.KeyEnter).see("all is well")
	v.keys(tcell.KeyEscape)
	n.events <- tcpEvent(4000)
	v.see("▸tcp 10.0.0.9:4000 > 10.0.0.1:80")
	v.keys(tcell.KeyTab, tcell.KeyEnter).see("explain wg0 10.0.0.1:80")
	n.mu.Lock()
	defer n.mu.Unlock()
	if len(n.asked) != 2 || n.asked[0].Target.String() != "10.0.1.0:0" && n.asked[0].Target.Addr().String() != "10.0.0.1" ||
		n.asked[1].Target.String() != "10.0.0.1:80" || n.asked[1].Passive {
		t.Errorf("asked: %+v", n.asked)
	}
}

// A filter is the node's to apply. One that does not fit is said, and the next may.
func TestLiveFilter(t *testing.T) {
	var nodes sync.Map
	n := newFakeNode(3)
	nodes.Store("wg0", n)
	v := liveView(t, &nodes, "wg0")
	n.events <- tcpEvent(4000)
	v.see("tcp 10.0.0.9:4000")
	v.keys("/peer nobody", tcell.KeyEnter).see("no peer has this name")
	if seen := v.text(); strings.Contains(seen, "tcp 10.0.0.9:4000") {
		t.Errorf("what was seen before the filter still is:\n%s", seen)
	}
	v.keys("/", tcell.KeyCtrlU, "tcp port 80", tcell.KeyEnter)
	n.events <- tcpEvent(4001)
	v.see("tcp 10.0.0.9:4001")
	n.mu.Lock()
	defer n.mu.Unlock()
	last := n.watched[len(n.watched)-1]
	if fmt.Sprint(last.Filter) != "[tcp port 80]" {
		t.Errorf("watched: %+v", n.watched)
	}
}

// What comes too fast is looked at in part, the flow that is chosen in full, and in full again
// when there is less.
func TestAdapt(t *testing.T) {
	l := &Live{changed: make(chan struct{})}
	lt := &liveTunnel{Tunnel: newTunnel("wg0"), watched: watched{1, 1}}
	count := func(n int) {
		for range n {
			e := tcpEvent(1)
			lt.Flows.Event(&e)
		}
		l.adapt(lt)
	}
	for _, c := range []struct {
		came int
		want uint64
	}{{many + 1, 8}, {many, 8}, {many + 1, 64}, {few, 64}, {0, 8}, {0, 1}, {0, 1}} {
		if count(c.came); lt.watched != (watched{c.want, 1}) {
			t.Fatalf("after %d events one packet of %d, want %d", c.came, lt.watched, c.want)
		}
	}
}

func TestFullFlow(t *testing.T) {
	var nodes sync.Map
	n := newFakeNode(3)
	nodes.Store("wg0", n)
	v := liveView(t, &nodes, "wg0")
	n.events <- tcpEvent(4000)
	v.see("tcp 10.0.0.9:4000")
	live := v.model.src.(*Live)
	live.mu.Lock()
	live.tunnels[0].watched.all = 64
	live.tell()
	live.mu.Unlock()
	patience.Until(t, "a watch of the flow", func() bool {
		n.mu.Lock()
		defer n.mu.Unlock()
		for _, w := range n.watched {
			if strings.Join(w.Filter, " ") == "host 10.0.0.9 net 10.0.0.1/32 proto 6 port 4000" && w.Every <= 1 {
				return true
			}
		}
		return false
	})
	for _, w := range n.watched {
		if err := checkFilter(w.Filter); err != nil {
			t.Error(err)
		}
	}
}

func TestRecordFromScreen(t *testing.T) {
	var nodes sync.Map
	nodes.Store("wg0", newFakeNode(3))
	v := liveView(t, &nodes, "wg0")
	v.see("3 peers")
	v.keys("r").see("● recording wg0")
	v.keys("r").see("recorded 0 packets in")
}

// BenchmarkManyPeers is what a frame costs of so many peers of which all are told anew, on 200 columns
// and 50 lines. There are five a second at most: 6 ms of a processor are 3 % of it.
func BenchmarkManyPeers(b *testing.B) {
	for _, n := range []int{200, 10000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			src := &fixed{tunnel: newTunnel("wg0")}
			state := manyPeers("wg0", n)
			for i := range 1000 {
				e := tcpEvent(uint16(i))
				src.tunnel.Flows.Event(&e)
			}
			m := New(src, Options{Colors: 256})
			s := tcell.NewSimulationScreen("UTF-8")
			if err := s.Init(); err != nil {
				b.Fatal(err)
			}
			defer s.Fini()
			s.SetSize(200, 50)
			began := processorTime()
			for b.Loop() {
				src.version++
				src.tunnel.set(state, noon)
				m.Handle(tcell.NewEventKey(tcell.KeyDown, 0, 0))
				s.Clear()
				m.Draw(s)
				s.Show()
			}
			b.ReportMetric(float64(processorTime()-began)/float64(b.N), "cpu-ns/op")
		})
	}
}

// processorTime is what this process has had of the processors.
func processorTime() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		panic(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// fixed is a source of one tunnel that is as a test makes it.
type fixed struct {
	failures
	tunnel  *Tunnel
	version uint64
}

func (f *fixed) Tunnels() []*Tunnel { return []*Tunnel{f.tunnel} }
func (f *fixed) Want(Want)          {}
func (f *fixed) Version() uint64    { return f.version }
func (f *fixed) Explain(context.Context, string, explain.Request) (*diagnose.Report, error) {
	return nil, errors.ErrUnsupported
}
