package merge_test

import (
	"testing"

	"github.com/wgnode/wgnode/probe/merge"
)

// B's clock is 5 s ahead and 100 ppm fast. The truth is within the bounds, and these are as wide
// as the fastest message each way took.
func TestBounds(t *testing.T) {
	const ahead, ms = 5e9, 1e6
	ofB := func(a int64) int64 { return a + ahead + a/10000 }
	var b merge.Bounds
	if _, _, ok := b.At(0); ok {
		t.Error("bounds without a message")
	}
	for i := range int64(100) {
		at := i * 100 * ms
		b.Forth(at, ofB(at+(2+i%7)*ms))
		if i == 0 {
			if _, _, ok := b.At(ofB(0)); ok {
				t.Error("bounds by messages of one direction")
			}
		}
		b.Back(ofB(at+20*ms), at+(23+i%5)*ms)
	}
	for at := int64(0); at < 10e9; at += 1e9 {
		lo, hi, ok := b.At(ofB(at))
		truth := float64(ofB(at) - at)
		if !ok || lo > truth || hi < truth || hi-lo > 5.5*ms {
			t.Errorf("at %d: %v to %v (%v), and %v is true", at, lo, hi, ok, truth)
		}
	}
	b.Forth(11e9, ofB(11e9)+3600e9)
	b.Back(ofB(12e9)+3600e9, 12e9)
	if _, _, ok := b.At(ofB(12e9)); ok {
		t.Error("bounds although a clock was set")
	}
}
