package tunnel

import (
	"fmt"
	"strings"
	"testing"

	"github.com/wgnode/wgnode/probe"
	"github.com/wgnode/wgnode/probe/key"
	"github.com/wgnode/wgnode/tunnel/internal/mirror"
	"github.com/wgnode/wgnode/tunnel/internal/tunneltest"
)

// However many peers come and go, as many are remembered as there may be, and one that
// comes back keeps its number if it was not away for long.
func TestRemovedPeersAreForgotten(t *testing.T) {
	if testing.Short() {
		t.Skip("thousands of peers, in short mode")
	}
	a, b := pair(t, nil)
	guests := func(n int) (keys []key.Public, add, remove string) {
		var in, out strings.Builder
		for range n {
			k := key.GeneratePrivate().Public()
			keys = append(keys, k)
			fmt.Fprintf(&in, "public_key=%x\n", k[:])
			fmt.Fprintf(&out, "public_key=%x\nremove=true\n", k[:])
		}
		return keys, in.String(), out.String()
	}
	set := func(config string) {
		t.Helper()
		if err := a.set(config); err != nil {
			t.Fatal(err)
		}
	}
	const round = 500
	var first, latest []key.Public
	ids := make(map[key.Public]probe.PeerID)
	var in, out string
	for range 3 * mirror.RemovedKept / round {
		latest, in, out = guests(round)
		set(in)
		for _, k := range latest {
			s, _ := a.StateOf(k)
			ids[k] = s.ID
		}
		set(out)
		if first == nil {
			first = latest
		}
	}
	if n := len(a.Peers()); n > 2*mirror.RemovedKept+round {
		t.Errorf("%d peers are remembered", n)
	}
	if _, _, ok := a.Peer(ids[first[0]]); ok {
		t.Error("the first is remembered")
	}
	if k, _, ok := a.Peer(ids[latest[0]]); !ok || k != latest[0] {
		t.Error("one of the last is forgotten")
	}
	set(in)
	for _, k := range latest {
		if s, ok := a.StateOf(k); !ok || s.ID != ids[k] {
			t.Fatalf("peer %d came back as %d, %v", ids[k], s.ID, ok)
		}
	}
	// What is replaced at once by the same peers, however many, is not gone.
	_, many, _ := guests(3 * mirror.RemovedKept)
	set(many)
	want := a.Peers()
	text := ""
	for _, s := range want {
		if s.Configured {
			text += fmt.Sprintf("public_key=%x\n", s.Key[:])
			if s.Key == b.key.Public() {
				text += fmt.Sprintf("endpoint=%s\nallowed_ip=%s/32\n", b.endpoint(), b.addr)
			}
		}
	}
	set("replace_peers=true\n" + text)
	for _, s := range want {
		if now, ok := a.StateOf(s.Key); s.Configured && (!ok || now.ID != s.ID) {
			t.Fatalf("peer %d is %d now, %v", s.ID, now.ID, ok)
		}
	}
	a.send(tunneltest.UDP4(a.addr, b.addr, 1, 1, 8))
	b.receive(t)
}
