package config

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"reflect"
	"strings"
	"testing"

	"github.com/wgnode/wgnode/probe/key"
)

// Keys of nobody: the text of each is one letter again and again.
var (
	privText = strings.Repeat("S", 42) + "U="
	pskText  = strings.Repeat("Z", 42) + "Y="
	pubA     = strings.Repeat("A", 42) + "E="
	pubB     = strings.Repeat("B", 42) + "E="
)

// full has every key, in spellings that only a careful reader accepts.
var full = `# a comment = with an equals sign
[interface]
PRIVATEKEY = ` + privText + ` # comment
listenport=51820
FwMark = 0x10
Address = 10.0.0.1/24, fd00::1/64   10.0.1.1
address = fd01::1
DNS = 10.0.0.53, corp.example fd00::53
dns = lan
MTU = 1380
Table = 1234
PreUp = echo "#1" # kept
PostUp = one
PostUp = two %i
PreDown = three
PostDown = four
SaveConfig = TRUE

 [ Peer ]
# Name = office router #1
PublicKey = ` + pubA + `
PresharedKey=` + pskText + `
AllowedIPs = 10.1.0.0/16, 10.0.0.2
AllowedIPs = fd02::7/64
Endpoint = vpn.example.com : 51820
PersistentKeepalive = 25

[Peer]
PublicKey = ` + pubB + `
#friendly_name=Bob` + "\x1b[31m\u202e" + `
# Name = not this one
Endpoint = [fd00::9]:1234
AllowedIPs = +10.2.0.0/16,-10.3.0.0/16
PersistentKeepalive = off`

func prefixes(s ...string) []netip.Prefix {
	var ps []netip.Prefix
	for _, x := range s {
		ps = append(ps, netip.MustParsePrefix(x))
	}
	return ps
}

func mustParse(t *testing.T, text string) *Config {
	t.Helper()
	c, err := Parse(strings.NewReader(text), "/etc/wireguard/wg0.conf")
	if err != nil {
		t.Fatalf("refused:\n%v", err)
	}
	return c
}

func TestParseEverything(t *testing.T) {
	c := mustParse(t, full)
	priv, _ := key.ParsePrivate(privText)
	psk, _ := key.ParsePreshared(pskText)
	a, _ := key.ParsePublic(pubA)
	b, _ := key.ParsePublic(pubB)
	want := &Config{
		Path: "/etc/wireguard/wg0.conf",
		Name: "wg0",
		Interface: Interface{
			PrivateKey: priv, ListenPort: 51820, FwMark: 16,
			Addresses: prefixes("10.0.0.1/24", "fd00::1/64", "10.0.1.1/32", "fd01::1/128"),
			DNS:       []netip.Addr{netip.MustParseAddr("10.0.0.53"), netip.MustParseAddr("fd00::53")},
			Search:    []string{"corp.example", "lan"},
			MTU:       1380, Table: 1234,
			PreUp: []string{`echo "#1" # kept`}, PostUp: []string{"one", "two %i"},
			PreDown: []string{"three"}, PostDown: []string{"four"},
			SaveConfig: true,
		},
		Peers: []Peer{{
			Name: "office router #1", PublicKey: a, PresharedKey: psk,
			Endpoint:            "vpn.example.com:51820",
			AllowedIPs:          prefixes("10.1.0.0/16", "10.0.0.2/32", "fd02::/64"),
			PersistentKeepalive: 25,
		}, {
			Name: "Bob[31m", PublicKey: b, Endpoint: "[fd00::9]:1234",
			AllowedIPs: prefixes("10.2.0.0/16"), Removed: prefixes("10.3.0.0/16"), Incremental: true,
		}},
	}
	if got, want := forgetLines(c), want; !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
}

// forgetLines leaves in c only what the text means, and returns it.
func forgetLines(c *Config) *Config {
	c.warnings, c.secretFiles, c.Interface.lines, c.comments, c.headed, c.spelling, c.resolved = nil, nil, nil, 0, false, nil, false
	c.Metrics.line, c.Telemetry.line = 0, 0
	for i := range c.Peers {
		c.Peers[i].Line, c.Peers[i].lines, c.Peers[i].nameLines = 0, nil, nil
	}
	return c
}

