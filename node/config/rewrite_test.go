package config

import (
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/wgnode/wgnode/probe/key"
)

// savedConf and savedTOML are files as people write them.
var savedConf = `# The office's.

[Interface]
Address = 10.0.0.1/24, fd0a::1/64 # both
# made in May
PrivateKey = ` + privText + `
ListenPort = 51820 # forwarded by the router
PostUp = echo "#1" # said by bash

# Roadwarriors below

### Client ann
[Peer]
PublicKey = ` + pubA + `
AllowedIPs = 10.0.0.2/32 # her laptop
AllowedIPs = 10.1.0.0/16
Endpoint = ann.example:51820
# DNS = 10.0.0.53

# Client: bob (7ef5cc1a-7e1d-4e7a-9c2e-0a3a8dd2b0c5)
[Peer]
PublicKey = ` + pubB + `
AllowedIPs = 10.0.0.3

# The end.
`

var savedTOML = `# The office's.

[interface]
private_key = "` + privText + `" # made in May
address = ["10.0.0.1/24"]
listen_port = 51820

# of ann
[[peer]]
name = "ann"
public_key = "` + pubA + `"
endpoint = "ann.example:51820"
allowed_ips = [
  "10.0.0.2/32", # her laptop
  "10.1.0.0/16",
]

[[peer]]
public_key = "` + pubB + `"
allowed_ips = ["10.0.0.3/32"]

# Metrics are for the office.
[metrics]
listen = "127.0.0.1:9586"
`

// addedPeer is in none of the files.
var (
	thirdKey  = key.GeneratePrivate().Public()
	addedPeer = Peer{PublicKey: thirdKey, AllowedIPs: prefixes("10.0.0.4/32")}
)

// replacing replaces in a file.
func replacing(pairs ...string) func(string) string { return strings.NewReplacer(pairs...).Replace }

// cutting takes what is between two texts, and the first of them, out of a file.
func cutting(from, to string) func(string) string {
	return func(s string) string {
		head, rest, _ := strings.Cut(s, from)
		if to == "" {
			return head
		}
		_, tail, _ := strings.Cut(rest, to)
		return head + to + tail
	}
}

