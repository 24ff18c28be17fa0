package config

import (
	"errors"
	"slices"
	"strings"
	"testing"
)

// What the files of tomlErrorTests have in common.
var (
	tomlInterface = "[interface]\n"
	tomlPeer      = "[[peer]]\n"
	peerKey       = "public_key = \"" + pubA + "\"\n"
	portForward   = "[[interface.port_forward]]\nprotocol = \"tcp\"\nport = 80\nto = \"10.0.0.2:80\"\n"
)

// tomlErrorTests are files with a fault each, and what is said of it.
var tomlErrorTests = []struct{ text, want string }{
	// Keys and tables.
	{"mtu = 1400", "wg0.toml:1: mtu belongs in [interface], not in the top of the file"},
	{"\n\nname = \"x\"", "wg0.toml:3: name belongs in [interface], not in the top of the file"},
	{"[interfaces]\nmtu = 1", `wg0.toml:1: unknown key "interfaces" (did you mean interface?)`},
	{"[Interface]\nmtu = 1", `wg0.toml:1: unknown key "Interface" (did you mean interface?)`},
	{"[colours]", `wg0.toml:1: unknown table "colours": there are [interface], [metrics], [[peer]], ` +
		`[socks5], [http_proxy], [[forward]], [[remote_forward]], [route], [dns] and [telemetry]`},
	{"[peer]\n" + peerKey, "wg0.toml:1: write [[peer]], in two brackets: there may be more of them"},
	{"[[interface]]", "wg0.toml:1: write [interface], in single brackets: there is only one"},
	{"peer = 5", "wg0.toml:1: peer is an integer: want a table [[peer]]"},
	{"peer = [5]", "wg0.toml:1: item 1 is an integer: write each as [[peer]]"},
	{"[[port_forward]]", `wg0.toml:1: unknown key "port_forward" (did you mean [[interface.port_forward]]?)`},
	{tomlInterface + "[[interface.peer]]", `wg0.toml:2: unknown key "peer" (did you mean [[peer]]?)`},
	{tomlInterface + "listenport = 1", `wg0.toml:2: unknown key "listenport" (did you mean listen_port?)`},
	{tomlInterface + "PostUp = []", `wg0.toml:2: unknown key "PostUp" (did you mean post_up?)`},
	{tomlInterface + "adress = []", `wg0.toml:2: unknown key "adress" (did you mean address?)`},
	{tomlInterface + "colour = \"red\"", `wg0.toml:2: unknown key "colour"`},
	{tomlInterface + "allowed_ips = []", "wg0.toml:2: allowed_ips belongs in [[peer]], not in [interface]"},
	{tomlInterface + "PublicKey = 1", "wg0.toml:2: public_key belongs in [[peer]], not in [interface]"},
	{tomlPeer + peerKey + "listen_port = 1", "wg0.toml:3: listen_port belongs in [interface], not in [[peer]]"},
	{"[metrics]", "wg0.toml:1: listen: missing in this [metrics]"},
	// Types.
	{tomlInterface + "mtu = \"1400\"", "wg0.toml:2: mtu: is a string, want an integer"},
	{tomlInterface + "mtu = 1400.0", "wg0.toml:2: mtu: is a float, want an integer"},
	{tomlInterface + "address = \"10.0.0.1\"", `wg0.toml:2: address: is a string, want an array of strings: write address = ["..."]`},
	{tomlInterface + "address = [\n\"10.0.0.1\",\n5]", "wg0.toml:4: address: item 2 is an integer, want a string"},
	{tomlInterface + "name = 5", "wg0.toml:2: name: is an integer, want a string"},
	{tomlInterface + "forward = \"yes\"", "wg0.toml:2: forward: is a string, want true or false"},
	{tomlInterface + "table = true", "wg0.toml:2: table: is a boolean, want an integer or a string"},
	{tomlInterface + "private_key = 1979-05-27", "wg0.toml:2: private_key: is a date or time, want a string"},
	{tomlInterface + "kill_switch = {}", "wg0.toml:2: kill_switch: is a table, want true or false"},
	{tomlInterface + "endpoint = 1\n" + tomlPeer + peerKey + "endpoint = [\"a:1\"]",
		"wg0.toml:2: endpoint belongs in [[peer]], not in [interface]\n" +
			"wg0.toml:5: endpoint: is an array, want a string"},
	// Values.
	{tomlInterface + "name = \"a/b\"", `wg0.toml:2: name: "a/b" is not the name of an interface: at most 15 letters, digits and _=+.-`},
	{tomlInterface + "listen_port = 65536", `wg0.toml:2: listen_port: port "65536" is not 0 to 65535`},
	{tomlInterface + "listen_port = -1", `wg0.toml:2: listen_port: port "-1" is not 0 to 65535`},
	{tomlInterface + "fwmark = 0x1_0000_0000", `wg0.toml:2: fwmark: "4294967296" is neither off nor 0 to 0xffffffff`},
	{tomlInterface + "mtu = 67", `wg0.toml:2: mtu: "67" is not an MTU: want 68 to 65535 bytes`},
	{tomlInterface + "table = \"here\"",
		`wg0.toml:2: table: "here" is neither auto nor off, nor the number of a table, ` +
			`nor a name in /etc/iproute2/rt_tables or rt_tables.d`},
	{tomlInterface + "address = [\n  \"10.0.0.1/33\",\n  \"10.0.0.1, 10.0.0.2\"\n]",
		`wg0.toml:3: address: "10.0.0.1/33" is not an IP address with an optional /LENGTH` + "\n" +
			`wg0.toml:4: address: "10.0.0.1, 10.0.0.2" is not an IP address with an optional /LENGTH`},
	{tomlInterface + "dns = [\"lan\"]", `wg0.toml:2: dns: "lan" is not an IP address: domains belong under search`},
	{tomlInterface + "search = [\"10.0.0.1\"]", `wg0.toml:2: search: "10.0.0.1" is not a domain: name servers belong under dns`},
	{tomlInterface + "search = [\"a,b\"]", `wg0.toml:2: search: "a,b" is not a domain`},
	{tomlInterface + "resolver = \"bind\"", `wg0.toml:2: resolver: "bind" is none of systemd-resolved, resolvconf, file, off`},
	{tomlInterface + "post_up = [\" \"]", "wg0.toml:2: post_up: is empty: leave it out"},
	{tomlInterface + "post_up = [\"a\\u0000b\"]", "wg0.toml:2: post_up: holds a zero byte"},
	{tomlInterface + "private_key = \"\"", "wg0.toml:2: private_key: is empty: leave it out"},
	{tomlInterface + "private_key = \"" + privText[1:] + "\"", "wg0.toml:2: private_key: not a key: want 44 characters of base64"},
	{tomlInterface + "private_key_file = \"k\"\nprivate_key = \"" + privText + "\"",
		"wg0.toml:3: private_key: line 2 has private_key_file already: keep one of them"},
	{tomlInterface + "private_key_credential = \"a/b\"",
		`wg0.toml:2: private_key_credential: "a/b" is not the name of a credential: it is a file right in $CREDENTIALS_DIRECTORY`},
	{tomlInterface + "exclude = [\"lan\"]", `wg0.toml:2: exclude: "lan" is not an IP address with an optional /LENGTH`},
	{tomlInterface + "masquerade = [\"eth 0\"]", `wg0.toml:2: masquerade: "eth 0" is not the name of an interface`},
	{tomlInterface + "peers_file = \"peers.txt\"", `wg0.toml:2: peers_file: "peers.txt" is neither a .toml nor a .conf`},
	{portForward + "from = \"a b\"", `wg0.toml:5: from: "a b" is not the name of an interface`},
	{"[[interface.port_forward]]\nprotocol = \"sctp\"\nport = 0\nto = \"10.0.0.2\"",
		`wg0.toml:2: protocol: "sctp" is neither tcp nor udp` + "\n" +
			`wg0.toml:3: port: "0" is not a port: want 1 to 65535` + "\n" +
			`wg0.toml:4: to: "10.0.0.2" is not ADDRESS:PORT, an IPv6 address in brackets`},
	{tomlInterface + "[[interface.port_forward]]", "wg0.toml:2: protocol: missing in this [[interface.port_forward]]\n" +
		"wg0.toml:2: port: missing in this [[interface.port_forward]]\n" +
		"wg0.toml:2: to: missing in this [[interface.port_forward]]"},
	{portForward + portForward, "wg0.toml:5: port: tcp port 80 is forwarded to 10.0.0.2:80 already"},
	{tomlPeer + "name = \"a\"\n\n" + tomlPeer + peerKey + tomlPeer,
		"wg0.toml:1: public_key: missing in this [[peer]]\nwg0.toml:6: public_key: missing in this [[peer]]"},
	{tomlPeer + peerKey + "name = \" a\\u001b\"",
		`wg0.toml:3: name: " a\x1b" begins or ends with white space, or holds what cannot be printed`},
	{tomlPeer + peerKey + "endpoint = \"example.com\"",
		`wg0.toml:3: endpoint: "example.com" has no port: want HOST:PORT, such as example.com:51820`},
	{tomlPeer + peerKey + "allowed_ips = [\"::ffff:10.0.0.0/104\"]",
		`wg0.toml:3: allowed_ips: "::ffff:10.0.0.0/104" is an IPv4 address in IPv6 notation: write it as IPv4`},
	{tomlPeer + peerKey + "persistent_keepalive = 65536", `wg0.toml:3: persistent_keepalive: "65536" is neither off nor 1 to 65535 seconds`},
	{tomlPeer + peerKey + "preshared_key = \"x\"\npreshared_key_command = \"y\"",
		"wg0.toml:3: preshared_key: not a key: want 44 characters of base64\n" +
			"wg0.toml:4: preshared_key_command: line 3 has preshared_key already: keep one of them"},
	// Syntax.
	{tomlInterface + "mtu = 1400\nmtu = 1400", "wg0.toml:3: mtu: is there twice: TOML wants each key once, and each [table] once"},
	{tomlInterface + "mtu = 1400\n" + tomlInterface, "wg0.toml:3: interface: is there twice: TOML wants each key once, and each [table] once"},
	{tomlInterface + "mtu", "wg0.toml:2: neither [TABLE] nor KEY = VALUE"},
	{tomlInterface + "mtu = \n", "wg0.toml:2: mtu: the value is missing, or is text without quotes"},
	{tomlInterface + "name = wg0", "wg0.toml:2: name: the value is missing, or is text without quotes"},
	{tomlInterface + "address = [10.0.0.1]", "wg0.toml:2: address: neither a number nor text in quotes"},
	{tomlInterface + "name = \"wg0\nmtu = 5", "wg0.toml:2: name: the text does not end on its line: the closing quote is missing, " +
		"or has a backslash in front"},
	{tomlInterface + "post_up = [\"a\" \"b\"]", "wg0.toml:2: post_up: want a comma or the closing bracket: text is in quotes"},
	{tomlInterface + "post_up = [\"a\\d\"]", "wg0.toml:2: post_up: a backslash that TOML does not know: write it twice, or put the " +
		"text in 'single quotes'"},
	{tomlInterface + "name = \"\xff\"", "wg0.toml:2: name: is not UTF-8"},
	{tomlInterface + "mtu = 1400 mtu = 5", "wg0.toml:2: more follows on the line: want one KEY = VALUE a line, and text in quotes"},
	{"\ufeff" + tomlInterface + "mtu = 5", "wg0.toml:2: mtu: \"5\" is not an MTU: want 68 to 65535 bytes"},
	{"\xff\xfe[\x00i\x00", "wg0.toml:1: is UTF-16: save it as UTF-8"},
	{tomlInterface + "mtu = \x00", "wg0.toml:2: mtu: holds a control character: not a text file, or an escape is needed"},
	{tomlInterface + "PrivateKey " + privText, "wg0.toml:2: neither [TABLE] nor KEY = VALUE"},
	{"[interface\nmtu = 5", "wg0.toml:1: the name of a table is malformed: want [interface], [[peer]] and the like"},
}

