package tap

import (
	"encoding/binary"
	"testing"
)

// What is overwritten is not found, and nothing else is found in its place; a
// producer that meets a reader goes on.
func TestTapOverwrites(t *testing.T) {
	r := newRing(3)
	block := make([]byte, 1000)
	put := func(seq uint64) {
		binary.LittleEndian.PutUint64(block, seq)
		r.put(seq, block)
		r.cur.published.Store(r.cur.count)
	}
	const n = 10_000
	held := &r.blocks[2]
	for seq := uint64(1); seq <= n; seq++ {
		if seq == n/2 {
			held.mu.Lock() // a reader that hangs
		}
		put(seq)
	}
	held.mu.Unlock()
	kept := 0
	for seq := uint64(1); seq <= n; seq++ {
		b, ok := r.content(nil, seq)
		if !ok {
			continue
		}
		kept++
		if len(b) != len(block) || binary.LittleEndian.Uint64(b) != seq {
			t.Fatalf("content of %d: %x", seq, b[:8])
		}
	}
	if least := blockBytes / len(block); kept < least || kept > 3*least {
		t.Errorf("%d packets are kept", kept)
	}
	if _, ok := r.content(nil, n); !ok {
		t.Error("the latest packet is not there")
	}
	if _, ok := r.content(nil, 1); ok {
		t.Error("the first packet is there")
	}
}
