package config

import (
	"strings"
	"testing"
)

func TestListen(t *testing.T) {
	for _, tc := range []struct{ text, want, fails string }{
		{text: "127.0.0.1:9586", want: "127.0.0.1:9586"},
		{text: "127.8.9.10:1", want: "127.8.9.10:1"},
		{text: "[::1]:9586", want: "[::1]:9586"},
		{text: "unix:/run/wgnode/wg0.metrics", want: "unix:/run/wgnode/wg0.metrics"},
		{text: "unix:/run/../run/x", want: "unix:/run/x"},
		{text: "unix:sub/x", want: "unix:/etc/wireguard/sub/x"},
		{text: "0.0.0.0:9586", fails: "is not a loopback address"},
		{text: "192.168.1.1:9586", fails: "is not a loopback address"},
		{text: "[::]:9586", fails: "is not a loopback address"},
		{text: "[fe80::1%eth0]:9586", fails: "is not a loopback address"},
		{text: "[::1%lo]:9586", fails: "is a loopback address with a zone"},
		{text: ":9586", fails: "is none of 127.0.0.1:PORT"},
		{text: "localhost:9586", fails: "is none of 127.0.0.1:PORT"},
		{text: "127.0.0.1", fails: "is none of 127.0.0.1:PORT"},
		{text: "127.0.0.1:0", fails: "is none of 127.0.0.1:PORT"},
		{text: "/run/x", fails: "lacks the unix: of a socket in front"},
		{text: "unix:", fails: "is not the absolute path of a socket"},
		{text: "unix:@abstract", want: "unix:/etc/wireguard/@abstract"},
		{text: "unix:/" + strings.Repeat("x", 107), fails: "108 bytes long: the kernel takes at most 107"},
	} {
		c, err := ParseTOML(strings.NewReader("[interface]\n[metrics]\nlisten = \""+tc.text+"\""), "/etc/wireguard/wg0.toml")
		switch {
		case tc.fails == "" && err != nil:
			t.Errorf("%s: %v", tc.text, err)
		case tc.fails == "" && c.Metrics.Listen.String() != tc.want:
			t.Errorf("%s became %s", tc.text, c.Metrics.Listen)
		case tc.fails != "" && (err == nil || !strings.HasPrefix(err.Error(), "/etc/wireguard/wg0.toml:3: listen: ") ||
			!strings.Contains(err.Error(), tc.fails)):
			t.Errorf("%s: error %v, want one with %q", tc.text, err, tc.fails)
		}
	}
	// Of a flag, a path has no folder to be relative to.
	if _, err := ParseListen("unix:x"); err == nil {
		t.Error("a relative path was taken")
	}
	// Others may ask where a file says who they are.
	const guarded = "[interface]\n[metrics]\nweb_config = \"web.yml\"\nlisten = \"[::]:9586\""
	if c, err := ParseTOML(strings.NewReader(guarded), "/etc/wireguard/wg0.toml"); err != nil || !c.Metrics.Listen.Beyond() ||
		c.Metrics.WebConfig != "/etc/wireguard/web.yml" {
		t.Errorf("%+v, %v", c, err)
	}
	if l := (Listen{}); !l.IsZero() || l.String() != "" {
		t.Errorf("nowhere is %q", l)
	}
}
