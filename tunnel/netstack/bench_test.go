package netstack

import (
	"testing"

	"gvisor.dev/gvisor/pkg/buffer"
)

const benchPayload = 1368 // bytes: what TCP with timestamps sends in 1420

// BenchmarkSegments is for each packet that is cut from a segment.
func BenchmarkSegments(b *testing.B) {
	const packets = 40
	whole, ip := segmentOf(false, 0, 12, 1, tcpAck, make([]byte, packets*benchPayload))
	pkt := packetOf(whole, len(whole), gsoOf(false, ip, benchPayload))
	defer pkt.DecRef()
	out := make([]byte, 2000)
	var s segments
	b.SetBytes(benchPayload)
	b.ReportAllocs()
	for b.Loop() {
		if s.empty() && !s.begin(pkt.IncRef()) {
			b.Fatal("refused")
		}
		s.next(out)
	}
	if !s.empty() {
		s.end()
	}
}

// BenchmarkJoiner is for each packet that is joined.
func BenchmarkJoiner(b *testing.B) {
	var pkts [][]byte
	for i := range 40 {
		pkts = append(pkts, packetWithSums(false, 1, uint32(i*benchPayload), tcpAck, make([]byte, benchPayload)))
	}
	j := joiner{deliver: func(v *buffer.View, _, _ bool) { v.Release() }}
	b.SetBytes(benchPayload)
	b.ReportAllocs()
	for n := 0; b.Loop(); n++ {
		j.add(pkts[n%len(pkts)])
		if n%len(pkts) == len(pkts)-1 {
			j.flush()
		}
	}
	j.flush()
}
