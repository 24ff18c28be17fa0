package inspect

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// A block is painted over the one before, and never higher than the screen.
func TestPainter(t *testing.T) {
	path := filepath.Join(t.TempDir(), "screen")
	out, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	p := painter{out: out} // no terminal: the common height
	for _, block := range []string{"a\nb\n", "c\n", strings.Repeat("d\n", 2*defaultHeight), "e\n"} {
		if err := p.paint([]byte(block)); err != nil {
			t.Fatal(err)
		}
	}
	const clear = "\r\x1b[J"
	want := clear + "a\nb\n" + "\x1b[2A" + clear + "c\n" + "\x1b[1A" + clear + strings.Repeat("d\n", defaultHeight-1) +
		"\x1b[23A" + clear + "e\n"
	if got, err := os.ReadFile(path); err != nil || string(got) != want {
		t.Errorf("%v\n%q\nwant\n%q", err, got, want)
	}
}
