package fix

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
)

// languages are those of configurations, with what TestLines says in each.
var languages = []struct {
	name, file string
	want       []string
}{
	{name: "wg-quick", file: "/etc/wireguard/wg0.conf", want: []string{
		"# if it is behind bob, in [Peer] of bob (/etc/wireguard/wg0.conf):",
		"AllowedIPs = 10.0.0.0/8, fd00::/8",
		"Endpoint = HOST:PORT",
		"MTU = 1420",
		"# or at once:",
		"wg set 'wg 0' peer KEY allowed-ips 10.0.0.0/8",
		"# if it is one of yours, add it (/etc/wireguard/wg0.conf):",
		"[Peer]",
		"PublicKey = KEY",
		"# on 192.0.2.1, in its [Peer] for this host:",
		"PersistentKeepalive = 25",
		`allow = ["10.0.0.0/8", "tcp:192.0.2.7/32:80"]`,
		"--route-for-peers 10.0.0.0/8",
	}},
	{name: "TOML", file: "/etc/wireguard/wg0.toml", want: []string{
		"# if it is behind bob, in [[peer]] of bob (/etc/wireguard/wg0.toml):",
		`allowed_ips = ["10.0.0.0/8", "fd00::/8"]`,
		`endpoint = "HOST:PORT"`,
		"mtu = 1420",
		"# or at once:",
		"wg set 'wg 0' peer KEY allowed-ips 10.0.0.0/8",
		"# if it is one of yours, add it (/etc/wireguard/wg0.toml):",
		"[[peer]]",
		`public_key = "KEY"`,
		"# on 192.0.2.1, in its [Peer] for this host:",
		"PersistentKeepalive = 25",
		`allow = ["10.0.0.0/8", "tcp:192.0.2.7/32:80"]`,
		"--route-for-peers 10.0.0.0/8",
	}},
	{name: "networkd", file: "/etc/systemd/network/wg0.netdev", want: []string{
		"# if it is behind bob, in [WireGuardPeer] of bob (/etc/systemd/network/wg0.netdev):",
		"AllowedIPs = 10.0.0.0/8, fd00::/8",
		"Endpoint = HOST:PORT",
		"MTUBytes = 1420",
		"# or at once:",
		"wg set 'wg 0' peer KEY allowed-ips 10.0.0.0/8",
		"# if it is one of yours, add it (/etc/systemd/network/wg0.netdev):",
		"[WireGuardPeer]",
		"PublicKey = KEY",
		"# on 192.0.2.1, in its [Peer] for this host:",
		"PersistentKeepalive = 25",
		`allow = ["10.0.0.0/8", "tcp:192.0.2.7/32:80"]`,
		"--route-for-peers 10.0.0.0/8",
	}},
	{name: "NetworkManager", file: "/etc/NetworkManager/system-connections/wg0.nmconnection", want: []string{
		"# if it is behind bob, in [wireguard-peer.KEY] of bob (/etc/NetworkManager/system-connections/wg0.nmconnection):",
		"allowed-ips=10.0.0.0/8;fd00::/8;",
		"endpoint=HOST:PORT",
		"mtu=1420",
		"# or at once:",
		"wg set 'wg 0' peer KEY allowed-ips 10.0.0.0/8",
		"# if it is one of yours, add it (/etc/NetworkManager/system-connections/wg0.nmconnection):",
		"[wireguard-peer.KEY]",
		"# the heading has the public key",
		"# on 192.0.2.1, in its [Peer] for this host:",
		"PersistentKeepalive = 25",
		`allow = ["10.0.0.0/8", "tcp:192.0.2.7/32:80"]`,
		"--route-for-peers 10.0.0.0/8",
	}},
}

