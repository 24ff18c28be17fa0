package observe

import (
	"context"
	"net"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"github.com/wgnode/wgnode/probe"
	"github.com/wgnode/wgnode/probe/evidence"
	"github.com/wgnode/wgnode/probe/host/netfilter"
	"github.com/wgnode/wgnode/probe/patience"
)

// upToMark asks a source for a mark, and returns what it delivers before that.
func upToMark(t *testing.T, src Syncer, mark int64) (all []Observation) {
	t.Helper()
	if !src.Sync(mark) {
		t.Fatal("it does not deliver the mark")
	}
	for {
		o := patience.Receive(t, "the mark", src.Observations())
		if o.mark == mark {
			return all
		}
		all = append(all, o)
	}
}

// What the kernel has counted is told before the mark, not at the next look.
func TestCountersSync(t *testing.T) {
	ownNamespace(t)
	blockPlain(t)
	c := newCounters().(*counters)
	if c.Sync(1) {
		t.Error("it delivers a mark before it counts")
	}
	defer c.Close()
	if err := c.Start(t.Context(), Selection{}); err != nil {
		t.Fatal(err)
	}
	sendDatagrams(t, 3)
	for mark := range int64(3) {
		all := upToMark(t, c, mark+1)
		if told := len(all) > 0 && len(all[len(all)-1].Counters) == 1; mark == 0 != told {
			t.Errorf("before mark %d: %+v", mark+1, all)
		}
	}
}

// Initiations that have come in are told before the mark, and what comes later is heard, too.
func TestInitiationsSync(t *testing.T) {
	ownNamespace(t)
	src := newInitiations().(*initiations)
	var sel Selection
	sel.Add(evidence.FromWire, netfilter.Match{Proto: probe.ProtoUDP, DstPort: 51820})
	if src.Sync(1) {
		t.Error("it delivers a mark before it hears anything")
	}
	if err := src.Start(t.Context(), sel); err != nil {
		t.Skip(err)
	}
	to := net.UDPAddrFromAddrPort(netip.MustParseAddrPort("127.0.0.1:51820"))
	c, err := net.ListenUDP("udp", &net.UDPAddr{IP: to.IP})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	for mark := range int64(3) {
		for range 4 {
			if _, err := c.WriteToUDP(append([]byte{probe.TypeInitiation}, make([]byte, probe.LenInitiation-1)...), to); err != nil {
				t.Fatal(err)
			}
		}
		if all := upToMark(t, src, mark+1); len(all) != 4 {
			t.Errorf("before mark %d: %d initiations", mark+1, len(all))
		}
	}
	if err := src.Close(); err != nil {
		t.Error(err)
	}
	if src.Sync(9) {
		t.Error("it delivers a mark after its end")
	}
}

// What is on the way of packets is told before the mark, however long it takes to list it.
func TestListingSync(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newListing().(*listing)
		a.list = func() ([]evidence.Hook, []string) {
			time.Sleep(time.Second)
			return []evidence.Hook{{Kind: evidence.HookXDP, Text: "a program"}}, nil
		}
		p := always(Complete)
		s := NewSession(testLook, testLinger)
		defer s.Close()
		s.evidence, s.netfilter = new(evidence.KernelEvidence), newTracing()
		if err := s.Start(t.Context(), a, Selection{}); err != nil {
			t.Fatal(err)
		}
		began := time.Now()
		s.Run(t.Context(), &hooked{p})
		if took := time.Since(began); took != time.Second || len(s.evidence.Hooks) != 1 {
			t.Errorf("%d hooks after %v", len(s.evidence.Hooks), took)
		}
		if a.Sync(7) {
			t.Error("it delivers a mark though it has nothing more to say")
		}
	})
}

// hooked is a policy that does not look at observations.
type hooked struct{ *policy }

func (hooked) Add(*Observation) {}

// A tunnel's events that were recorded are told before the mark.
func TestRecorderSync(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rec, err := probe.NewRecorder(probe.MinRecorderBytes)
		if err != nil {
			t.Fatal(err)
		}
		src := Recorder(rec, probe.SubscribeOptions{}, nil)
		s := NewSession(testLook, testLinger)
		defer s.Close()
		if err := s.Start(t.Context(), src, Selection{}); err != nil {
			t.Fatal(err)
		}
		p := &recording{rec: rec}
		began := time.Now()
		s.Run(t.Context(), p)
		if took := time.Since(began); p.heard != 1 || took > 2*testLook {
			t.Errorf("heard %d events after %v", p.heard, took)
		}
	})
}

// recording is a policy that has enough as soon as it is asked; what it then records has happened
// before the mark is asked for.
type recording struct {
	rec   *probe.Recorder
	looks int
	heard int
}

func (r *recording) Add(o *Observation) { r.heard += len(o.Events) }

func (r *recording) Look(context.Context) State {
	if r.looks++; r.looks == 1 {
		r.rec.Record(probe.LaneControl, &probe.Event{Time: time.Now().UnixNano(), Kind: probe.KindInitiation})
	}
	return Complete
}