func TestSmallThings(t *testing.T) {
	peer := "[Peer]\nPublicKey=" + pubA + "\n"
	for _, tc := range []struct {
		name, text string
		ok         func(c *Config) bool
	}{
		{"nothing at all", "", func(c *Config) bool { return len(c.Peers) == 0 }},
		{"CRLF", "[Interface]\r\nMTU = 1400\r\n", func(c *Config) bool { return c.Interface.MTU == 1400 }},
		{"byte order mark", "\ufeff[Interface]\nMTU = 1400", func(c *Config) bool { return c.Interface.MTU == 1400 }},
		{"the last scalar counts", "[Interface]\nMTU=1400\nMTU=1300", func(c *Config) bool { return c.Interface.MTU == 1300 }},
		{"empty wg-quick values", "[Interface]\nMTU=\nAddress=\nDNS = #x\nTable=\nPostUp=", func(c *Config) bool {
			return reflect.DeepEqual(forgetLines(c).Interface, Interface{})
		}},
		{"two interface sections", "[Interface]\nMTU=1400\n" + peer + "[Interface]\nListenPort=1", func(c *Config) bool {
			return c.Interface.MTU == 1400 && c.Interface.ListenPort == 1 && len(c.Peers) == 1
		}},
		{"fwmark off", "[Interface]\nFwMark=5\nFwMark=OFF", func(c *Config) bool { return c.Interface.FwMark == 0 }},
		{"fwmark large", "[Interface]\nFwMark=4294967295", func(c *Config) bool { return c.Interface.FwMark == 1<<32-1 }},
		{"table off", "[Interface]\nTable=off", func(c *Config) bool { return c.Interface.Table == TableOff }},
		{"table by name", "[Interface]\nTable=main", func(c *Config) bool { return c.Interface.Table == 254 }},
		{"endpoint with bare IPv6", peer + "Endpoint=fd00::1:99", func(c *Config) bool { return c.Peers[0].Endpoint == "[fd00::1]:99" }},
		{"endpoint with zone", peer + "Endpoint=[fe80::1%eth0]:99", func(c *Config) bool { return c.Peers[0].Endpoint == "[fe80::1%eth0]:99" }},
		{"a plain comment is no name", peer + "# Bob\n# the name = is in doubt", func(c *Config) bool { return c.Peers[0].Name == "" }},
		{"a name above the first key", "[Peer]\n# NAME=Bob\nPublicKey=" + pubA, func(c *Config) bool { return c.Peers[0].Name == "Bob" }},
		{"a name in [Interface] is nobody's", "[Interface]\n# Name = me\n" + peer, func(c *Config) bool { return c.Peers[0].Name == "" }},
		{"the same prefix twice", peer + "AllowedIPs=10.0.0.0/8,10.0.0.0/8", func(c *Config) bool { return len(c.Peers[0].AllowedIPs) == 1 }},
		{"added, then removed", peer + "AllowedIPs=10.0.0.0/8\nAllowedIPs=-10.0.0.0/8", func(c *Config) bool {
			return len(c.Peers[0].AllowedIPs) == 0 && c.Peers[0].Incremental
		}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if c := mustParse(t, tc.text); !tc.ok(c) {
				t.Errorf("read as %+v", c)
			}
		})
	}
}