// saveTests change a configuration, and say what becomes of the file's text.
var saveTests = []struct {
	name, file, text string
	change           func(c *Config)
	want             func(string) string
}{
	{name: "nothing", file: "wg0.conf", text: savedConf, change: func(*Config) {}, want: replacing()},
	{name: "nothing", file: "wg0.toml", text: savedTOML, change: func(*Config) {}, want: replacing()},
	{name: "port", file: "wg0.conf", text: savedConf, change: func(c *Config) { c.Interface.ListenPort = 7 },
		want: replacing("51820 # f", "7 # f")},
	{name: "port", file: "wg0.toml", text: savedTOML, change: func(c *Config) { c.Interface.ListenPort = 7 },
		want: replacing("port = 51820", "port = 7")},
	{name: "no port", file: "wg0.conf", text: savedConf, change: func(c *Config) { c.Interface.ListenPort = 0 },
		want: replacing("ListenPort = 51820 # forwarded by the router\n", "")},
	{name: "mark", file: "wg0.conf", text: savedConf, change: func(c *Config) { c.Interface.FwMark = 7 },
		want: replacing("# said by bash\n", "# said by bash\nFwMark = 0x7\n")},
	{name: "address more", file: "wg0.conf", text: savedConf,
		change: func(c *Config) { c.Interface.Addresses = append(c.Interface.Addresses, prefixes("10.2.0.1/24")...) },
		want:   replacing("# both\n", "# both\nAddress = 10.2.0.1/24\n")},
	{name: "address less", file: "wg0.conf", text: savedConf, change: func(c *Config) { c.Interface.Addresses = c.Interface.Addresses[:1] },
		want: replacing(", fd0a::1/64 # both", " # both")},
	{name: "hooks that were changed meanwhile stay", file: "wg0.conf", text: savedConf,
		change: func(c *Config) { c.Interface.PostUp, c.Interface.ListenPort = []string{"old"}, 7 }, want: replacing("51820 # f", "7 # f")},
	{name: "endpoint", file: "wg0.conf", text: savedConf, change: func(c *Config) { c.Peers[0].Endpoint = "192.0.2.1:5" },
		want: replacing("ann.example:51820", "192.0.2.1:5")},
	{name: "endpoint", file: "wg0.toml", text: savedTOML, change: func(c *Config) { c.Peers[0].Endpoint = "192.0.2.1:5" },
		want: replacing("ann.example:51820", "192.0.2.1:5")},
	{name: "endpoint anew", file: "wg0.conf", text: savedConf, change: func(c *Config) { c.Peers[1].Endpoint = "192.0.2.1:5" },
		want: replacing("10.0.0.3\n", "10.0.0.3\nEndpoint = 192.0.2.1:5\n")},
	{name: "a prefix less", file: "wg0.conf", text: savedConf, change: func(c *Config) { c.Peers[0].AllowedIPs = prefixes("10.1.0.0/16") },
		want: replacing("AllowedIPs = 10.0.0.2/32 # her laptop\n", "")},
	{name: "a prefix more", file: "wg0.conf", text: savedConf,
		change: func(c *Config) { c.Peers[0].AllowedIPs = prefixes("10.7.0.0/16", "10.1.0.0/16", "10.0.0.2/32") },
		want:   replacing("10.1.0.0/16\n", "10.1.0.0/16, 10.7.0.0/16\n")},
	{name: "another order", file: "wg0.conf", text: savedConf,
		change: func(c *Config) { slices.Reverse(c.Peers[0].AllowedIPs); slices.Reverse(c.Peers) }, want: replacing()},
	{name: "prefixes", file: "wg0.toml", text: savedTOML, change: func(c *Config) { c.Peers[0].AllowedIPs = prefixes("10.0.0.2/32") },
		want: replacing("allowed_ips = [\n  \"10.0.0.2/32\", # her laptop\n  \"10.1.0.0/16\",\n]",
			"# her laptop\nallowed_ips = [\"10.0.0.2/32\"]")},
	{name: "a peer more", file: "wg0.conf", text: savedConf, change: func(c *Config) { c.Peers = append(c.Peers, addedPeer) },
		want: func(s string) string {
			return s + "\n[Peer]\nPublicKey = " + thirdKey.Base64() + "\nAllowedIPs = 10.0.0.4/32\n"
		}},
	{name: "a peer more", file: "wg0.toml", text: savedTOML, change: func(c *Config) { c.Peers = append(c.Peers, addedPeer) },
		want: func(s string) string {
			return s + "\n[[peer]]\npublic_key = \"" + thirdKey.Base64() + "\"\nallowed_ips = [\"10.0.0.4/32\"]\n"
		}},
	{name: "the first peer gone", file: "wg0.conf", text: savedConf, change: func(c *Config) { c.Peers = c.Peers[1:] },
		want: cutting("### Client ann", "# Client: bob")},
	{name: "the first peer gone", file: "wg0.toml", text: savedTOML, change: func(c *Config) { c.Peers = c.Peers[1:] },
		want: cutting("# of ann", "[[peer]]\npublic_key = \""+pubB)},
	{name: "the last peer gone", file: "wg0.conf", text: savedConf, change: func(c *Config) { c.Peers = c.Peers[:1] },
		want: cutting("# Client: bob", "# The end.")},
	{name: "all peers gone", file: "wg0.conf", text: savedConf, change: func(c *Config) { c.Peers = nil },
		want: cutting("### Client ann", "# The end.")},
	{name: "PiVPN, the second gone", file: "wg0.conf",
		text: "[Interface]\n### begin ann ###\n[Peer]\nPublicKey = " + pubA + "\n### end ann ###\n" +
			"### begin bob ###\n[Peer]\nPublicKey = " + pubB + "\n### end bob ###\n",
		change: func(c *Config) { c.Peers = c.Peers[:1] }, want: cutting("### begin bob", "")},
	{name: "PiVPN, the first gone", file: "wg0.conf",
		text: "[Interface]\n### begin ann ###\n[Peer]\nPublicKey = " + pubA + "\n### end ann ###\n" +
			"### begin bob ###\n[Peer]\nPublicKey = " + pubB + "\n### end bob ###\n",
		change: func(c *Config) { c.Peers = c.Peers[1:] }, want: cutting("### begin ann", "### begin bob")},
	{name: "no line end", file: "wg0.conf", text: "[Interface] # here\n[Peer]\nPublicKey = " + pubA,
		change: func(c *Config) { c.Peers[0].PersistentKeepalive = 5 },
		want:   func(s string) string { return s + "\nPersistentKeepalive = 5\n" }},
	{name: "without comments as wg-quick", file: "wg0.conf",
		text:   "[interface]\nlistenport=5\naddress=10.0.0.1\nprivatekey=" + privText + "\n",
		change: func(c *Config) { c.Interface.ListenPort = 6 },
		want: func(string) string {
			return "[Interface]\nAddress = 10.0.0.1/32\nListenPort = 6\nPrivateKey = " + privText + "\n"
		}},
	{name: "a peer in two places", file: "wg0.conf",
		text:   "[Interface] # here\n[Peer]\nPublicKey = " + pubA + "\n[Peer] # again\nPublicKey = " + pubA + "\n",
		change: func(c *Config) { c.Peers = c.Peers[:1] },
		want:   func(string) string { return "# here\n# again\n\n[Interface]\n\n[Peer]\nPublicKey = " + pubA + "\n" }},
}

