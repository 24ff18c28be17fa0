package node

import (
	"strings"
	"testing"

	"github.com/wgnode/wgnode/node/config"
)

// Hooks that change the firewall are told from others.
func TestCheckFirewall(t *testing.T) {
	for command, want := range map[string]string{
		"iptables -I OUTPUT ! -o %i -m mark ! --mark $(wg show %i fwmark) -j REJECT && ip6tables -I OUTPUT -j REJECT": "iptables",
		"/usr/sbin/ip6tables-restore <rules":                            "ip6tables-restore",
		"sysctl -w net.ipv4.ip_forward=1; nft -f /etc/wireguard/%i.nft": "nft",
		"ufw route allow in on %i":                                      "ufw",
		"echo up":                                                       "",
		"/etc/wireguard/nft.sh":                                         "",
		"ip rule add table 7":                                           "",
	} {
		err := checkFirewall(&config.Config{Interface: config.Interface{PostUp: []string{"true", command}}})
		if (err == nil) != (want == "") || err != nil && !strings.HasPrefix(err.Error(), "PostUp runs "+want+", ") {
			t.Errorf("%s: %v, want %q", command, err, want)
		}
	}
	// When it goes down there is nothing to keep in any more.
	if err := checkFirewall(&config.Config{Interface: config.Interface{PostDown: []string{"iptables -F"}}}); err != nil {
		t.Error(err)
	}
}