func TestErrors(t *testing.T) {
	const i, p = "[Interface]\n", "[Peer]\n"
	for _, tc := range []struct{ text, want string }{
		{"MTU = 1400", "wg0.conf:1: a key before the first section: put [Interface] above it"},
		{"[Interfaces]\nMTU=x", `wg0.conf:1: unknown section "[Interfaces]": there are [Interface] and [Peer]`},
		{i + "Mtu", "wg0.conf:2: MTU: has no value: write MTU = VALUE"},
		{i + "hello there", "wg0.conf:2: is not a section, nor KEY = VALUE: if it is a comment, begin it with #"},
		{i + "Adress = 10.0.0.1", `wg0.conf:2: unknown key "Adress" (did you mean Address?)`},
		{i + "Colour = red", `wg0.conf:2: unknown key "Colour": there are PrivateKey, ListenPort, FwMark, Address, DNS, MTU, Table, ` +
			`PreUp, PostUp, PreDown, PostDown, SaveConfig`},
		{i + "AllowedIPs = 10.0.0.1", "wg0.conf:2: AllowedIPs: belongs in [Peer], not in [Interface]"},
		{i + "ListenPort = 65536", `wg0.conf:2: ListenPort: port "65536" is not 0 to 65535`},
		{i + "ListenPort =", "wg0.conf:2: ListenPort: has no value: write ListenPort = VALUE, or leave the line out"},
		{i + "FwMark = 0x1ffffffff", `wg0.conf:2: FwMark: "0x1ffffffff" is neither off nor 0 to 0xffffffff`},
		{i + "MTU = 67", `wg0.conf:2: MTU: "67" is not an MTU: want 68 to 65535 bytes`},
		{i + "Table = here",
			`wg0.conf:2: Table: "here" is neither auto nor off, nor the number of a table, ` +
				`nor a name in /etc/iproute2/rt_tables or rt_tables.d`},
		{i + "SaveConfig = yes", `wg0.conf:2: SaveConfig: "yes" is neither true nor false`},
		{i + "Address = 10.0.0.1/33", `wg0.conf:2: Address: "10.0.0.1/33" is not an IP address with an optional /LENGTH`},
		{i + "DNS = 10.0.0", `wg0.conf:2: DNS: "10.0.0" is not an IP address`},
		{i + "PrivateKey = " + privText[1:], "wg0.conf:2: PrivateKey: not a key: want 44 characters of base64"},
		{p, "wg0.conf:1: PublicKey: missing in this [Peer]"},
		{p + "AlowedIPs = 10.0.0.1\nPublicKey=" + pubA, `wg0.conf:2: unknown key "AlowedIPs" (did you mean AllowedIPs?)`},
		{p + "PublicKey=" + pubA + "\nEndpoint=example.com",
			`wg0.conf:3: Endpoint: "example.com" has no port: want HOST:PORT, such as example.com:51820`},
		{p + "PublicKey=" + pubA + "\nEndpoint=[fd00::1]",
			`wg0.conf:3: Endpoint: "[fd00::1]" has no port: want HOST:PORT, such as [fd00::1]:51820`},
		{p + "PublicKey=" + pubA + "\nEndpoint=fd00:0:0:0:0:0:0:1",
			`wg0.conf:3: Endpoint: "fd00:0:0:0:0:0:0:1" has no port: want HOST:PORT, such as [fd00:0:0:0:0:0:0:1]:51820`},
		{p + "PublicKey=" + pubA + "\nEndpoint=very-long-gateway-name-of-a-provider.example",
			`wg0.conf:3: Endpoint: "very-long-gateway-name-of-a-provider.example" has no port: ` +
				`want HOST:PORT, such as very-long-gateway-name-of-a-provider.example:51820`},
		{p + "PublicKey=" + pubA + "\nEndpoint=gatewayofthenorthernoffice.example",
			`wg0.conf:3: Endpoint: "gatewayofthenorthernoffice.example" has no port: ` +
				`want HOST:PORT, such as gatewayofthenorthernoffice.example:51820`},
		{p + "PublicKey=" + pubA + "\nEndpoint=" + pubA[1:], `wg0.conf:3: Endpoint: "(hidden)" has no port: want HOST:PORT, such as HOST:51820`},
		{i + "Address = 10.0.0.1/24, 10.0.0.1/24", "wg0.conf:2: Address: duplicate address 10.0.0.1/24: leave one out"},
		{i + "Address = 10.0.0.1/24\n" + i + "Address = 10.0.0.1/24",
			"wg0.conf:4: Address: duplicate address 10.0.0.1/24: the [Interface] in line 3 repeats that in line 1; keep one of the two"},
		{i + "Jc = 4\nJmin = 40\nH1 = 1\nS1 = 0\n" + p + "PublicKey=" + pubA + "\nAdvancedSecurity = on",
			"wg0.conf:2: this is a file for AmneziaWG (Jc, Jmin, H1, S1, AdvancedSecurity), with values that a WireGuard server accepts: " +
				"leave these keys out"},
		{i + "JC = 4\nS1 = 15\nH1 = 1106457265", "wg0.conf:2: this is a file for AmneziaWG (Jc, S1, H1): its server expects messages that " +
			"WireGuard does not send; use AmneziaWG, or ask for a plain WireGuard file"},
		{i + "X1 = 1\nPersistentRouteInterval = 3\nDisableRoutesIPs = 4",
			"wg0.conf:2: unknown key \"X1\": there are PrivateKey, ListenPort, FwMark, Address, DNS, MTU, Table, PreUp, PostUp, PreDown, " +
				"PostDown, SaveConfig\n" +
				"wg0.conf:3: unknown key \"PersistentRouteInterval\"\nwg0.conf:4: unknown key \"DisableRoutesIPs\""},
		{i + "\u00a0DNS = 1.1.1.1", `wg0.conf:2: unknown key "\u00a0DNS": remove the invisible character beside DNS: ` +
			`there are PrivateKey, ListenPort, ` +
			"FwMark, Address, DNS, MTU, Table, PreUp, PostUp, PreDown, PostDown, SaveConfig"},
		{p + "PublicKey=" + pubA + "\nEndpoint=a:0", `wg0.conf:3: Endpoint: port "0" is not 1 to 65535`},
		{p + "PublicKey=" + pubA + "\nEndpoint=300.1.2.3:5", `wg0.conf:3: Endpoint: host "300.1.2.3" is not an IPv4 address`},
		{p + "PublicKey=" + pubA + "\nPersistentKeepalive=65536",
			`wg0.conf:3: PersistentKeepalive: "65536" is neither off nor 1 to 65535 seconds`},
		{p + "PublicKey=" + pubA + "\nAllowedIPs=10.0.0.0/8,", `wg0.conf:3: AllowedIPs: "" is not an IP address with an optional /LENGTH`},
		{p + "PublicKey=" + pubA + "\nAllowedIPs=::ffff:10.0.0.0/104",
			`wg0.conf:3: AllowedIPs: "::ffff:10.0.0.0/104" is an IPv4 address in IPv6 notation: write it as IPv4`},
		{i + "MTU = 1\n\n" + p + "Nonsense = 1\n" + i + "Table = x", "wg0.conf:2: MTU: \"1\" is not an MTU: want 68 to 65535 bytes\n" +
			"wg0.conf:4: PublicKey: missing in this [Peer]\n" +
			"wg0.conf:5: unknown key \"Nonsense\": there are PublicKey, PresharedKey, AllowedIPs, Endpoint, PersistentKeepalive\n" +
			"wg0.conf:7: Table: \"x\" is neither auto nor off, nor the number of a table, nor a name in /etc/iproute2/rt_tables or rt_tables.d"},
	} {
		c, err := Parse(strings.NewReader(tc.text), "wg0.conf")
		if err == nil || err.Error() != tc.want {
			t.Errorf("%q:\n got %v\nwant %s", tc.text, err, tc.want)
		}
		var first *Error
		if c != nil || !errors.As(err, &first) || first.File != "wg0.conf" || first.Line == 0 {
			t.Errorf("%q: got config %v, first error %+v", tc.text, c, first)
		}
	}
}

