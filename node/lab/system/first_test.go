//go:build linux

package system

import (
	"bytes"
	"encoding/json"
	"image"
	"image/color"
	"image/png"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/wgnode/wgnode/node/lab"
	"github.com/wgnode/wgnode/probe/schema/schematest"
)

// readQR reads what a terminal shows of a QR code, as a phone's camera would: white on black
// in characters of two modules each.
func readQR(t *testing.T, shown string) string {
	t.Helper()
	lines := strings.Split(strings.TrimRight(shown, "\n"), "\n")
	const scale = 4
	img := image.NewGray(image.Rect(0, 0, scale*len([]rune(lines[0])), 2*scale*len(lines)))
	for y, line := range lines {
		for x, r := range []rune(line) {
			for half, light := range []bool{r == '█' || r == '▀', r == '█' || r == '▄'} {
				for i := range scale * scale {
					if light {
						img.SetGray(x*scale+i%scale, (2*y+half)*scale+i/scale, color.Gray{255})
					}
				}
			}
		}
	}
	var b bytes.Buffer
	if err := png.Encode(&b, img); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "code.png")
	if err := os.WriteFile(path, b.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	text, err := exec.Command("zbarimg", "-q", "--raw", "-S", "disable", "-S", "qrcode.enable", path).Output()
	if err != nil {
		t.Fatalf("zbarimg: %v of\n%s", err, shown)
	}
	return strings.TrimRight(string(text), "\n") + "\n"
}

// internet is a server s and a phone p, each at its own provider of the internet r, which has
// a web server. The server has a firewall that lets nothing in, and nothing through.
func internet(t *testing.T) (s, r, p *lab.Host) {
	t.Helper()
	l := lab.New(t)
	s, r, p = l.Host("s"), l.Host("r"), l.Host("p")
	l.Link(s.End("eth0", "203.0.113.2/24", "2001:db8:1::2/64"), r.End("s", "203.0.113.1/24", "2001:db8:1::1/64"))
	l.Link(p.End("eth0", "198.51.100.2/24", "2001:db8:2::2/64"), r.End("p", "198.51.100.1/24", "2001:db8:2::1/64"))
	for _, name := range []string{"net.ipv4.ip_forward", "net.ipv6.conf.all.forwarding"} {
		r.Sysctl(name, "1")
	}
	for h, via := range map[*lab.Host][]string{s: {"203.0.113.1", "2001:db8:1::1"}, p: {"198.51.100.1", "2001:db8:2::1"}} {
		h.Route("default", via[0])
		h.Route("default", via[1])
	}
	r.Run("sh", "-c", "ip addr add 192.0.2.80/32 dev s && ip addr add 2001:db8:80::80/128 dev s nodad")
	r.ServeHTTP("192.0.2.80:80", "hello")
	r.ServeHTTP("[2001:db8:80::80]:80", "hello")
	s.RunInput(`table inet filter {
 chain input { type filter hook input priority 0; policy drop; iifname "lo" accept; ct state established,related accept
  meta l4proto { icmp, ipv6-icmp } accept; }
 chain forward { type filter hook forward priority 0; policy drop; }
}
`, "nft", "-f", "-")
	return s, r, p
}

// From nothing to a phone that is connected: three commands, and what they say is to be
// typed for the firewall.
func TestFirstServerAndPhone(t *testing.T) {
	lab.Need(t, "bash", "ip", "nft", "ps", "wg", "curl", "ping", "zbarimg")
	t.Parallel()
	s, r, p := internet(t)
	wgnode := lab.Wgnode(t)
	said := s.Run(wgnode, "init", "--json")
	if err := schematest.Validate("init", []byte(said)); err != nil {
		t.Errorf("%v in\n%s", err, said)
	}
	var first struct {
		Firewall  string
		Open      []string
		Notes     []string
		Addresses []string
		Next      []string
	}
	if err := json.Unmarshal([]byte(said), &first); err != nil {
		t.Fatal(err)
	}
	if len(first.Open) == 0 || len(first.Notes) > 0 || len(first.Addresses) != 2 {
		t.Errorf("init printed\n%s", said)
	}
	s.Run("sh", "-ec", strings.Join(first.Open, "\n"))
	said += s.Run("sh", "-c", wgnode+" up wg0 2>&1")
	s.Settle()
	shown := s.Run("sh", "-c", wgnode+" peer add phone --qr --full-tunnel 2>/run/said")
	said += s.ReadFile("/run/said")

	conf := readQR(t, shown)
	p.WriteFile("/etc/wireguard/wg0.conf", conf, 0o600)
	said += p.Run("sh", "-c", wgnode+" up wg0 2>&1")
	p.Settle()
	for _, a := range first.Addresses {
		p.Ping(strings.Split(a, "/")[0])
	}
	// All that the phone sends goes through the server, whose address the world sees.
	r.RunInput("table inet direct {\n chain c { type filter hook input priority 0\n"+
		" ip saddr 198.51.100.2 tcp dport 80 drop\n ip6 saddr 2001:db8:2::2 tcp dport 80 drop; }\n}\n", "nft", "-f", "-")
	for _, url := range []string{"http://192.0.2.80", "http://[2001:db8:80::80]"} {
		if got := p.Run("curl", "-sS", "-m", "20", url); got != "hello" {
			t.Errorf("%s: %q", url, got)
		}
	}

	server := s.ReadFile("/etc/wireguard/wg0.toml")
	secrets := append(keysIn(server), keysIn(conf)...)
	if len(secrets) != 4 { // two private ones, and one that both know
		t.Fatalf("%d secrets", len(secrets))
	}
	for _, h := range []*lab.Host{s, p} {
		said += h.Run("sh", "-c", "cat /proc/[0-9]*/cmdline | tr '\\0' ' '; cat /run/wgnode/*.json; "+
			wgnode+" doctor --json; "+wgnode+" peer list")
	}
	hasNone(t, "what was said", said, secrets)
	hasNone(t, "the server's file", server, keysIn(conf)[:1])

	// What init said let all in: for a further server on this host nothing is left to do.
	again := s.Run("sh", "-c", "cd /run && "+wgnode+" init ./wg1.conf")
	if strings.Contains(again, "51820") || strings.Contains(again, "51821 accept") == strings.Contains(again, "iifname wg0") {
		t.Errorf("init printed\n%s", again)
	}
	s.Run("sh", "-c", "cd /run && "+wgnode+" up ./wg1.conf && nft list table inet masquerade-wg1 && "+wgnode+" down ./wg1.conf")
	if out := s.Run("nft", "list", "tables"); strings.Contains(out, "masquerade-wg1") {
		t.Errorf("left: %s", out)
	}
	for _, h := range []*lab.Host{s, p} {
		h.Run(wgnode, "down", "wg0")
	}
}
