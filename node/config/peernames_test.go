package config

import (
	"strings"
	"testing"

	"github.com/wgnode/wgnode/probe/key"
)

func TestPeerNames(t *testing.T) {
	a, b := key.Public{1}, key.Public{2}
	fill := strings.NewReplacer("KEY-A", a.Base64(), "KEY-B", b.Base64())
	for _, test := range []struct {
		name, text string
		want       map[key.Public]string
	}{
		{"wg-quick", "[Interface]\nPrivateKey = x\n\n[Peer]\n# Name = office\nPublicKey = KEY-A\n\n" +
			"### Client laptop\n[Peer]\npublickey=KEY-B # his\n",
			map[key.Public]string{a: "office"}},
		{"generator", "### Client laptop\n[Peer]\npublickey=KEY-B\n", map[key.Public]string{b: "laptop"}},
		{"systemd-networkd", "[NetDev]\nName=wg0\nKind=wireguard\n\n[WireGuardPeer]\n; Name = office\nPublicKey=KEY-A\nAllowedIPs=10.0.0.2/32\n" +
			"[WireGuardPeer]\nPublicKey=KEY-B\n", map[key.Public]string{a: "office"}},
		{"NetworkManager", "[connection]\ntype=wireguard\n\n[wireguard-peer.KEY-A]\n# Name = office\nendpoint=a:1\n\n[wireguard-peer.KEY-B]\n",
			map[key.Public]string{a: "office"}},
		{"one key, two names", "[Peer]\n# Name = a\nPublicKey = KEY-A\n[Peer]\n# Name = b\nPublicKey = KEY-A\n", nil},
		{"no keys", "[Peer]\n# Name = a\n[Peer]\n# Name = b\nPublicKey = nonsense\n", nil},
		{"nothing of it", "\x00\x01 [", nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			got := PeerNames(fill.Replace(test.text))
			if len(got) != len(test.want) {
				t.Errorf("%v, want %v", got, test.want)
			}
			for k, name := range test.want {
				if got[k] != name {
					t.Errorf("%v is %q, want %q", k, got[k], name)
				}
			}
		})
	}
}
