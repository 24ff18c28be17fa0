package naming

import (
	"bytes"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/wgnode/wgnode/probe/key"
	"github.com/wgnode/wgnode/probe/recording"
)

// TestInOrder: lo is an interface of every host.
func TestInOrder(t *testing.T) {
	for _, test := range []struct{ args, node, dest string }{
		{args: "10.0.0.2", dest: "10.0.0.2"},
		{args: "lo", dest: "lo"},
		{args: "lo 10.0.0.2:80", node: "lo", dest: "10.0.0.2:80"},
		{args: "10.0.0.2:80 lo", node: "lo", dest: "10.0.0.2:80"},
		{args: "[fd0a::2]:80 lo", node: "lo", dest: "[fd0a::2]:80"},
		{args: "fd0a::2 wg9", node: "wg9", dest: "fd0a::2"}, // wg9 does not run: that is the error
		{args: "web lo", node: "lo", dest: "web"},
		{args: "web:80 lo", node: "lo", dest: "web:80"},
		{args: "lo web:80", node: "lo", dest: "web:80"},
		{args: "lo lo", node: "lo", dest: "lo"},
		{args: "wg9 web", node: "wg9", dest: "web"},
	} {
		nodes, dest := inOrder(strings.Fields(test.args))
		want := strings.Fields(test.node)
		if !slices.Equal(nodes, want) || dest != test.dest {
			t.Errorf("%s: %q and %q, want %q and %q", test.args, nodes, dest, want, test.dest)
		}
	}
}

// A recording is looked at before a name is asked for, and its peers have names.
func TestRecordedTarget(t *testing.T) {
	prefix := netip.MustParsePrefix
	meta := recording.Meta{Interface: "wg0", Peers: []recording.Peer{
		{ID: 1, PublicKey: key.Public{1}, Name: "office", Configured: true,
			AllowedIPs: []netip.Prefix{prefix("10.1.0.0/16"), prefix("10.0.0.3/32")}},
		{ID: 2, PublicKey: key.Public{2}, Name: "site", Configured: true, AllowedIPs: []netip.Prefix{prefix("10.2.0.0/16")}},
	}}
	var b bytes.Buffer
	w, err := recording.NewWriter(&b, &meta)
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Close(recording.Loss{}); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "r.pcapng")
	if err := os.WriteFile(path, b.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		path, dest, want, err string
		found                 bool
	}{
		{path: path, dest: "office", want: "10.0.0.3:0", found: true},
		{path: path, dest: "office:53", want: "10.0.0.3:53", found: true},
		{path: path, dest: "site", err: "only networks (10.2.0.0/16)", found: true},
		{path: path, dest: "example"},
		{path: path + "x", dest: "office", err: "no such file"},
	} {
		got, found, err := RecordedTarget(c.path, c.dest)
		if found != c.found || (err != nil) != (c.err != "") || err != nil && !strings.Contains(err.Error(), c.err) ||
			c.want != "" && got.String() != c.want {
			t.Errorf("%s: %v, %v, %v", c.dest, got, found, err)
		}
	}
}
