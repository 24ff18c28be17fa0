//go:build linux

package system

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/wgnode/wgnode/node/lab"
	"github.com/wgnode/wgnode/node/lab/sitetest"
	"github.com/wgnode/wgnode/probe/schema/schematest"
)

// For scripts: what is as the file says stays, and is said to be unchanged; a check changes
// nothing, and says what would.
func TestApply(t *testing.T) {
	lab.Need(t, "bash", "ip", "ps", "wg")
	t.Parallel()
	s := newSite(t, false)
	write := func(text string) { s.A.WriteFile("/etc/wireguard/wg0.conf", text, 0o600) }
	apply := func(status int, word string, flags ...string) string {
		t.Helper()
		out, got, err := s.A.Try(append([]string{"sh", "-c", `"$@" 2>/run/said`, "sh", s.Wgnode, "apply", "wg0"}, flags...)...)
		if said := s.A.ReadFile("/run/said"); err != nil || got != status || out != word+"\n" {
			t.Fatalf("apply %v: status %d, %q, %v\n%s", flags, got, out, err, said)
		}
		return s.A.ReadFile("/run/said")
	}
	write(s.ConfA.Text)
	before := sitetest.HostState(s.A)
	if said := apply(3, "changed", "--check"); !strings.Contains(said, " up dev wg0\n") {
		t.Errorf("a check says\n%s", said)
	}
	sitetest.Unchanged(t, s.A, before)
	if said := apply(0, "changed"); !strings.Contains(said, "[#] ip ") {
		t.Errorf("apply says\n%s", said)
	}
	for _, flags := range [][]string{nil, {"--check"}, {"-q"}} {
		if said := apply(0, "unchanged", flags...); said != "" {
			t.Errorf("%v: once more it says\n%s", flags, said)
		}
	}
	if out := s.A.Run(s.Wgnode, "up", "wg0", "--if-needed"); !strings.Contains(out, "is up, and as /etc/wireguard/wg0.conf says") {
		t.Errorf("up: %s", out)
	}
	sitetest.Fails(t, s.A, 1, "wg0 is already up", s.Wgnode, "up", "wg0")

	applyChanges(s, write, apply)

	// What another program changed is put right, too.
	s.A.Run("ip", "route", "del", "10.55.0.0/16")
	apply(3, "changed", "--check", "--quiet")
	apply(0, "changed")
	apply(0, "unchanged", "--check")
	write("[Interface]\nMTU = x\n")
	sitetest.Fails(t, s.A, 1, "/etc/wireguard/wg0.conf:2: MTU", s.Wgnode, "apply", "wg0", "--check")
	s.A.Run(s.Wgnode, "down", "wg0")
	write(s.ConfA.Text)
	if out := s.A.Run(s.Wgnode, "up", "wg0", "--quiet", "--if-needed"); out != "" {
		t.Errorf("quietly it says\n%s", out)
	}
	s.A.Run(s.Wgnode, "down", "wg0")
}

// applyChanges makes each kind of change: of the device, of the host, of what only counts
// later.
func applyChanges(s *site, write func(string), apply func(status int, word string, flags ...string) string) {
	t := s.T
	t.Helper()
	for _, change := range []struct{ old, new, says string }{
		{"[Peer]", "[Peer]\nPersistentKeepalive = 21", "[#] wg set wg0 peer " + s.Gateway.Public + " persistent-keepalive 21\n"},
		{"AllowedIPs = ", "AllowedIPs = 10.55.0.0/16, ", "[#] ip -4 route add 10.55.0.0/16 dev wg0"},
		{"10.0.0.1/24", "10.0.0.3/24", "[#] ip -4 address add 10.0.0.3/24 dev wg0\n[#] ip -4 address delete 10.0.0.1/24 dev wg0\n"},
		{"[Interface]", "[Interface]\nPostDown = true", "PostDown"},
	} {
		now := everythingOf(s)
		s.ConfA.Replace(t, change.old, change.new)
		write(s.ConfA.Text)
		says := apply(3, "changed", "--check")
		dry := s.A.Run(s.Wgnode, "reload", "wg0", "--dry-run")
		if change.says != "PostDown" && (!strings.Contains(says, change.says) || dry != says) {
			t.Errorf("%s: a check says\n%s\na dry run\n%s", change.new, says, dry)
		}
		sitetest.Fails(t, s.A, 1, "wg0 is up, and not as /etc/wireguard/wg0.conf says", s.Wgnode, "up", "wg0", "--if-needed")
		if got := everythingOf(s); got != now {
			t.Errorf("%s: a check has led to\n%s\nwas\n%s", change.new, got, now)
		}
		out, status, err := s.A.Try(s.Wgnode, "apply", "wg0", "--json")
		var r struct {
			Changed bool     `json:"changed"`
			Action  string   `json:"action"`
			Lines   []string `json:"lines"`
		}
		if err != nil || status != 0 || json.Unmarshal([]byte(out), &r) != nil || !r.Changed || r.Action != "reload" ||
			schematest.Validate("apply", []byte(out)) != nil {
			t.Errorf("%s: status %d, %v\n%s", change.new, status, err, out)
		}
		if did := strings.Join(append(r.Lines, ""), "\n"); did != says {
			t.Errorf("%s: it would do\n%sand did\n%s", change.new, says, did)
		}
		apply(0, "unchanged")
	}
}