// However a secret gets mangled or misplaced, no message and no printed
// Config may hold a piece of it.
func TestSecretsStayHidden(t *testing.T) {
	for _, text := range []string{
		full,
		"[Interface]\nPrivateKey = x" + privText,
		"[Interface]\nPrivateKey = " + privText[:20] + "!" + privText[21:],
		"[Interface]\nPrivateKey =\n" + privText,
		"[Interface]\n" + privText[:30],
		"[Interface]\nPrivatKey = " + privText,
		"[Interface]\nAddress = " + privText,
		"[Interface]\nTable = " + privText,
		"[" + privText + "]",
		"[Peer]\nPrivateKey = " + privText,
		"[Peer]\nEndpoint = " + privText + ":5\nAllowedIPs = " + privText + "\nPublicKey=" + privText + "=",
		"[Peer]\nPresharedKey = " + privText[1:],
	} {
		c, err := Parse(strings.NewReader(text), "wg0.conf")
		shown := fmt.Sprintf("%v %+v %#v %v", err, c, c, c != nil && c.Warnings() != nil)
		for _, leak := range []string{"SSSS", "ZZZZ", "0x49, 0x24", "73 36 146"} {
			if strings.Contains(shown, leak) {
				t.Errorf("%q: %q holds the key", text, shown)
			}
		}
	}
}

