//go:build linux

package system

import (
	"encoding/json"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/wgnode/wgnode/node/lab"
	"github.com/wgnode/wgnode/node/lab/sitetest"
	"github.com/wgnode/wgnode/probe/schema/schematest"
)

// keysIn are the private and preshared keys in a text.
func keysIn(text string) (secrets []string) {
	for _, m := range regexp.MustCompile(`(?mi)^(?:private_?key|preshared_?key) = "?([^"\s]+)`).FindAllStringSubmatch(text, -1) {
		secrets = append(secrets, m[1])
	}
	return secrets
}

// hasNone wants none of the secrets in a text.
func hasNone(t *testing.T, what, text string, secrets []string) {
	t.Helper()
	for _, s := range secrets {
		if strings.Contains(text, s) {
			t.Errorf("%s holds a secret:\n%s", what, text)
		}
	}
}

// A peer is added to the file and to the tunnel that runs from it, and goes again; what
// fails leaves both as they were.
func TestPeer(t *testing.T) {
	lab.Need(t, "bash", "ip", "ps", "wg")
	t.Parallel()
	for file, text := range map[string]string{"/etc/wireguard/wgs.conf": wordConf, "/etc/wireguard/wgs.toml": wordTOML} {
		t.Run(file, func(t *testing.T) {
			t.Parallel()
			h, wgnode := lab.New(t).Host("h"), lab.Wgnode(t)
			text := "# ours\n" + strings.NewReplacer("KEY", lab.NewKey(t).Private, "PUBLIC", lab.NewKey(t).Public).Replace(text)
			h.WriteFile(file, text, 0o640)
			h.Run("ip", "link", "set", "lo", "up")
			h.Run(wgnode, "up", "wgs")

			// The peer's file goes to standard output alone, and nothing else does.
			h.Run("sh", "-c", wgnode+" peer add phone --endpoint vpn.example >/run/phone 2>/run/said")
			own, said, now := h.ReadFile("/run/phone"), h.ReadFile("/run/said"), h.ReadFile(file)
			for _, want := range []string{"Address = 10.66.0.3/32\n", "Endpoint = vpn.example:51998\n", "AllowedIPs = 10.66.0.0/24\n"} {
				if !strings.Contains(own, want) {
					t.Errorf("%q is not in\n%s", want, own)
				}
			}
			if !strings.HasPrefix(now, text) || !strings.Contains(now, "phone") {
				t.Errorf("the file is\n%s\nwas\n%s", now, text)
			}
			if mode := h.Run("stat", "-c", "%a", file); mode != "640\n" {
				t.Errorf("mode %s", mode)
			}
			hasNone(t, "standard error", said, append(keysIn(own), keysIn(now)...))
			hasNone(t, "the server's file", now, keysIn(own)[:1])
			if out := h.Run("wg", "show", "wgs", "allowed-ips"); !strings.Contains(out, "\t10.66.0.3/32\n") {
				t.Errorf("the tunnel has\n%s", out)
			}

			// What cannot be changes nothing.
			state := func() string {
				return h.ReadFile(file) + h.Run("sh", "-c", "wg show wgs allowed-ips | sort; ls /etc/wireguard")
			}
			before := state()
			sitetest.Fails(t, h, 1, "has a peer phone already", wgnode, "peer", "add", "Phone", "--endpoint", "x")
			sitetest.Fails(t, h, 1, "10.66.0.2 is peer", wgnode, "peer", "add", "x", "--endpoint", "x", "--address", "10.66.0.2")
			sitetest.Fails(t, h, 1, "is as it was before", "bash", "-c", // to a reader that has gone
				"exec 3> >(exit); wait $!; "+wgnode+" peer add x --endpoint x --keep >&3")
			if got := state(); got != before {
				t.Errorf("after failures\n%s\nwas\n%s", got, before)
			}
			manyPeers(t, h, wgnode)
			if got := state(); got != before {
				t.Errorf("after all were removed\n%s\nwas\n%s", got, before)
			}
			h.Run(wgnode, "down", "wgs")
		})
	}
}

