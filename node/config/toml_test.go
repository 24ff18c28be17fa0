package config

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/BurntSushi/toml"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/wgnode/wgnode/probe/key"
)

// fullTOML has every key, in spellings that only a careful reader places.
var fullTOML = `# a comment
[interface]
mtu = 1380 # a comment
name = "wg7"
"private\u005fkey_command" = '''pass show "wg"'''
address = [
  "10.0.0.1/24", # first
  "fd00::1",
]
listen_port = 0xca6c
fwmark = "off"
dns = ["10.0.0.53"]
search = ["corp.example", "lan"]
resolver = "systemd-resolved"
table = 1234
pre_up = ["echo \"#1\" # kept"]
post_up = ["""
one
two %i
""", 'three']
pre_down = ["four"]
post_down = ["five"]
save_config = true
kill_switch = true
kill_switch_lan = true
exclude = ["192.168.0.0/16"]
forward = true
masquerade = ["eth0"]
peers_file = "../peers.toml"

[[interface.port_forward]]
protocol = "tcp"
port = 8080
to = "10.0.0.2:80"
[[interface.port_forward]]
protocol = "udp"
from = "eth0"
port = 53
to = "[fd00::2]:53"

[[peer]]
name = "office router #1"
public_key = "` + pubA + `"
preshared_key = "` + pskText + `"
endpoint = "vpn.example.com:51820"
allowed_ips = ["10.1.0.0/16", "fd02::/64"]
persistent_keepalive = 25
[[peer]]
public_key = "` + pubB + `"
preshared_key_file = "psk"
endpoint = "[fd00::9]:1234"
allowed_ips = ["+10.2.0.0/16", "-10.3.0.0/16"]
persistent_keepalive = "off"
[metrics]
listen = "unix:wg0.metrics"

[socks5]
listen = 1080
user = "alice"
password_file = "proxy.password"
[[http_proxy]]
listen = "[::1]:8118"
[[http_proxy]]
listen = "0.0.0.0:8119"
user = "bob"
password = "open sesame"
[[forward]]
protocol = "udp"
listen = "127.0.0.1:5353"
to = "ns.corp.example:53"
idle_timeout = 90
[[remote_forward]]
protocol = "tcp"
listen = 22
to = "localhost:22"
[route]
allow = ["10.8.0.7/16", "tcp:192.0.2.1:443", "udp:[2001:db8::/32]:8000-8999"]
[dns]
listen = "127.0.0.1:53"
prefer = "ipv4"
`

func mustParseTOML(t *testing.T, text string) *Config {
	t.Helper()
	c, err := ParseTOML(strings.NewReader(text), "/etc/wireguard/wg0.toml")
	if err != nil {
		t.Fatalf("refused:\n%v", err)
	}
	return c
}