// Every fault is told with its place, and with what to do about it.
func TestTOMLErrors(t *testing.T) {
	for _, tc := range tomlErrorTests {
		c, err := ParseTOML(strings.NewReader(tc.text), "wg0.toml")
		if err == nil || err.Error() != tc.want {
			t.Errorf("%q:\n got %v\nwant %s", tc.text, err, tc.want)
		}
		var first *Error
		if c != nil || !errors.As(err, &first) || first.File != "wg0.toml" || first.Line == 0 {
			t.Errorf("%q: got config %v, first error %+v", tc.text, c, first)
		}
	}
}

func TestTOMLTooDeep(t *testing.T) {
	_, err := ParseTOML(strings.NewReader("[interface]\naddress = "+strings.Repeat("[", 8<<20)), "wg0.toml")
	if err == nil || err.Error() != "wg0.toml:2: brackets in brackets without end" {
		t.Errorf("got %v", err)
	}
	_, err = ParseTOML(strings.NewReader("[interface]\naddress = "+strings.Repeat("[", maxDepth-2)+
		strings.Repeat("]", maxDepth-2)), "wg0.toml")
	if err == nil || err.Error() != "wg0.toml:2: address: item 1 is an array, want a string" {
		t.Errorf("got %v", err)
	}
}

func TestTOMLName(t *testing.T) {
	for path, want := range map[string]string{"/etc/wg1.toml": "wg1", "": "", "my.tunnel.toml": "my.tunnel"} {
		if c, err := ParseTOML(strings.NewReader(""), path); err != nil || c.Name != want {
			t.Errorf("%s: %+v, %v", path, c, err)
		}
	}
	const want = "a name.toml:2: name: missing, and the name of the file is not one of an interface: write name = \"wg0\" in [interface]"
	if _, err := ParseTOML(strings.NewReader("\n[interface]\n"), "a name.toml"); err == nil || err.Error() != want {
		t.Errorf("got %v", err)
	}
}