// The lines of steps are in the language of the file that they belong into, whatever
// the steps before them are about.
func TestLines(t *testing.T) {
	steps := func(file string) Steps {
		bob := Where{File: file, Section: "Peer", Peer: "KEY", Name: "bob"}
		added := Where{File: file, Section: "Peer"}
		return Steps{
			Notef("if it is behind bob, in %s:", bob),
			Config(bob, "AllowedIPs", "10.0.0.0/8, fd00::/8"),
			Config(bob, "Endpoint", "HOST:PORT"),
			Config(Where{File: file, Section: "Interface"}, "MTU", "1420"),
			Note("or at once:"),
			Command("wg set %s peer KEY allowed-ips 10.0.0.0/8", "wg 0"),
			Notef("if it is one of yours, add it%s:", added.InFile()),
			Heading(added),
			Config(added, "PublicKey", "KEY"),
			Note("on 192.0.2.1, in its [Peer] for this host:"),
			Config(Where{Host: "192.0.2.1", Section: "Peer"}, "PersistentKeepalive", "25"),
			Config(Where{File: "wgnode.toml", Section: "route"}, "allow", "10.0.0.0/8, tcp:192.0.2.7/32:80"),
			Config(Where{}, "--route-for-peers", "10.0.0.0/8"),
		}
	}
	for _, c := range languages {
		if got := steps(c.file).Lines(); !slices.Equal(got, c.want) {
			t.Errorf("%s: got\n%s\nwant\n%s", c.name, strings.Join(got, "\n"), strings.Join(c.want, "\n"))
		}
	}
	if got := steps("").Lines()[0]; got != "# if it is behind bob, in [Peer] of bob:" {
		t.Errorf("without a file: %s", got)
	}
}

// A file is applied by the program that it is for.
func TestApply(t *testing.T) {
	for file, want := range map[string]string{
		"/etc/wireguard/wg0.conf":         "wg-quick strip wg0 | wg syncconf wg0 /dev/stdin",
		"/etc/systemd/network/wg0.netdev": "networkctl reload",
		"/etc/NetworkManager/system-connections/wg0.nmconnection": "nmcli connection load " +
			"/etc/NetworkManager/system-connections/wg0.nmconnection",
		"": "# apply it as wg0 was configured: by wg set, or the program that has made it",
	} {
		if got := Apply("wg0", file).Lines(); got[0] != want {
			t.Errorf("%q: %q", file, got)
		}
	}
}

// Steps that another host is to do name it, and keep the host that they name.
func TestOn(t *testing.T) {
	steps := Steps{Check("wg show"), Command("true").On("carol")}.On("bob")
	want := Steps{Note("on bob:"), {Kind: KindCheck, Where: Where{Host: "bob"}, Command: "wg show"},
		{Kind: KindCommand, Where: Where{Host: "carol"}, Command: "true"}}
	if !slices.Equal(steps, want) {
		t.Errorf("got %+v, want %+v", steps, want)
	}
	if none := Steps(nil).On("bob"); len(none) != 0 {
		t.Errorf("of nothing to do: %+v", none)
	}
}

// The JSON form is a contract: names and what is left out.
func TestJSON(t *testing.T) {
	steps := Steps{Note("then:"), Config(Where{File: "f.conf", Section: "Peer", Peer: "KEY", Name: "bob"}, "MTU", "1400"),
		Check("ss -ulnp").On("bob")}
	const want = `[{"kind":"note","note":"then:"},` +
		`{"kind":"config","where":{"file":"f.conf","section":"Peer","peer":"KEY","peer_name":"bob"},"key":"MTU","value":"1400"},` +
		`{"kind":"check","where":{"host":"bob"},"command":"ss -ulnp"}]`
	b, err := json.Marshal(steps)
	if err != nil || string(b) != want {
		t.Errorf("got %s (%v), want %s", b, err, want)
	}
	var back Steps
	if err := json.Unmarshal(b, &back); err != nil || !slices.Equal(back, steps) {
		t.Errorf("read back: %+v, %v", back, err)
	}
}

// Lines of a version without steps are read, and written as they were.
func TestFromLines(t *testing.T) {
	lines := []string{"# on bob:", "wg show", "PresharedKey = ..."}
	steps := FromLines(lines)
	if steps[0] != Note("on bob:") || !slices.Equal(steps.Lines(), lines) {
		t.Errorf("got %+v", steps)
	}
}
