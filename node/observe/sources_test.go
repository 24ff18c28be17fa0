package observe

import (
	"context"
	"errors"
	"net/netip"
	"os"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/wgnode/wgnode/probe"
	"github.com/wgnode/wgnode/probe/evidence"
	"github.com/wgnode/wgnode/probe/host/netfilter"
)

// fakeTracer traces what is put into it.
type fakeTracer struct {
	matches []netfilter.Match
	packets chan *netfilter.Packet
	syncs   chan struct{}
	lost    uint64
	closed  chan struct{}
}

func (t *fakeTracer) Next(ctx context.Context) (*netfilter.Packet, error) {
	select {
	case p := <-t.packets:
		return p, nil
	case <-t.syncs:
		return nil, netfilter.ErrSynced
	case <-ctx.Done():
		return nil, ctx.Err()
	case <-t.closed:
		return nil, os.ErrClosed
	}
}

func (t *fakeTracer) Rule(netfilter.Chain, netfilter.Step) (netfilter.Rule, error) {
	return netfilter.Rule{Text: "drop"}, nil
}

func (t *fakeTracer) Sync() { t.syncs <- struct{}{} }

func (t *fakeTracer) Unseen() []string { return []string{"legacy iptables"} }
func (t *fakeTracer) Lost() uint64     { return t.lost }
func (t *fakeTracer) Close() error     { close(t.closed); return nil }

// fakeNetfilter returns a source and where its tracers are found, the latest last.
func fakeNetfilter() (*tracing, *[]*fakeTracer) {
	var all []*fakeTracer
	n := newTracing()
	n.open = func(matches []netfilter.Match) (tracer, error) {
		t := &fakeTracer{matches: matches, packets: make(chan *netfilter.Packet), syncs: make(chan struct{}, 1), closed: make(chan struct{})}
		all = append(all, t)
		return t, nil
	}
	return n, &all
}

// keeper keeps what it hears until it has so many observations.
type keeper struct {
	want  int
	heard []Observation
}

func (k *keeper) Add(o *Observation) { k.heard = append(k.heard, *o) }

func (k *keeper) Look(context.Context) State {
	if len(k.heard) >= k.want {
		return Complete
	}
	return Open
}

var ping, web = netfilter.Match{Proto: probe.ProtoICMP}, netfilter.Match{Proto: probe.ProtoTCP}

// A traced packet comes with what selected it. Another selection takes the place of
// the first, and what was lost under the first still counts.
func TestNetfilter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n, tracers := fakeNetfilter()
		s := NewSession(0, 0)
		s.netfilter = n
		defer s.Close()
		var sel Selection
		sel.Add(evidence.ToTunnel, ping)
		sel.Add(evidence.FromTunnel, web)
		k := s.WatchKernel(t.Context(), sel)
		if k.Blind != "" || !slices.Equal(k.Limits, []string{"legacy iptables"}) {
			t.Errorf("%+v", k)
		}
		first := (*tracers)[0]
		if !slices.Equal(first.matches, []netfilter.Match{ping, web}) {
			t.Errorf("traces %+v", first.matches)
		}
		first.packets <- &netfilter.Packet{Match: 1}
		got := &keeper{want: 1}
		s.Run(t.Context(), got)
		p := got.heard[0].Packet
		rule, err := p.rules.Rule(netfilter.Chain{}, netfilter.Step{})
		if err != nil || rule.Text != "drop" || p.Match != (Match{web, evidence.FromTunnel}) {
			t.Errorf("%+v, rule %v, %v", p, rule, err)
		}

		for range packetsWaiting / 2 {
			first.packets <- &netfilter.Packet{}
		}
		synctest.Wait()
		first.lost = 3
		k = s.WatchKernel(t.Context(), Selection{Packets: []Match{{ping, evidence.ToWire}}})
		<-first.closed
		second := (*tracers)[1]
		second.lost = 4
		second.packets <- &netfilter.Packet{}
		got = &keeper{want: 1}
		s.Run(t.Context(), got)
		if on := got.heard[0].Packet.Match.On; on != evidence.ToWire {
			t.Errorf("heard a packet on %v: of the old selection", on)
		}
		if k.Lost != 7 {
			t.Errorf("%d lost", k.Lost)
		}
	})
}

// Where netfilter or another source cannot look, the evidence says so.
func TestBlind(t *testing.T) {
	n := newTracing()
	n.open = func([]netfilter.Match) (tracer, error) { return nil, errors.New("no nf_tables") }
	other := newFake(0)
	other.started = errors.New("no counters")
	s := NewSession(0, 0)
	s.netfilter, s.kernel = n, []Source{other, newFake(0)}
	defer s.Close()
	k := s.WatchKernel(t.Context(), Selection{})
	if k.Blind != "no nf_tables" || !slices.Equal(k.Limits, []string{"no counters", "what a fake does not see"}) {
		t.Errorf("%+v", k)
	}
}

// Events come from the time on that the source was made, and once.
func TestRecorder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rec, err := probe.NewRecorder(probe.MinRecorderBytes)
		if err != nil {
			t.Fatal(err)
		}
		record := func(id uint32) {
			rec.Record(probe.LaneControl, &probe.Event{Time: time.Now().UnixNano(), Kind: probe.KindInitiation, Sender: id})
		}
		record(1)
		src := Recorder(rec, probe.SubscribeOptions{Match: func(e *probe.Event) bool { return e.Sender != 3 }}, nil)
		record(2)
		record(3)
		s := NewSession(0, 0)
		defer s.Close()
		if err := s.Start(t.Context(), src, Selection{}); err != nil {
			t.Fatal(err)
		}
		got := &keeper{want: 1}
		s.Run(t.Context(), got)
		if evs := got.heard[0].Events; len(evs) != 1 || evs[0].Sender != 2 {
			t.Errorf("heard %+v", evs)
		}
		if u := src.Unseen(); len(u) > 0 {
			t.Errorf("unseen: %q", u)
		}
	})
}