func TestParseTOMLEverything(t *testing.T) {
	c := mustParseTOML(t, fullTOML)
	psk, _ := key.ParsePreshared(pskText)
	a, _ := key.ParsePublic(pubA)
	b, _ := key.ParsePublic(pubB)
	want := &Config{
		Path: "/etc/wireguard/wg0.toml",
		Name: "wg7",
		Interface: Interface{
			PrivateKeyFrom: Source{SourceCommand, `pass show "wg"`}, ListenPort: 51820,
			Addresses: prefixes("10.0.0.1/24", "fd00::1/128"),
			DNS:       []netip.Addr{netip.MustParseAddr("10.0.0.53")},
			Search:    []string{"corp.example", "lan"},
			Resolver:  "systemd-resolved",
			MTU:       1380, Table: 1234,
			PreUp: []string{`echo "#1" # kept`}, PostUp: []string{"one\ntwo %i", "three"},
			PreDown: []string{"four"}, PostDown: []string{"five"},
			SaveConfig: true, KillSwitch: true, KillSwitchLAN: true,
			Exclude: prefixes("192.168.0.0/16"),
			Forward: true, Masquerade: []string{"eth0"},
			PortForwards: []PortForward{
				{"tcp", "", 8080, netip.MustParseAddrPort("10.0.0.2:80")},
				{"udp", "eth0", 53, netip.MustParseAddrPort("[fd00::2]:53")},
			},
			PeersFile: "/etc/peers.toml",
		},
		Metrics: Metrics{Listen: Listen{"unix", "/etc/wireguard/wg0.metrics"}},
		Peers: []Peer{{
			Name: "office router #1", PublicKey: a, PresharedKey: psk,
			Endpoint: "vpn.example.com:51820", AllowedIPs: prefixes("10.1.0.0/16", "fd02::/64"),
			PersistentKeepalive: 25,
		}, {
			PublicKey: b, PresharedKeyFrom: Source{SourceFile, "/etc/wireguard/psk"}, Endpoint: "[fd00::9]:1234",
			AllowedIPs: prefixes("10.2.0.0/16"), Removed: prefixes("10.3.0.0/16"), Incremental: true,
		}},
		Services: Services{
			SOCKS5:         []Proxy{{Listen: "127.0.0.1:1080", User: "alice", PasswordFrom: Source{SourceFile, "/etc/wireguard/proxy.password"}}},
			HTTP:           []Proxy{{Listen: "[::1]:8118"}, {Listen: "0.0.0.0:8119", User: "bob", Password: "open sesame"}},
			Forwards:       []Forward{{Protocol: "udp", Listen: "127.0.0.1:5353", To: "ns.corp.example:53", IdleTime: 90 * time.Second}},
			RemoteForwards: []Forward{{Protocol: "tcp", Listen: ":22", To: "localhost:22"}},
			Routes: []PeerRoute{{"", netip.MustParsePrefix("10.8.0.0/16"), 0, 0}, {"tcp", netip.MustParsePrefix("192.0.2.1/32"), 443, 443},
				{"udp", netip.MustParsePrefix("2001:db8::/32"), 8000, 8999}},
			DNS: []string{"127.0.0.1:53"}, PreferIPv4: true,
		},
	}
	if c.Comments() != 3 {
		t.Errorf("%d comments, want 3", c.Comments())
	}
	if w := c.Warnings(); w != nil {
		t.Errorf("warns: %v", w)
	}
	lines := fmt.Sprint(c.Interface.lines["MTU"], c.Interface.lines["PrivateKey"], c.Interface.lines["PostUp"],
		c.Interface.lines["SaveConfig"],
		c.Interface.lines["port_forward"], c.Peers[1].Line, c.Peers[1].AllowedIPsLine(netip.MustParsePrefix("10.3.0.0/16")))
	if lines != "3 5 17 23 31 48 52" {
		t.Errorf("lines %s", lines)
	}
	if diff := cmp.Diff(want, forgetLines(c), same); diff != "" {
		t.Errorf("want -, got +\n%s", diff)
	}
}

// same compares what a Config means. A secret's own text says nothing.
var same = cmp.Options{
	cmpopts.IgnoreUnexported(Config{}, Interface{}, Metrics{}, Peer{}, Services{}, Proxy{}, Forward{}),
	cmpopts.EquateComparable(netip.Prefix{}, netip.Addr{}, netip.AddrPort{}),
	cmpopts.EquateEmpty(),
	cmp.Comparer(func(a, b key.Private) bool { return a == b }),
	cmp.Comparer(func(a, b key.Preshared) bool { return a == b }),
	cmpopts.IgnoreFields(Peer{}, "Line"),
}

