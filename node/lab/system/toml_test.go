//go:build linux

package system

import (
	"strings"
	"testing"

	"github.com/wgnode/wgnode/node/lab"
	"github.com/wgnode/wgnode/node/lab/sitetest"
)

// A tunnel comes up from a .toml as from the .conf that it was made of, with
// its key from a command and its peers from a file that both hosts could share.
func TestUpFromTOML(t *testing.T) {
	lab.Need(t, "bash", "curl", "ip", "ps", "wg")
	t.Parallel()
	s := newSite(t, false)
	before := sitetest.HostState(s.A)
	s.Up(s.H, s.ConfH)

	s.A.WriteFile("/etc/wireguard/wg0.conf", s.ConfA.Text, 0o600)
	stripped := s.A.Run(s.Wgnode, "strip", "wg0")
	text := s.A.Run(s.Wgnode, "convert", "wg0")
	s.A.Run("rm", "/etc/wireguard/wg0.conf")

	iface, peers, _ := strings.Cut(text, "[[peer]]")
	start, rest, _ := strings.Cut(iface, `private_key = "`)
	private, rest, ok := strings.Cut(rest, `"`)
	if !ok || peers == "" {
		t.Fatalf("convert printed\n%s", text)
	}
	public := s.A.Run("sh", "-c", "echo '"+private+"' | wg pubkey")
	self := "[[peer]]\nname = \"self\"\npublic_key = \"" + strings.TrimSpace(public) + "\"\nallowed_ips = [\"0.0.0.0/0\"]\n\n"
	s.A.WriteFile("/etc/wireguard/office.toml", start+`private_key_command = "cat /etc/wireguard/key"`+
		"\npeers_file = \"shared/peers.toml\""+rest, 0o600)
	s.A.WriteFile("/etc/wireguard/key", private+"\n", 0o600)
	s.A.Run("mkdir", "/etc/wireguard/shared")
	s.A.WriteFile("/etc/wireguard/shared/peers.toml", self+"[[peer]]"+peers, 0o600)

	// The same to wg, but for the order of keys.
	sorted := func(text string) string {
		return s.A.Run("sh", "-c", "tr -d ' ' <<'END' | grep = | grep -v '^#' | sort\n"+text+"\nEND\n")
	}
	if again := s.A.Run(s.Wgnode, "strip", "office"); sorted(again) != sorted(stripped) {
		t.Errorf("strip printed\n%s\nof the .conf\n%s", again, stripped)
	}
	if out := s.A.Run(s.Wgnode, "up", "office"); strings.Contains(out, private) {
		t.Error("up shows the key")
	}
	if got := s.A.Run("curl", "-sS", "http://"+s.Web()); got != "hello" {
		t.Errorf("curl printed %q", got)
	}
	s.A.Run(s.Wgnode, "save", "office")
	saved := s.A.ReadFile("/etc/wireguard/office.toml")
	if strings.Contains(saved, private) || strings.Contains(saved, "[[peer]]") || !strings.Contains(saved, "private_key_command") {
		t.Errorf("saved was\n%s", saved)
	}
	s.A.Run(s.Wgnode, "down", "office")
	sitetest.Unchanged(t, s.A, before)

	// A key that cannot be had changes nothing.
	s.A.Run("rm", "/etc/wireguard/key")
	sitetest.Fails(t, s.A, 1, "office.toml:3: private_key_command: run command: exit status 1", s.Wgnode, "up", "office")
	sitetest.Unchanged(t, s.A, before)
}