// A piece of a key can stand wherever a line was broken. Names and hosts are shown
// by how they look, so nothing that looks like half a key may be shown.
func TestPiecesOfKeysStayHidden(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	rounds := 20000
	if testing.Short() {
		rounds = 1000
	}
	for range rounds {
		var secret [32]byte
		for i := range secret {
			secret[i] = byte(random.Uint32())
		}
		for _, text := range []string{base64.StdEncoding.EncodeToString(secret[:]), hex.EncodeToString(secret[:])} {
			at := random.IntN(len(text) - 24)
			piece := text[at : at+24+random.IntN(len(text)-at-23)]
			_, err := Parse(strings.NewReader("[Interface]\n"+piece+" = 1\n[Peer]\nEndpoint = "+piece+"\n"), "wg0.conf")
			if shown := fmt.Sprint(err); strings.Contains(shown, strings.TrimRight(piece, "=")) {
				t.Errorf("of %s %s is shown: %s", text, piece, shown)
			}
		}
	}
}

// A tunnel that cannot work comes up all the same, as with wg-quick, but not without
// a word.
func TestMissing(t *testing.T) {
	const path = "/etc/wireguard/wg0.conf: "
	const key = path + "PrivateKey: missing: without it no peer can be reached; `wgnode genkey` makes one"
	for _, tc := range []struct{ name, text, want string }{
		{"empty", " \n", path + "the file is empty: the tunnel has no key, no address and no peer"},
		{"only comments", "#[Interface]\n#Address = 10.0.0.1\n",
			path + "the file holds nothing but comments: the tunnel has no key, no address and no peer"},
		{"only a header", "[Interface]\n", path + "[Interface] is empty: the tunnel has no key, no address and no peer"},
		{"no key", "[Interface]\nAddress = 10.0.0.1/24\n", key},
		{"only a peer", "[Peer]\nPublicKey = " + pubA, key},
		{"a hook that has nothing to do with it", "[Interface]\nPostUp = sysctl net.ipv4.conf.all.forwarding=1", key},
		{"a key", "[Interface]\nPrivateKey = " + privText, ""},
		{"a key by a hook", "[Interface]\nPostUp = wg set %i private-key <(pass wg0)", ""},
		{"all by a hook", "[Interface]\nPreUp = wg addconf %i /run/wg0", ""},
	} {
		if got := strings.Join(mustParse(t, tc.text).Missing(), "\n"); got != tc.want {
			t.Errorf("%s: %q, want %q", tc.name, got, tc.want)
		}
	}
}

