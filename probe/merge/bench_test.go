package merge

import (
	"io"
	"runtime"
	"testing"
	"time"

	"github.com/wgnode/wgnode/probe"
	"github.com/wgnode/wgnode/probe/recording"
)

// stream makes one side of a long exchange as it is read: 1 Gbit/s of full packets
// one way, and acknowledgements back. It takes no memory of its own.
type stream struct {
	host    int // 0 sends bulk, 1 sends acknowledgements
	packets int
	n       int
	step    int
	e       probe.Event
	opened  *int
	clock   func(int64) int64
}

const perPacket = int64(11_000) // ns

// Next implements source. For each packet forth there are two events at each host,
// and for every other one the same back.
func (s *stream) Next() (*probe.Event, *recording.Drop, uint64, error) {
	for {
		if s.n >= s.packets {
			return nil, nil, 0, io.EOF
		}
		k, step := s.n, s.step
		if s.step++; s.step == 4 {
			s.n, s.step = s.n+1, 0
		}
		back := step >= 2
		if back && k%2 == 1 || s.host == 1 && !back && k%100 == 99 { // 1% lost
			continue
		}
		sends := back == (s.host == 1)
		p := packet(0, 1, 40000, 5201, probe.TCPAck|probe.TCPPsh)
		if back {
			p = packet(1, 0, 5201, 40000, probe.TCPAck)
		}
		p.Peer, p.Receiver, p.Counter, p.PrefixBits = probe.PeerID(2-s.host), 77, uint64(k), 32
		at := epoch + int64(k)*perPacket
		if back {
			p.Receiver, p.Counter = 78, uint64(k/2)
			at += 3000
		}
		if !sends {
			at += 300_000
		}
		cps := [4]probe.Checkpoint{probe.A1, probe.A4, probe.B3, probe.B4}
		if back {
			cps = [4]probe.Checkpoint{probe.B7, probe.B8, probe.A5, probe.A6}
		}
		inner := step%2 == 0 == sends
		p.Kind, p.OuterLen = probe.KindData, 1452
		switch {
		case sends && inner:
			p.Seam, p.Kind, p.Checkpoint = probe.SeamTUNRead, probe.KindInner, cps[0]
			p.Receiver, p.Counter = 0, 0
		case sends:
			p.Seam, p.Checkpoint = probe.SeamUDPSend, cps[1]
		case inner:
			p.Seam, p.Kind, p.Checkpoint = probe.SeamTUNWrite, probe.KindInner, cps[3]
			at += 1000
		default:
			p.Seam, p.Checkpoint = probe.SeamUDPReceive, cps[2]
		}
		p.Time = s.clock(at)
		s.e = p
		return &s.e, nil, 0, nil
	}
}

func (s *stream) Ending() ending { return ending{} }

func (s *stream) Close() error { return nil }

func streams(packets int) []recorded {
	w := newWorld(nil, "a", "b")
	w.hosts[1].clock = skewed(37*time.Second, 200)
	var recs []recorded
	for i, h := range w.hosts {
		opened := 0
		recs = append(recs, recorded{name: h.name, meta: h.meta, open: func() (source, error) {
			return &stream{host: i, packets: packets, opened: &opened, clock: h.clock}, nil
		}})
	}
	return recs
}

// events is how many events the two recordings have together.
func events(packets int) int { return packets*4 + packets/2*4 - packets/100*2 }

// A million packets, recorded on both hosts: packets/s counts each once, although
// both recordings have it twice, and peak-MB is the largest heap.
func BenchmarkMerge(b *testing.B) {
	b.Run("packets=1M", func(b *testing.B) { benchmarkMerge(b, 1_000_000) })
	b.Run("packets=4M", func(b *testing.B) { benchmarkMerge(b, 4_000_000) })
}

func benchmarkMerge(b *testing.B, packets int) {
	b.ReportAllocs()
	var peak uint64
	for b.Loop() {
		done := make(chan struct{})
		go func() {
			tick := time.NewTicker(20 * time.Millisecond)
			defer tick.Stop()
			for {
				select {
				case <-done:
					return
				case <-tick.C:
					var s runtime.MemStats
					runtime.ReadMemStats(&s)
					peak = max(peak, s.HeapInuse)
				}
			}
		}()
		r, err := merge(b.Context(), streams(packets), Options{})
		close(done)
		if err != nil {
			b.Fatal(err)
		}
		if got := r.Flows[0].Hops[0].Forth; int(got.Lost+got.Unknown) != packets/100 {
			b.Fatalf("%+v", got)
		}
	}
	n := float64(b.N) * float64(packets) * 3 / 2
	b.ReportMetric(n/b.Elapsed().Seconds(), "packets/s")
	b.ReportMetric(float64(b.N)*float64(events(packets))/b.Elapsed().Seconds(), "events/s")
	b.ReportMetric(float64(peak)/1e6, "peak-MB")
	b.ReportMetric(0, "ns/op")
}