// manyPeers adds some at a time, each of which gets an address of its own, and removes them.
func manyPeers(t *testing.T, h *lab.Host, wgnode string) {
	t.Helper()
	names := []string{"a", "b", "c", "d"}
	var all sync.WaitGroup
	for _, name := range names {
		all.Go(func() { h.Run(wgnode, "peer", "add", name, "--endpoint", "x", "--keep", "-w", "/run/"+name) })
	}
	all.Wait()
	var list struct {
		Peers []struct {
			Name    string   `json:"name"`
			Allowed []string `json:"allowed_ips"`
			Kept    string   `json:"kept"`
		} `json:"peers"`
	}
	out := h.Run(wgnode, "peer", "list", "--json")
	if err := schematest.Validate("peer-list", []byte(out)); err != nil {
		t.Error(err)
	}
	if err := json.Unmarshal([]byte(out), &list); err != nil {
		t.Fatal(err)
	}
	seen := make(map[string]string)
	for _, p := range list.Peers {
		if other, ok := seen[p.Allowed[0]]; ok || (p.Kept != "") != slices.Contains(names, p.Name) {
			t.Errorf("%s has %s, as %q has; kept %q", p.Name, p.Allowed[0], other, p.Kept)
		}
		seen[p.Allowed[0]] = p.Name
	}
	if len(seen) != 6 {
		t.Errorf("peers: %s", out)
	}
	if h.Run(wgnode, "peer", "show", "c") != h.ReadFile("/run/c") {
		t.Error("what is kept is not what was written")
	}
	sitetest.Fails(t, h, 1, "wgnode peer rm phone wgs && wgnode peer add phone wgs --keep", wgnode, "peer", "show", "phone", "--qr")
	for _, name := range names {
		h.Run(wgnode, "peer", "rm", name)
	}
}

// A tunnel that cannot take the file over keeps what it has, and the file is as it was;
// another program's is told by hand.
func TestPeerOfTunnelsThatRefuse(t *testing.T) {
	lab.Need(t, "bash", "ip", "ps", "wg", "wg-quick")
	t.Parallel()
	l, wgnode := lab.New(t), lab.Wgnode(t)
	h := l.Host("h")
	l.Link(h.End("eth0", "10.77.0.1/24"), l.Host("r").End("eth0"))
	text := strings.NewReplacer("KEY", lab.NewKey(t).Private, "PUBLIC", lab.NewKey(t).Public).Replace(wordConf)
	h.WriteFile("/etc/wireguard/wgs.conf", text, 0o600)
	h.Run("ip", "link", "set", "lo", "up")
	h.Run(wgnode, "up", "wgs")
	text += "[Peer]\nPublicKey = " + lab.NewKey(t).Public + "\nAllowedIPs = 10.77.0.0/24\n"
	h.WriteFile("/etc/wireguard/wgs.conf", text, 0o600)
	sitetest.Fails(t, h, 1, "/etc/wireguard/wgs.conf is as it was before",
		wgnode, "peer", "add", "x", "--endpoint", "x", "--keep", "-w", "/run/x")
	if now := h.ReadFile("/etc/wireguard/wgs.conf"); now != text {
		t.Errorf("the file is\n%s", now)
	}
	out := h.Run("sh", "-c", "ls /etc/wireguard; ls /run/x 2>&1 || true")
	if strings.Contains(out, "peers") || !strings.Contains(out, "No such file") {
		t.Errorf("left: %s", out)
	}
	h.Run(wgnode, "down", "wgs")

	h.Run("sh", "-c", "mkdir -p /run/bin && ln -s "+wgnode+" /run/bin/wireguard-go && sed -i /10.77/d /etc/wireguard/wgs.conf && "+
		"PATH=/run/bin:$PATH wg-quick up wgs")
	out = h.Run(wgnode, "peer", "add", "x", "--endpoint", "x", "-w", "/run/x")
	const words = "wg syncconf wgs <(wg-quick strip wgs)"
	if !strings.Contains(out, words) {
		t.Fatalf("printed\n%s", out)
	}
	h.Run("bash", "-c", words)
	if out := h.Run("wg", "show", "wgs", "allowed-ips"); !strings.Contains(out, "10.66.0.3/32") {
		t.Errorf("the tunnel has\n%s", out)
	}
	h.Run("wg-quick", "down", "wgs")
}
