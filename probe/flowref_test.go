package probe

import (
	"math/rand/v2"
	"testing"
)

// TestFlowRefSaysWhatTheTableSays: wherever a FlowRef answers, a table that is
// asked for every packet says the same.
func TestFlowRefSaysWhatTheTableSays(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 1))
	f, plain := NewFlows(16), NewFlows(16) // so small that flows are forgotten
	plain.seed = f.seed
	refs := make(map[Key]FlowRef)
	now, answered := int64(1e18), 0
	for range 200_000 {
		now += r.Int64N(2e7)
		e := Event{Proto: ProtoUDP, InnerSrcPort: uint16(r.IntN(20)), InnerDstPort: 7}
		if r.IntN(2) == 0 {
			e.Proto = ProtoTCP
			e.Info = []byte{TCPAck, TCPAck, TCPAck, TCPSyn, TCPSyn | TCPAck}[r.IntN(5)]
		}
		k, outbound := f.hash(&e), r.IntN(2) == 0
		want := plain.Here(k, &e, outbound, false, now)
		ref := refs[k]
		here, ok := ref.Here(now)
		if ok = ok && e.Info&TCPSyn == 0; ok {
			answered++
		} else {
			here, ref = f.Note(k, &e, outbound, false, now)
			refs[k] = ref
		}
		if here != want {
			t.Fatalf("%+v: here %v (by reference: %v), want %v", e, here, ok, want)
		}
	}
	if answered < 10_000 {
		t.Errorf("only %d answers by reference", answered)
	}
}
