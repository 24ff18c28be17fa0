package resolver

import (
	"os"
	"testing"
)

// testdata/v1/resolv.conf was written by the first release of the format. A later one
// must find the original in it, and whose it is.
func TestGoldenFile(t *testing.T) {
	text, err := os.ReadFile("testdata/v1/resolv.conf")
	if err != nil {
		t.Fatal(err)
	}
	st, ok := parse(text)
	if !ok || len(st.Tunnels) != 1 || st.Tunnels[0].Link != "wg0" || !st.Tunnels[0].AllNames ||
		string(st.Before.Content) != "nameserver 10.9.1.1\n" || st.Before.Mode != 0o644 {
		t.Errorf("ours %v, read as %+v", ok, st)
	}
}
