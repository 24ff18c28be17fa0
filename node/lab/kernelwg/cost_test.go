//go:build linux

package kernelwg

import (
	"slices"
	"testing"
	"time"

	"github.com/wgnode/wgnode/probe"
)

// BenchmarkCost transfers the same with wg0 of the sender watched and not, in turn. The machine
// has one processor, which is busy throughout, and its time is what the emulator takes: only ratios
// mean something.
//
//	CGO_ENABLED=0 go test -exec "$PWD/.ci/vm -k 6.12" -run '^$' -bench Cost -benchtime 5x ./node/lab/kernelwg
func BenchmarkCost(b *testing.B) {
	for _, level := range []probe.Level{probe.LevelExact, probe.LevelHalf, probe.LevelCapture} {
		b.Run(string(level), func(b *testing.B) {
			s := newSite(b)
			s.bothKernel(b)
			took := func(w *watched) time.Duration {
				begun := time.Now()
				s.transfer(b, "10.7.0.2:5001", 16*transferred)
				if w != nil {
					w.await(b, "the end", func(e *probe.Event) bool {
						return e.Kind == probe.KindInner && e.TCPFlags()&probe.TCPFin != 0
					})
				}
				return time.Since(begun)
			}
			took(nil) // the first brings the session
			var ratios, rates []float64
			var lost uint64
			for b.Loop() {
				free := took(nil)
				w := begin(b, s.K, level)
				seen := took(w)
				n, err := w.Lost()
				if err != nil {
					b.Fatal(err)
				}
				lost += n
				rates = append(rates, float64(w.rec.Recorded())/seen.Seconds())
				w.end(b)
				ratios = append(ratios, float64(free)/float64(seen))
			}
			b.ReportMetric(median(ratios), "of-throughput")
			b.ReportMetric(1-median(ratios), "of-processor")
			b.ReportMetric(median(rates), "events/s")
			b.ReportMetric(float64(lost)/float64(b.N), "lost/op")
			b.ReportMetric(0, "ns/op") // the emulator's
		})
	}
}

func median(all []float64) float64 {
	slices.Sort(all)
	return all[len(all)/2]
}
