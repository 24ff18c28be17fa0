//go:build linux

package resolver

import (
	"bytes"
	"testing"
)

// Whatever the original holds, it comes back; and whatever a file holds, it is
// read without harm.
func FuzzStack(f *testing.F) {
	for _, s := range []string{"", "nameserver ::1", "a\n\n", "#wgnode {}\n#|\r\n\x00\xff", "\n#wgnode {\"tunnels\":[{}],\"size\":9}\n#|x\n"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, original []byte) {
		if st, ok := parse(original); ok && len(st.Before.Content) != st.Size {
			t.Errorf("an original of %d bytes, not %d", len(st.Before.Content), st.Size)
		}
		st := stack{Tunnels: []Settings{settings("wg0", "10.0.0.1")}, Before: Snapshot{Content: original}}
		text, err := st.text()
		if err != nil {
			t.Fatal(err)
		}
		got, ok := parse(text)
		if !ok || !bytes.Equal(got.Before.Content, original) {
			t.Errorf("came back as %q, %v from\n%s", got.Before.Content, ok, text)
		}
		for _, cut := range []int{len(text) / 2, len(text) * 3 / 4, len(text) - 2} {
			if got, ok := parse(text[:cut]); ok && !bytes.Equal(got.Before.Content, original) {
				t.Errorf("cut after %d of %d bytes it came back as %q", cut, len(text), got.Before.Content)
			}
		}
	})
}