// Each hook knows its line: the status of one that fails says nothing of which.
func TestHookPlaces(t *testing.T) {
	conf := mustParse(t, "[Interface]\nPostUp = one\nPostUp =\nPreUp = three\nPostUp = two\n")
	toml := mustParseTOML(t, "[interface]\npre_up = [\"three\"]\npost_up = [\n\"one\",\n\"two\"\n]\n")
	for _, tc := range []struct {
		c    *Config
		key  string
		n    int
		want string
	}{
		{c: conf, key: "PostUp", want: "/etc/wireguard/wg0.conf:2"},
		{c: conf, key: "PostUp", n: 1, want: "/etc/wireguard/wg0.conf:5"},
		{c: conf, key: "PreUp", want: "/etc/wireguard/wg0.conf:4"},
		{c: conf, key: "PreUp", n: 1},
		{c: toml, key: "PreUp", want: toml.Path + ":2"},
		{c: toml, key: "PostUp", n: 1, want: toml.Path + ":5"},
	} {
		if got := tc.c.HookPlace(tc.key, tc.n); got != tc.want {
			t.Errorf("%s %d of %s is at %q, want %q", tc.key, tc.n, tc.c.Path, got, tc.want)
		}
	}
}

func TestAllowedRoutes(t *testing.T) {
	a, b := "[Peer]\nPublicKey="+pubA+"\nAllowedIPs=", "[Peer]\nPublicKey="+pubB+"\nAllowedIPs="
	private, err := key.ParsePrivate(privText)
	if err != nil {
		t.Fatal(err)
	}
	own, self := "[Interface]\nPrivateKey="+privText+"\n", private.Public().Base64()
	for _, tc := range []struct{ name, text, want string }{
		{"the last claim wins", a + "10.0.0.0/8,10.1.0.0/16\n" + b + "10.0.0.0/8", "[{10.0.0.0/8 1} {10.1.0.0/16 0}]"},
		{"one peer twice", a + "10.0.0.0/8\n" + a + "10.1.0.0/16", "[{10.1.0.0/16 1}]"},
		{"one peer twice, incremental", a + "10.0.0.0/8\n" + a + "+10.1.0.0/16", "[{10.0.0.0/8 0} {10.1.0.0/16 1}]"},
		{"removed again", a + "10.0.0.0/8\n" + a + "-10.0.0.0/8", "[]"},
		{"the interface's own key", own + a + "10.0.0.0/8\n" + "[Peer]\nPublicKey=" + self + "\nAllowedIPs=10.0.0.0/8,0.0.0.0/0",
			"[{10.0.0.0/8 0}]"},
		{"removed by another peer", a + "10.0.0.0/8\n" + b + "-10.0.0.0/8", "[{10.0.0.0/8 0}]"},
	} {
		if got := fmt.Sprint(mustParse(t, tc.text).AllowedRoutes()); got != tc.want {
			t.Errorf("%s: got %s, want %s", tc.name, got, tc.want)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add(full)
	f.Add("[Peer]\nPublicKey=" + pubA + "\nAllowedIPs=+10.0.0.1/8,-::/0\nAllowedIPs = ::1\nEndpoint=[fe80::1%a]:7")
	f.Add("WGConfig=x\n" + wireproxyServices)
	f.Add(wireproxyInterface + "[Resolve]\n[http]\nBindAddress = \"[::1]:1\" ; x\nPassword=`$$`\n")
	f.Add("[Interface]\nDNS = ::1%x, 1.1.1.1,a.b\nPostUp== #\nAdress=1")
	f.Fuzz(func(t *testing.T, text string) {
		c, err := Parse(strings.NewReader(text), "wg0.conf")
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
			return
		}
		c.AllowedRoutes()
		var b bytes.Buffer
		if err := c.WriteConf(&b); err != nil {
			if c.ForStack && b.Len() == 0 {
				return // of wireproxy's sections wg-quick knows nothing
			}
			t.Fatal(err)
		}
		c.ForStack = false // it said nothing that asks for one
		again, err := Parse(bytes.NewReader(b.Bytes()), "wg0.conf")
		if err != nil {
			t.Fatalf("refuses its own text: %v\n%s", err, b.Bytes())
		}
		if !reflect.DeepEqual(forgetLines(c), forgetLines(again)) {
			t.Errorf("became another one\nfirst %+v\nthen  %+v\n%s", c, again, b.Bytes())
		}
	})
}
