package probe

import "testing"

func TestChecksum(t *testing.T) {
	// The example of RFC 1071, section 3, whose sum is 0xddf2.
	example := []byte{0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7}
	for name, parts := range map[string][][]byte{
		"one part":  {example},
		"two parts": {example[:2], example[2:]},
	} {
		if got := Checksum(parts...); got != 0x220d {
			t.Errorf("%s: %#04x, want 0x220d", name, got)
		}
	}
	if odd, even := Checksum([]byte{1, 2, 3}), Checksum([]byte{1, 2, 3, 0}); odd != even {
		t.Errorf("an odd byte: %#04x, want %#04x", odd, even)
	}
	if got := Checksum(append(example, 0x22, 0x0d)); got != 0 {
		t.Errorf("with its checksum: %#04x, want 0", got)
	}
	if n := testing.AllocsPerRun(100, func() { Checksum(example, example) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
