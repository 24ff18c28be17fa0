package config

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/wgnode/wgnode/probe/key"
)

// namesOf parses a text in which each KEY stands for the keys of another peer, and
// returns the names of the peers.
func namesOf(t *testing.T, text string) ([]string, *Config) {
	t.Helper()
	var b strings.Builder
	for i, piece := range strings.Split(text, "KEY") {
		if i > 0 {
			b.WriteString("PublicKey = " + key.GeneratePrivate().Public().Base64())
		}
		b.WriteString(piece)
	}
	c := mustParse(t, "[Interface]\nPrivateKey = "+privText+"\nAddress = 10.0.0.1/24\n"+b.String())
	var names []string
	for i := range c.Peers {
		names = append(names, c.Peers[i].Name)
	}
	return names, c
}

func TestNamesInComments(t *testing.T) {
	const wireguardUI = `
# ID:           c6qlpq0fkgg0hfjqu2bg
# Name:         laptop of ann
# Email:        ann@example.com
# Created at:   2021-11-08 07:05:03.8 +0000 UTC
# Update at:    2021-11-08 07:05:03.8 +0000 UTC
[Peer]
KEY
`
	for _, test := range []struct {
		name, text string
		want       []string
		comments   int // that named nobody
	}{
		{name: "key and value", text: "[Peer]\n# Name = a b\nKEY\n[Peer]\nKEY\n# friendly_name=c\n", want: []string{"a b", "c"}},
		{name: "above each", text: "\n# Name = a\n[Peer]\nKEY\n\n# Name = b\n[Peer]\nKEY\n", want: []string{"a", "b"}},
		{name: "at the end of each", text: "[Peer]\nKEY\n# Name = a\n[Peer]\nKEY\n# Name = b\n", want: []string{"a", "b"}},
		{name: "wg-easy", text: "\n\n# Client: Ann's phone (7ef5cc1a-7e1d-4e7a-9c2e-0a3a8dd2b0c5)\n[Peer]\nKEY\n\n" +
			"# Client: bob (12)\n[Peer]\nKEY\n", want: []string{"Ann's phone", ""}, comments: 1},
		{name: "wireguard-ui", text: wireguardUI + wireguardUI, want: []string{"laptop of ann", "laptop of ann"}, comments: 8},
		{name: "PiVPN", text: "### begin ann ###\n[Peer]\nKEY\n### end ann ###\n### begin bob ###\n[Peer]\nKEY\n### end bob ###\n",
			want: []string{"ann", "bob"}},
		{name: "PiVPN without an end", text: "### begin ann ###\n[Peer]\nKEY\n", want: []string{""}, comments: 1},
		{name: "begin and end", text: "# ann begin\n[Peer]\nKEY\n# ann end\n\n# bob begin\n[Peer]\nKEY\n# bob end\n",
			want: []string{"ann", "bob"}},
		{name: "hwdsl2", text: "\n# BEGIN_PEER ann\n[Peer]\nKEY\n# END_PEER ann\n", want: []string{"ann"}},
		{name: "angristan", text: "\n### Client ann\n[Peer]\nKEY\n\n### Client bob\n[Peer]\nKEY\n", want: []string{"ann", "bob"}},
		{name: "a blank line between", text: "\n### Client ann\n\n[Peer]\nKEY\n", want: []string{"ann"}},
		{name: "configuration for", text: "# Peer Configuration for ann\n[Peer]\nKEY\n", want: []string{"ann"}},
		{name: "template", text: "\n# Name: <name of the client>\n[Peer]\nKEY\n", want: []string{""}, comments: 1},
		{name: "linuxserver", text: "\n[Peer]\n# peer1\nKEY\n\n[Peer]\n# peer_ann\nKEY\n", want: []string{"peer1", "peer_ann"}},
		{name: "linuxserver, one", text: "\n[Peer]\n# peer1\nKEY\n", want: []string{"peer1"}},
		{name: "above", text: "\n# ann\n[Peer]\nKEY\n\n#bob-2\n[Peer]\nKEY\n", want: []string{"ann", "bob-2"}},
		{name: "above, after [Interface]", text: "# ann\n[Peer]\nKEY\n", want: []string{"ann"}},
		{name: "ProtonVPN", text: "\n[Peer]\n# CH-FREE#1\nKEY\nEndpoint = 192.0.2.1:51820\n", want: []string{"CH-FREE#1"}},
		{name: "several words", text: "\n# Ann laptop\n[Peer]\nKEY\n\n# Bob phone 2\n[Peer]\nKEY\n", want: []string{"Ann laptop", "Bob phone 2"}},
		{name: "most", text: "\n# ann\n[Peer]\nKEY\n\n# bob\n[Peer]\nKEY\n\n[Peer]\nKEY\n", want: []string{"ann", "bob", ""}},
		{name: "two alike", text: "\n# ann\n[Peer]\nKEY\n\n# bob\n[Peer]\nKEY\n\n# eve\n[Peer]\nKEY\n\n# eve\n[Peer]\nKEY\n\n" +
			"# kim\n[Peer]\nKEY\n", want: []string{"ann", "bob", "", "", "kim"}, comments: 2},
		{name: "beside a generator's", text: "\n# Client: ann (7ef5cc1a-7e1d-4e7a-9c2e-0a3a8dd2b0c5)\n[Peer]\n# phone\nKEY\n",
			want: []string{"ann"}, comments: 1},

		{name: "the next one's, or this one's", text: "\n[Peer]\nKEY\n# ann\n[Peer]\nKEY\n# bob\n[Peer]\nKEY\n",
			want: []string{"", "", ""}, comments: 2},
		{name: "a heading", text: "\n# Roadwarriors\n[Peer]\nKEY\n\n[Peer]\nKEY\n\n[Peer]\nKEY\n", want: []string{"", "", ""}, comments: 1},
		{name: "a heading over two", text: "\n# Office\n\n[Peer]\nKEY\n", want: []string{""}, comments: 1},
		{name: "a block", text: "\n# ann\n# since May\n[Peer]\nKEY\n", want: []string{""}, comments: 2},
		{name: "above and inside", text: "\n# office\n[Peer]\n# router\nKEY\n", want: []string{""}, comments: 2},
		{name: "each key has one", text: "\n[Peer]\n# Alice\nKEY\n# Lan\nAllowedIPs = 10.0.0.2/32\n", want: []string{""}, comments: 2},
	} {
		t.Run(test.name, func(t *testing.T) {
			got, c := namesOf(t, test.text)
			if !slices.Equal(got, test.want) || c.Comments() != test.comments {
				t.Errorf("names %q, want %q; %d comments that name nobody, want %d", got, test.want, c.Comments(), test.comments)
			}
		})
	}
}

