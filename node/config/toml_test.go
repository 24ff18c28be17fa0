package config

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"strings"
	"testing"
	"time"

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
	cmpopts.IgnoreUnexported(Config{}, Interface{}, Metrics{}, Telemetry{}, Peer{}, Services{}, Proxy{}, Forward{}),
	cmpopts.EquateComparable(netip.Prefix{}, netip.Addr{}, netip.AddrPort{}),
	cmpopts.EquateEmpty(),
	cmp.Comparer(func(a, b key.Private) bool { return a == b }),
	cmp.Comparer(func(a, b key.Preshared) bool { return a == b }),
	cmpopts.IgnoreFields(Peer{}, "Line"),
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