// Every fault is told with its place, and with what to do about it.
func TestTOMLErrors(t *testing.T) {
	const i = "[interface]\n"
	const p = "[[peer]]\n"
	pub := "public_key = \"" + pubA + "\"\n"
	forward := "[[interface.port_forward]]\nprotocol = \"tcp\"\nport = 80\nto = \"10.0.0.2:80\"\n"
	for _, tc := range []struct{ text, want string }{
		// Keys and tables.
		{"mtu = 1400", "wg0.toml:1: mtu belongs in [interface], not in the top of the file"},
		{"\n\nname = \"x\"", "wg0.toml:3: name belongs in [interface], not in the top of the file"},
		{"[interfaces]\nmtu = 1", `wg0.toml:1: unknown key "interfaces" (did you mean interface?)`},
		{"[Interface]\nmtu = 1", `wg0.toml:1: unknown key "Interface" (did you mean interface?)`},
		{"[colours]", `wg0.toml:1: unknown table "colours": there are [interface], [metrics], [[peer]], [socks5], [http_proxy], [[forward]], [[remote_forward]], [route] and [dns]`},
		{"[peer]\n" + pub, "wg0.toml:1: write [[peer]], in two brackets: there may be more of them"},
		{"[[interface]]", "wg0.toml:1: write [interface], in single brackets: there is only one"},
		{"peer = 5", "wg0.toml:1: peer is an integer: want a table [[peer]]"},
		{"peer = [5]", "wg0.toml:1: item 1 is an integer: write each as [[peer]]"},
		{"[[port_forward]]", `wg0.toml:1: unknown key "port_forward" (did you mean [[interface.port_forward]]?)`},
		{i + "[[interface.peer]]", `wg0.toml:2: unknown key "peer" (did you mean [[peer]]?)`},
		{i + "listenport = 1", `wg0.toml:2: unknown key "listenport" (did you mean listen_port?)`},
		{i + "PostUp = []", `wg0.toml:2: unknown key "PostUp" (did you mean post_up?)`},
		{i + "adress = []", `wg0.toml:2: unknown key "adress" (did you mean address?)`},
		{i + "colour = \"red\"", `wg0.toml:2: unknown key "colour"`},
		{i + "allowed_ips = []", "wg0.toml:2: allowed_ips belongs in [[peer]], not in [interface]"},
		{i + "PublicKey = 1", "wg0.toml:2: public_key belongs in [[peer]], not in [interface]"},
		{p + pub + "listen_port = 1", "wg0.toml:3: listen_port belongs in [interface], not in [[peer]]"},
		{"[metrics]", "wg0.toml:1: listen: missing in this [metrics]"},
		// Types.
		{i + "mtu = \"1400\"", "wg0.toml:2: mtu: is a string, want an integer"},
		{i + "mtu = 1400.0", "wg0.toml:2: mtu: is a float, want an integer"},
		{i + "address = \"10.0.0.1\"", `wg0.toml:2: address: is a string, want an array of strings: write address = ["..."]`},
		{i + "address = [\n\"10.0.0.1\",\n5]", "wg0.toml:4: address: item 2 is an integer, want a string"},
		{i + "name = 5", "wg0.toml:2: name: is an integer, want a string"},
		{i + "forward = \"yes\"", "wg0.toml:2: forward: is a string, want true or false"},
		{i + "table = true", "wg0.toml:2: table: is a boolean, want an integer or a string"},
		{i + "private_key = 1979-05-27", "wg0.toml:2: private_key: is a date or time, want a string"},
		{i + "kill_switch = {}", "wg0.toml:2: kill_switch: is a table, want true or false"},
		{i + "endpoint = 1\n" + p + pub + "endpoint = [\"a:1\"]", "wg0.toml:2: endpoint belongs in [[peer]], not in [interface]\n" +
			"wg0.toml:5: endpoint: is an array, want a string"},
		// Values.
		{i + "name = \"a/b\"", `wg0.toml:2: name: "a/b" is not the name of an interface: at most 15 letters, digits and _=+.-`},
		{i + "listen_port = 65536", `wg0.toml:2: listen_port: port "65536" is not 0 to 65535`},
		{i + "listen_port = -1", `wg0.toml:2: listen_port: port "-1" is not 0 to 65535`},
		{i + "fwmark = 0x1_0000_0000", `wg0.toml:2: fwmark: "4294967296" is neither off nor 0 to 0xffffffff`},
		{i + "mtu = 67", `wg0.toml:2: mtu: "67" is not an MTU: want 68 to 65535 bytes`},
		{i + "table = \"here\"",
			`wg0.toml:2: table: "here" is neither auto nor off, nor the number of a table, ` +
				`nor a name in /etc/iproute2/rt_tables or rt_tables.d`},
		{i + "address = [\n  \"10.0.0.1/33\",\n  \"10.0.0.1, 10.0.0.2\"\n]",
			`wg0.toml:3: address: "10.0.0.1/33" is not an IP address with an optional /LENGTH` + "\n" +
				`wg0.toml:4: address: "10.0.0.1, 10.0.0.2" is not an IP address with an optional /LENGTH`},
		{i + "dns = [\"lan\"]", `wg0.toml:2: dns: "lan" is not an IP address: domains belong under search`},
		{i + "search = [\"10.0.0.1\"]", `wg0.toml:2: search: "10.0.0.1" is not a domain: name servers belong under dns`},
		{i + "search = [\"a,b\"]", `wg0.toml:2: search: "a,b" is not a domain`},
		{i + "resolver = \"bind\"", `wg0.toml:2: resolver: "bind" is none of systemd-resolved, resolvconf, file, off`},
		{i + "post_up = [\" \"]", "wg0.toml:2: post_up: is empty: leave it out"},
		{i + "post_up = [\"a\\u0000b\"]", "wg0.toml:2: post_up: holds a zero byte"},
		{i + "private_key = \"\"", "wg0.toml:2: private_key: is empty: leave it out"},
		{i + "private_key = \"" + privText[1:] + "\"", "wg0.toml:2: private_key: not a key: want 44 characters of base64"},
		{i + "private_key_file = \"k\"\nprivate_key = \"" + privText + "\"",
			"wg0.toml:3: private_key: line 2 has private_key_file already: keep one of them"},
		{i + "private_key_credential = \"a/b\"",
			`wg0.toml:2: private_key_credential: "a/b" is not the name of a credential: it is a file right in $CREDENTIALS_DIRECTORY`},
		{i + "exclude = [\"lan\"]", `wg0.toml:2: exclude: "lan" is not an IP address with an optional /LENGTH`},
		{i + "masquerade = [\"eth 0\"]", `wg0.toml:2: masquerade: "eth 0" is not the name of an interface`},
		{i + "peers_file = \"peers.txt\"", `wg0.toml:2: peers_file: "peers.txt" is neither a .toml nor a .conf`},
		{forward + "from = \"a b\"", `wg0.toml:5: from: "a b" is not the name of an interface`},
		{"[[interface.port_forward]]\nprotocol = \"sctp\"\nport = 0\nto = \"10.0.0.2\"",
			`wg0.toml:2: protocol: "sctp" is neither tcp nor udp` + "\n" +
				`wg0.toml:3: port: "0" is not a port: want 1 to 65535` + "\n" +
				`wg0.toml:4: to: "10.0.0.2" is not ADDRESS:PORT, an IPv6 address in brackets`},
		{i + "[[interface.port_forward]]", "wg0.toml:2: protocol: missing in this [[interface.port_forward]]\n" +
			"wg0.toml:2: port: missing in this [[interface.port_forward]]\n" +
			"wg0.toml:2: to: missing in this [[interface.port_forward]]"},
		{forward + forward, "wg0.toml:5: port: tcp port 80 is forwarded to 10.0.0.2:80 already"},
		{p + "name = \"a\"\n\n" + p + pub + p,
			"wg0.toml:1: public_key: missing in this [[peer]]\nwg0.toml:6: public_key: missing in this [[peer]]"},
		{p + pub + "name = \" a\\u001b\"", `wg0.toml:3: name: " a\x1b" begins or ends with white space, or holds what cannot be printed`},
		{p + pub + "endpoint = \"example.com\"", `wg0.toml:3: endpoint: "example.com" has no port: want HOST:PORT, such as example.com:51820`},
		{p + pub + "allowed_ips = [\"::ffff:10.0.0.0/104\"]",
			`wg0.toml:3: allowed_ips: "::ffff:10.0.0.0/104" is an IPv4 address in IPv6 notation: write it as IPv4`},
		{p + pub + "persistent_keepalive = 65536", `wg0.toml:3: persistent_keepalive: "65536" is neither off nor 1 to 65535 seconds`},
		{p + pub + "preshared_key = \"x\"\npreshared_key_command = \"y\"",
			"wg0.toml:3: preshared_key: not a key: want 44 characters of base64\n" +
				"wg0.toml:4: preshared_key_command: line 3 has preshared_key already: keep one of them"},
		// Syntax.
		{i + "mtu = 1400\nmtu = 1400", "wg0.toml:3: mtu: is there twice: TOML wants each key once, and each [table] once"},
		{i + "mtu = 1400\n" + i, "wg0.toml:3: interface: is there twice: TOML wants each key once, and each [table] once"},
		{i + "mtu", "wg0.toml:2: neither [TABLE] nor KEY = VALUE"},
		{i + "mtu = \n", "wg0.toml:2: mtu: the value is missing, or is text without quotes"},
		{i + "name = wg0", "wg0.toml:2: name: the value is missing, or is text without quotes"},
		{i + "address = [10.0.0.1]", "wg0.toml:2: address: neither a number nor text in quotes"},
		{i + "name = \"wg0\nmtu = 5", "wg0.toml:2: name: the text does not end on its line: the closing quote is missing, " +
			"or has a backslash in front"},
		{i + "post_up = [\"a\" \"b\"]", "wg0.toml:2: post_up: want a comma or the closing bracket: text is in quotes"},
		{i + "post_up = [\"a\\d\"]", "wg0.toml:2: post_up: a backslash that TOML does not know: write it twice, or put the " +
			"text in 'single quotes'"},
		{i + "name = \"\xff\"", "wg0.toml:2: name: is not UTF-8"},
		{i + "mtu = 1400 mtu = 5", "wg0.toml:2: more follows on the line: want one KEY = VALUE a line, and text in quotes"},
		{"\ufeff" + i + "mtu = 5", "wg0.toml:2: mtu: \"5\" is not an MTU: want 68 to 65535 bytes"},
		{"\xff\xfe[\x00i\x00", "wg0.toml:1: is UTF-16: save it as UTF-8"},
		{i + "mtu = \x00", "wg0.toml:2: mtu: holds a control character: not a text file, or an escape is needed"},
		{i + "PrivateKey " + privText, "wg0.toml:2: neither [TABLE] nor KEY = VALUE"},
		{"[interface\nmtu = 5", "wg0.toml:1: the name of a table is malformed: want [interface], [[peer]] and the like"},
	} {
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

// A key that ends up at a wrong place, or in a text that is not TOML, is not
// in the error.
func TestTOMLSecretsStayHidden(t *testing.T) {
	const secret = "mJ8Vq3Lw0Zt7Yb2Xc9Nd4Ke6Rf1Ga5Hs+Uo/PiQzTlA="
	texts := []string{
		"%s", "%s = 1", "[%s]", "[[%s]]", "[interface]\nprivate_key = %s", "[interface]\nprivate_key = \"%s", "[interface]\nprivate_key = '%s\n'",
		"[interface]\nprivate_key = \"x%s\"", "[interface]\nprivate_key = [\"%s\"]", "[interface]\nprivate_key = \"%[1]s\" \"%[1]s\"",
		"[interface]\nprivatekey = \"%s\"", "[interface]\n\"%s\" = 5", "[interface]\n%[1]s = 5\n%[1]s = 5", "[interface]\naddress = [\"%s\"]",
		"[interface]\naddress = [%s]", "[interface]\ntable = \"%s\"", "[interface]\nname = \"%s\"", "[interface]\nmtu = %s",
		"[interface]\nprivate_key = \"\"\"%s", "[interface]\nprivate_key = \"\\%s\"", "[interface]\nprivate_key = \"\\u%s\"",
		"[interface]\nprivate_key_file = 5\nprivate_key = \"%s\"", "[interface]\nsearch = [\"%s:\"]", "[interface]\nresolver = \"%s\"",
		"[interface]\nexclude = [\"%s\"]\nmasquerade = [\"%[1]s\"]", "[interface.%s]", "[interface]\n%[1]s.a = 1\n%[1]s = 5", "\"%s",
		"[[peer]]\nendpoint = \"%[1]s:5\"\nallowed_ips = [\"%[1]s\"]\npublic_key = \"%[1]s=\"\nname = \"\\u001b%[1]s\"",
		"[[peer]]\npreshared_key = \"%s\\n\"", "[[peer]]\npreshared_key = {%s = 1}", "[[peer]]\npreshared_key = {a = \"%s\"",
		"[socks5]\nlisten = \"%[1]s\"\nuser = \"%[1]s\"\npassword = [\"%[1]s\"]", "[socks5]\nlisten = 1\npassword = \"%s\"",
		"[[forward]]\nlisten = \"%[1]s\"\nto = \"%[1]s\"", "[dns]\nlisten = \"%[1]s\"\nprefer = \"%[1]s\"",
		"[[interface.port_forward]]\nprotocol = \"%[1]s\"\nfrom = \"%[1]s\"\nport = \"%[1]s\"\nto = \"%[1]s\"",
	}
	for _, text := range texts {
		text = fmt.Sprintf(text, secret)
		c, err := ParseTOML(strings.NewReader(text), "wg0.toml")
		if err == nil {
			t.Errorf("%q: accepted", text)
		}
		if leaked := leak(fmt.Sprintf("%v %+v %#v", err, c, c), secret); leaked != "" {
			t.Errorf("%q: %v holds %q of the key", text, err, leaked)
		}
		var all Errors
		if !errors.As(err, &all) || all[0].Line == 0 {
			t.Errorf("%q: %v has no place", text, err)
		}
	}
}

// leak returns a piece of secret that is in shown, or "".
func leak(shown, secret string) string {
	const long = 5
	for i := range len(secret) - long {
		if piece := secret[i : i+long]; strings.Contains(shown, piece) {
			return piece
		}
	}
	return ""
}

// What one format says the other says as well, and each reads what it wrote.
func TestRoundTrips(t *testing.T) {
	conf := mustParse(t, full)
	asTOML := mustParseTOML(t, written(t, conf.WriteTOML))
	again := mustParse(t, written(t, asTOML.WriteConf))
	for step, c := range map[string]*Config{"as TOML": asTOML, "as .conf again": again} {
		c.Path = conf.Path
		if diff := cmp.Diff(conf, c, same); diff != "" {
			t.Errorf("%s: was -, is +\n%s", step, diff)
		}
	}
	c := mustParseTOML(t, fullTOML)
	if diff := cmp.Diff(c, mustParseTOML(t, written(t, c.WriteTOML)), same); diff != "" {
		t.Errorf("TOML: was -, is +\n%s", diff)
	}
}

func written(t *testing.T, write func(io.Writer) error) string {
	t.Helper()
	var b bytes.Buffer
	if err := write(&b); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// What only a wgnode.toml can say does not get lost in a .conf.
func TestBeyondConf(t *testing.T) {
	c := mustParseTOML(t, fullTOML)
	var b bytes.Buffer
	err := c.WriteConf(&b)
	var beyond Errors
	if !errors.As(err, &beyond) || b.Len() > 0 {
		t.Fatalf("error %v, and written %q", err, b.String())
	}
	var got []string
	for _, e := range beyond {
		got = append(got, fmt.Sprintf("%d %s", e.Line, e.Key))
	}
	want := "[5 private_key_command 14 resolver 17 post_up 24 kill_switch 25 kill_switch_lan 26 exclude 27 forward 28 " +
		"masquerade 29 peers_file 31 port_forward 50 preshared_key_file 55 metrics 57 socks5 61 http_proxy 67 forward 72 " +
		"remote_forward 76 route 78 dns]"
	if fmt.Sprint(got) != want {
		t.Errorf("got  %v\nwant %s", got, want)
	}
}

func TestWriteTOMLRefusesOtherBytes(t *testing.T) {
	c := mustParse(t, "[Interface]\nPostUp = echo \xff\n")
	var b bytes.Buffer
	err := c.WriteTOML(&b)
	if err == nil || err.Error() != "/etc/wireguard/wg0.conf:2: PostUp: is not UTF-8, which a .toml is" || b.Len() > 0 {
		t.Errorf("error %v, and written %q", err, b.String())
	}
}

// The places that the scanner finds are those that the library decodes.
func FuzzPlaces(f *testing.F) {
	f.Add(fullTOML)
	f.Add("a = {b = [1, {c = 'x'}], d.e = \"\"\"\"\"\\\"\"\"\"\"\"}\n[[x]]\n[x.y]\nz=1\n[[x]]\n[[x.w]]\n[[x.w]]\n" +
		"'' = 1979-05-27 07:32:00 # }\n")
	f.Fuzz(func(t *testing.T, text string) {
		var root map[string]any
		if _, err := toml.Decode(text, &root); err != nil || !utf8.ValidString(text) || strings.HasPrefix(text, "\ufeff") {
			return // marks of the encoding at the beginning come to no scanner
		}
		at, _ := places(text)
		placed(t, text, root, at)
	})
}

func placed(t *testing.T, text string, v any, at *place) {
	if at.line < 1 || at.line > strings.Count(text, "\n")+1 {
		t.Errorf("line %d of %q", at.line, text)
	}
	if table, ok := v.(map[string]any); ok {
		for k, inner := range table {
			if at.keys[k] == nil {
				t.Fatalf("%q: key %q is nowhere", text, k)
			}
			placed(t, text, inner, at.keys[k])
		}
		return
	}
	array, _ := items(v)
	if len(array) != len(at.items) {
		t.Fatalf("%q: %d items, and %d places", text, len(array), len(at.items))
	}
	for i, item := range array {
		placed(t, text, item, at.items[i])
	}
}

func FuzzParseTOML(f *testing.F) {
	const secret = "mJ8Vq3Lw0Zt7Yb2Xc9Nd4Ke6Rf1Ga5Hs+Uo/PiQzTlA="
	f.Add(fullTOML)
	f.Add("[interface]\nprivate_key = \"@\"\npost_up = ['a', \"\"\"\nb\\\n  c\"\"\"]\ndns = [\"::1%x\"]\nsearch = ['é']\n")
	f.Add("peer = [{public_key = \"@\", allowed_ips = ['-10.0.0.0/8', \"::1\"], endpoint = 'a:1'}]\n\"@\" = @")
	f.Fuzz(func(t *testing.T, text string) {
		// Whatever happens around it, the key is not shown.
		text = strings.ReplaceAll(text, "@", secret)
		c, err := ParseTOML(strings.NewReader(text), "/etc/wireguard/wg0.toml")
		if err != nil {
			var es Errors
			if !errors.As(err, &es) {
				t.Fatalf("not an Errors: %v", err)
			}
			for _, e := range es {
				if last := strings.Count(text, "\n") + 1; e.Line < 1 || e.Line > last {
					t.Errorf("%v: not one of the %d lines", e, last)
				}
			}
			if leaked := leak(err.Error(), secret); leaked != "" {
				t.Errorf("%v holds %q of the key", err, leaked)
			}
			return
		}
		again, err := ParseTOML(strings.NewReader(written(t, c.WriteTOML)), "/etc/wireguard/wg0.toml")
		if err != nil {
			t.Fatalf("refuses its own text: %v\n%s", err, written(t, c.WriteTOML))
		}
		if diff := cmp.Diff(c, again, same); diff != "" {
			t.Errorf("became another one: was -, is +\n%s", diff)
		}
		if len(c.BeyondConf()) > 0 {
			return
		}
		text = written(t, c.WriteConf)
		if again, err = Parse(strings.NewReader(text), "/etc/wireguard/wg0.conf"); err != nil {
			t.Fatalf("as .conf: %v\n%s", err, text)
		}
		again.Name, again.Path = c.Name, c.Path
		if diff := cmp.Diff(c, again, same); diff != "" {
			t.Errorf("became another one as .conf: was -, is +\n%s", diff)
		}
	})
}

// FuzzParse has tried what a .conf says; here it goes by way of a .toml.
func FuzzConfByTOML(f *testing.F) {
	f.Add(full)
	f.Add("[Peer]\nPublicKey=" + pubA + "\nAllowedIPs=-10.0.0.0/8\nAllowedIPs = ::1\nEndpoint=[fe80::1%a]:7")
	f.Add("[Interface]\nDNS=corp\x7fexample")
	f.Fuzz(func(t *testing.T, text string) {
		c, err := Parse(strings.NewReader(text), "/etc/wireguard/wg0.conf")
		if err != nil {
			return
		}
		var b bytes.Buffer
		if err := c.WriteTOML(&b); err != nil {
			if strings.ToValidUTF8(text, "") != text {
				return
			}
			t.Fatal(err)
		}
		again, err := ParseTOML(&b, "/etc/wireguard/wg0.toml")
		if err != nil {
			t.Fatalf("refuses its own text: %v", err)
		}
		again, err = Parse(strings.NewReader(written(t, again.WriteConf)), "/etc/wireguard/wg0.conf")
		if err != nil {
			t.Fatalf("refuses its own text: %v", err)
		}
		for i := range c.Peers {
			if p := &c.Peers[i]; !p.Incremental {
				p.Removed = nil // says nothing: all are replaced
			}
		}
		if diff := cmp.Diff(c, again, same); diff != "" {
			t.Errorf("became another one: was -, is +\n%s", diff)
		}
		if !reflect.DeepEqual(c.AllowedRoutes(), again.AllowedRoutes()) {
			t.Errorf("routes %v became %v", c.AllowedRoutes(), again.AllowedRoutes())
		}
	})
}