// What stands where names do and is none, in files with one peer and with three.
func TestFalseFriends(t *testing.T) {
	for _, text := range []string{
		"Public key of the peer", "Public key", "PublicKey", "Peer", "Peers", "Clients", "Server", "Server public key", "the server",
		"Öffentlicher Schlüssel des Servers", "Schlüssel", "Schluessel", "Clé publique du serveur", "Clave pública",
		"Chiave pubblica", "Klucz publiczny",
		"Открытый ключ", "ключ", "公開鍵", "公钥", "DNS = 10.0.0.53", "PublicKey = x", "Endpoint", "[Peer]", "AllowedIPs = 0.0.0.0/0",
		"10.0.0.2", "10.0.0.2/32",
		"fd00::2", "https://example.com/", "This is my phone.", "my phone", "Optional", "optional: a preshared key", "Replace with your key",
		"-----", "=====", "2023-01-05", "1", "", "aGVsbG8gaGVsbG8gaGVsbG8gaGVsbG8gaGVsbG8gaGU=", "aGVsbG8gaGVsbG8gaGVsbG8gaGVsbG8gaGVsbG8gaGU",
		"Client: see below", "Client settings", "# Client", "Peer configuration", "TODO", "SaveConfig", "PersistentKeepalive",
		"Peer configuration for the server", "## Client configuration", "Name: the name of the peer", "## Client settings",
		"phone, tablet", "phone; tablet", "remote (office)", "$(rm -rf /)", "\x1b[31mred", "begin", "end",
	} {
		for _, format := range []string{"\n# %s\n[Peer]\nKEY\n", "\n[Peer]\n#%s\nKEY\n"} {
			one := fmt.Sprintf(format, text)
			for _, all := range []string{one, one + one + one} {
				got, _ := namesOf(t, all)
				if slices.ContainsFunc(got, func(s string) bool { return s != "" }) {
					t.Errorf("%q gives the names %q", all, got)
				}
			}
		}
	}
}

// Whatever the comments are: a name can be shown, was said by the comments, is the same
// when the file was written and read again, and no key.
func FuzzNames(f *testing.F) {
	for _, seed := range []string{
		"# ann\n[Peer]\nKEY\n", "[Peer]\n# ann\nKEY\n# Name = bob\n[Peer]\n", "### begin a ###\n[Peer]\nKEY\n### end a ###\n",
		"# Client: a (7ef5cc1a-7e1d-4e7a-9c2e-0a3a8dd2b0c5)\n[Peer]\nKEY\n", "# Name:    a\n[Peer]\nKEY\n",
		"# BEGIN_PEER x\n[Peer]\nKEY\n# END_PEER x",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		c, err := Parse(strings.NewReader(strings.ReplaceAll(text, "KEY", "PublicKey = "+pubA)), "wg0.conf")
		if err != nil || c.ForStack {
			return
		}
		if c.Comments() < 0 {
			t.Errorf("%d comments", c.Comments())
		}
		var b strings.Builder
		if err := c.WriteConf(&b); err != nil {
			t.Fatal(err)
		}
		again, err := Parse(strings.NewReader(b.String()), "wg0.conf")
		if err != nil {
			t.Fatalf("refuses its own text: %v\n%s", err, b.String())
		}
		for i := range c.Peers {
			name := c.Peers[i].Name
			if name != printable(name) || !strings.Contains(printable(text), name) {
				t.Errorf("%q is not in %q", name, text)
			}
			if again.Peers[i].Name != name {
				t.Errorf("%q became %q in\n%s", name, again.Peers[i].Name, b.String())
			}
		}
	})
}
