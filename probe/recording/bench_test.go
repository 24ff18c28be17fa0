package recording

import (
	"io"
	"testing"
)

// BenchmarkEvent is what one packet costs the writer.
func BenchmarkEvent(b *testing.B) {
	events, captured := session()
	for i, name := range []string{"inside", "wire", "handshake", "note"} {
		b.Run(name, func(b *testing.B) {
			w, err := NewWriter(io.Discard, testMeta())
			if err != nil {
				b.Fatal(err)
			}
			b.ReportAllocs()
			for b.Loop() {
				if err := w.Event(&events[i], captured[i], 0); err != nil {
					b.Fatal(err)
				}
			}
			b.SetBytes(w.size / int64(b.N))
		})
	}
}
