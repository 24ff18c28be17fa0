package diagnose

import (
	"strings"
	"testing"
)

func TestInLanguage(t *testing.T) {
	fix := []string{"# in [Peer] of bob (/etc/wireguard/wg0.toml):", "AllowedIPs = 10.0.0.0/8, fd00::/8", "Endpoint = HOST:PORT",
		"# or at once:", "wg set wg0 peer K allowed-ips 10.0.0.0/8",
		"# if it is one of yours, add it (/etc/wireguard/wg0.toml):", "[Peer]", "PublicKey = KEY", "PersistentKeepalive = 25",
		"# on 192.0.2.1, in its [Peer] for this host:", "PublicKey = OURS"}
	want := `# in [[peer]] of bob (/etc/wireguard/wg0.toml):
allowed_ips = ["10.0.0.0/8", "fd00::/8"]
endpoint = "HOST:PORT"
# or at once:
wg set wg0 peer K allowed-ips 10.0.0.0/8
# if it is one of yours, add it (/etc/wireguard/wg0.toml):
[[peer]]
public_key = "KEY"
persistent_keepalive = 25
# on 192.0.2.1, in its [Peer] for this host:
PublicKey = OURS`
	if got := strings.Join(InLanguage("/etc/wireguard/wg0.toml", fix), "\n"); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	if got := InLanguage("/etc/wireguard/wg0.conf", fix); strings.Join(got, "\n") != strings.Join(fix, "\n") {
		t.Errorf("a .conf has another language: %v", got)
	}

	s := tell(SideA)
	s.Config, s.Peer, s.Flow.Probe.Done = "/etc/wireguard/wg0.toml", nil, true
	s.Nearest = &Peer{Key: bobKey, Name: "bob"}
	if v, _ := s.Judge(now); v.Code != NoAllowedIPsMatch || !strings.Contains(strings.Join(v.Fix, "\n"), `allowed_ips = ["192.168.200.22/32"]`) {
		t.Errorf("%+v", v)
	}
}