func TestTOMLWarnings(t *testing.T) {
	pub := func(k string) string { return "[[peer]]\npublic_key = \"" + k + "\"\n" }
	c := mustParseTOML(t, "[interface]\nkill_switch_lan = true\nexclude = [\"10.0.0.1/8\"]\n"+
		pub(pubA)+"allowed_ips = [\n\"10.0.0.7/24\"]\n"+pub(pubB)+"allowed_ips = [\"10.0.0.0/24\"]\n"+pub(pubA))
	want := []string{
		"/etc/wireguard/wg0.toml:3: exclude: 10.0.0.1/8 has a nonzero host part, 10.0.0.0/8 is used",
		"/etc/wireguard/wg0.toml:2: kill_switch_lan: has no effect without kill_switch = true",
		"/etc/wireguard/wg0.toml:7: allowed_ips: 10.0.0.7/24 has a nonzero host part, 10.0.0.0/24 is used",
		"/etc/wireguard/wg0.toml:10: allowed_ips: 10.0.0.0/24 was given to peer AAAAAAAA… before; only peer BBBBBBBB… gets it",
		"/etc/wireguard/wg0.toml:11: public_key: the same as in line 4: they are one peer, and the later allowed_ips count",
	}
	if got := c.Warnings(); !slices.Equal(got, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}