// Events that come some time after things have happened are heard before a policy that has enough
// ends, and at its deadline.
func TestRecorderLate(t *testing.T) {
	for name, state := range map[string]State{"enough": Complete, "deadline": Open} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				rec, err := probe.NewRecorder(probe.MinRecorderBytes)
				if err != nil {
					t.Fatal(err)
				}
				asked := 0
				src := Recorder(rec, probe.SubscribeOptions{}, func(context.Context) {
					asked++
					rec.Record(probe.LaneControl, &probe.Event{Time: time.Now().UnixNano(), Kind: probe.KindInitiation, Sender: 7})
				})
				s := NewSession(testLook, testLinger)
				defer s.Close()
				if err := s.Start(t.Context(), src, Selection{}); err != nil {
					t.Fatal(err)
				}
				ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
				defer cancel()
				p := &events{state: state}
				s.Run(ctx, p)
				if asked != 1 || len(p.heard) != 1 || p.heard[0].Sender != 7 {
					t.Errorf("asked %d times, heard %+v", asked, p.heard)
				}
			})
		})
	}
}

// events is a policy that keeps them.
type events struct {
	heard []probe.Event
	state State
}

func (e *events) Add(o *Observation)         { e.heard = append(e.heard, o.Events...) }
func (e *events) Look(context.Context) State { return e.state }

// A source that was never started can be closed, and is not kept by its recorder.
func TestRecorderNotStarted(t *testing.T) {
	rec, err := probe.NewRecorder(probe.MinRecorderBytes)
	if err != nil {
		t.Fatal(err)
	}
	if err := Recorder(rec, probe.SubscribeOptions{}, nil).Close(); err != nil {
		t.Error(err)
	}
}

// An attempt is made once, and its outcome is observed.
func TestAttempt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		refused := errors.New("refused")
		a := Attempt(func(context.Context) error { time.Sleep(2 * time.Second); return refused })
		s := NewSession(testLook, testLinger)
		defer s.Close()
		for range 2 {
			if err := s.Start(t.Context(), a, Selection{}); err != nil {
				t.Fatal(err)
			}
		}
		got := &keeper{want: 1}
		s.Run(t.Context(), got)
		if o := got.heard[0].Outcome; !errors.Is(o.Err, refused) || o.End.Sub(o.Start) != 2*time.Second {
			t.Errorf("%+v", o)
		}
	})
}

// What a packet meets at the egress of a device belongs to its traversal.
func TestGoOn(t *testing.T) {
	sent := netfilter.Header{Src: netip.MustParseAddr("10.0.0.1"), Dst: netip.MustParseAddr("192.0.2.1"), Proto: probe.ProtoUDP,
		SrcPort: 4000, DstPort: 51820, Length: 124, Data: [12]byte{probe.TypeData}}
	visit := func(h netfilter.Hook) []netfilter.Visit { return []netfilter.Visit{{Chain: netfilter.Chain{Hook: h}}} }
	other := sent
	other.Data[8] = 1
	for _, c := range []struct {
		name  string
		end   netfilter.Hook
		start netfilter.Hook
		next  netfilter.Header
		want  bool
	}{
		{name: "egress", end: netfilter.Postrouting, start: netfilter.Egress, next: sent, want: true},
		{name: "another packet", end: netfilter.Postrouting, start: netfilter.Egress, next: other, want: false},
		{name: "dropped before", end: netfilter.HookUnknown, start: netfilter.Egress, next: sent, want: false},
		{name: "sent once more", end: netfilter.Postrouting, start: netfilter.Output, next: sent, want: false},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := &Packet{Packet: &netfilter.Packet{End: c.end, First: sent, Last: sent, Visits: visit(netfilter.Output)}}
			before := p.Packet
			next := &Packet{Packet: &netfilter.Packet{Start: c.start, First: c.next, Last: c.next, Visits: visit(netfilter.Egress)}}
			if got := p.GoOn(next); got != c.want {
				t.Fatalf("goes on: %v", got)
			}
			if c.want && (len(p.Visits) != 2 || p.End != netfilter.HookUnknown) || !c.want && p.Packet != before {
				t.Errorf("%+v", p.Packet)
			}
		})
	}
}

// What is on the way of packets is looked for once, and is part of the evidence, also of
// what is watched later; what could not be looked at is said.
func TestListing(t *testing.T) {
	n, _ := fakeNetfilter()
	looked := 0
	a := newListing().(*listing)
	a.list = func() ([]evidence.Hook, []string) {
		looked++
		return []evidence.Hook{{Kind: evidence.HookXDP, Text: "a program"}}, []string{"no cgroups"}
	}
	s := NewSession(0, 0)
	s.netfilter, s.kernel = n, []Source{a}
	defer s.Close()
	k := s.WatchKernel(t.Context(), Selection{})
	s.Run(t.Context(), &keeper{want: 1})
	for _, k := range []*evidence.KernelEvidence{k, s.WatchKernel(t.Context(), Selection{})} {
		if len(k.Hooks) != 1 || !slices.Contains(k.Limits, "no cgroups") || k.DropsBlind != "" {
			t.Errorf("%+v", k)
		}
	}
	if looked != 1 {
		t.Errorf("looked %d times", looked)
	}
}