// What is saved differs from the file in what has changed, and in nothing else.
func TestSaveKeepsTheFile(t *testing.T) {
	for _, test := range saveTests {
		t.Run(test.file+" "+test.name, func(t *testing.T) {
			c, err := (&Config{Path: test.file}).parseAgain(test.text)
			if err != nil {
				t.Fatal(err)
			}
			c.Interface.Addresses = slices.Clone(c.Interface.Addresses)
			test.change(c)
			got, err := c.rewrite(test.text)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(test.want(test.text), got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// Whatever the file is like, what is saved says what it should, and no comment is lost
// but with a peer.
func FuzzSave(f *testing.F) {
	f.Add("# a\n[Interface]\nAddress = 10.0.0.1 # b\n# c\n[Peer]\n# d\nKEY1\nAllowedIPs = 10.0.0.2, 10.0.0.3 #e\nAllowedIPs=10.9.0.0/16\n"+
		"#f\n[Peer]\nKEY2\n", false, uint16(3))
	f.Add("[interface] # a\naddress = [ # b\n\"10.0.0.1/24\", # c\n]\n# d\n[[peer]] # e\npublic_key = \"KEY1\"\n# f\n", true, uint16(60000))
	f.Fuzz(func(t *testing.T, text string, isTOML bool, what uint16) {
		path := "wg0.conf"
		text = strings.NewReplacer("KEY1", "PublicKey = "+pubA, "KEY2", "PublicKey = "+pubB).Replace(text)
		if isTOML {
			path, text = "wg0.toml", strings.ReplaceAll(text, "PublicKey = ", "")
		}
		c, err := (&Config{Path: path}).parseAgain(text)
		if err != nil || c.ForStack {
			return
		}
		remarks := remarksOf(c.split(text))
		c.Interface.ListenPort, c.Interface.FwMark = what, uint32(what&1)
		seen := make(map[key.Public]bool)
		c.Peers = slices.DeleteFunc(slices.Clone(c.Peers), func(p Peer) bool { // as a device has them
			twice := seen[p.PublicKey]
			seen[p.PublicKey] = true
			return twice
		})
		removed := what&2 != 0 && len(c.Peers) > 0
		if removed {
			c.Peers = c.Peers[1:]
		}
		for i := range c.Peers {
			p := &c.Peers[i]
			p.Removed, p.Incremental = nil, false
			if what&4 != 0 {
				p.AllowedIPs = append(slices.Clone(p.AllowedIPs), netip.MustParsePrefix("10.77.0.0/16"))
			}
		}
		got, err := c.rewrite(text)
		if err != nil {
			if c.isTOML() {
				return // what is not UTF-8
			}
			t.Fatal(err)
		}
		again, err := c.parseAgain(got)
		if err != nil || again.Interface.ListenPort != what || len(again.Peers) != len(c.Peers) {
			t.Fatalf("%v, or it says otherwise:\n%s", err, got)
		}
		for i := range c.Peers {
			if n := slices.IndexFunc(again.Peers, func(p Peer) bool { return p.PublicKey == c.Peers[i].PublicKey }); n < 0 ||
				!slices.Equal(sorted(slices.Compact(sorted(again.Peers[n].AllowedIPs))), slices.Compact(sorted(c.Peers[i].AllowedIPs))) {
				t.Fatalf("peer %d says otherwise:\n%s", i, got)
			}
		}
		for _, r := range remarks {
			if !removed && what&1 != 0 && !strings.Contains(got, r) {
				t.Errorf("%q is lost:\n%s\nwas\n%s", r, got, text)
			}
		}
	})
}
