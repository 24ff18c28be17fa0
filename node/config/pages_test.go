package config

import (
	"cmp"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/wgnode/wgnode/probe/docpage"
)

// defaults say what happens without a key, by "TABLE KEY", where the key is not required.
// "" is nothing: no such address, peer or service.
var defaults = map[string]string{
	"interface name":                   "the name of the file",
	"interface private_key":            "none; `up` refuses",
	"interface private_key_file":       "",
	"interface private_key_command":    "",
	"interface private_key_credential": "",
	"interface address":                "",
	"interface listen_port":            "one that the kernel chooses",
	"interface fwmark":                 "one is chosen for a default route, else off",
	"interface dns":                    "",
	"interface search":                 "",
	"interface resolver":               "the one that the host has",
	"interface mtu":                    "what fits through the route to the peers",
	"interface table":                  "`auto`",
	"interface pre_up":                 "",
	"interface post_up":                "",
	"interface pre_down":               "",
	"interface post_down":              "",
	"interface save_config":            "`false`",
	"interface kill_switch":            "`false`",
	"interface kill_switch_lan":        "`false`",
	"interface exclude":                "",
	"interface forward":                "`false`",
	"interface masquerade":             "",
	"interface peers_file":             "",
	"interface.port_forward from":      "any but the tunnel",
	"metrics hosts":                    "names of loopback only",
	"telemetry protocol":               "`http/protobuf`",
	"telemetry headers":                "none",
	"telemetry headers_file":           "",
	"telemetry headers_command":        "",
	"telemetry headers_credential":     "",
	"telemetry ca_file":                "those that the system trusts",
	"telemetry sample":                 "`1%`",
	"telemetry anonymize":              "`false`",
	"metrics web_config":               "open to all local users",
	"peer name":                        "the beginning of the public key",
	"peer preshared_key":               "",
	"peer preshared_key_file":          "",
	"peer preshared_key_command":       "",
	"peer preshared_key_credential":    "",
	"peer endpoint":                    "the peer has to begin",
	"peer allowed_ips":                 "",
	"peer persistent_keepalive":        "`off`",
	"socks5 user":                      "open to all local users",
	"socks5 password":                  "",
	"socks5 password_file":             "",
	"socks5 password_command":          "",
	"socks5 password_credential":       "",
	"http_proxy user":                  "open to all local users",
	"http_proxy password":              "",
	"http_proxy password_file":         "",
	"http_proxy password_command":      "",
	"http_proxy password_credential":   "",
	"forward idle_timeout":             "60",
	"remote_forward idle_timeout":      "60",
	"route allow":                      "nothing",
	"dns listen":                       "",
	"dns prefer":                       "`ipv6`",
}

// examplesOf are the values that the reference gives, by "TABLE KEY".
func examplesOf(text string) map[string]string {
	given := make(map[string]string)
	table := ""
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		if strings.HasPrefix(line, "[") {
			table = strings.Trim(line, "[]")
		}
		if m := setting.FindStringSubmatch(line); m != nil && given[table+" "+m[2]] == "" {
			value := strings.TrimPrefix(line, m[0])
			if strings.HasSuffix(value, `"""`) {
				value = `["logger %i"]`
			}
			given[table+" "+m[2]] = value
		}
	}
	return given
}

// The page of all keys of both formats, made of the parsers' tables and of what the
// reference says.
func TestConfigurationPage(t *testing.T) {
	text, err := os.ReadFile(reference)
	if err != nil {
		t.Fatal(err)
	}
	about, examples := explained(string(text)), examplesOf(string(text))
	var b strings.Builder
	b.WriteString("# Configuration\n\n" + docpage.Made("go test ./node/config -run TestConfigurationPage"))
	b.WriteString(introduction)
	inConf := make(map[string]string) // the .toml's key for each of a .conf
	used := make(map[string]bool)
	for i := range tomlTables {
		table := &tomlTables[i]
		if table.name == "" {
			continue
		}
		fmt.Fprintf(&b, "\n### %s\n\n", docpage.Code(table.header()))
		if said := about[table.name]; said != "" {
			b.WriteString(said + "\n\n")
		}
		b.WriteString("| key | value | default | meaning | example | without an interface | reload |\n|---|---|---|---|---|---|---|\n")
		for _, k := range table.keys {
			name := table.name + " " + k.name
			said, without := about[name], "required"
			if !slices.Contains(table.required, k.name) {
				var ok bool
				if without, ok = defaults[name]; !ok {
					t.Errorf("%s has no default: add it to defaults", name)
				}
				used[name] = true
			}
			if said == "" || examples[name] == "" {
				t.Errorf("%s is not explained, or has no example, in %s", name, reference)
			}
			if k.conf != "" && inConf[k.conf] == "" {
				inConf[k.conf] = name
			}
			fmt.Fprintf(&b, "| %s | %s | %s | %s | %s | %s | %s |\n", docpage.Code(k.name), k.kind, without, docpage.Cell(said),
				docpage.Code(examples[name]), cmp.Or(k.stack, table.stack), cmp.Or(k.reload, table.reload))
		}
	}
	for name := range defaults {
		if !used[name] {
			t.Errorf("%s has a default, and is not a key that may be left out", name)
		}
	}
	b.WriteString(confIntroduction)
	for _, section := range []struct {
		header string
		keys   []keyword
	}{{"[Interface]", interfaceKeys}, {"[Peer]", peerKeys}} {
		fmt.Fprintf(&b, "\n### %s of a .conf\n\n| key | of | the same in a .toml | meaning |\n|---|---|---|---|\n", docpage.Code(section.header))
		for _, k := range section.keys {
			of := "wg-quick(8)"
			if k.wg {
				of = "wg(8)"
			}
			_, key, _ := strings.Cut(inConf[k.name], " ")
			if key == "" {
				t.Errorf("%s has no counterpart in a .toml", k.name)
			}
			fmt.Fprintf(&b, "| %s | %s | %s | %s |\n", docpage.Code(k.name), of, docpage.Code(key), docpage.Cell(about[inConf[k.name]]))
		}
	}
	docpage.Check(t, "configuration.md", b.String())
}

const introduction = `wgnode reads two formats. A .conf is wg-quick's, unchanged; a .toml is wgnode's own and can say more. The name of
the file chooses. NAME on a command line means /etc/wireguard/NAME.conf, or NAME.toml if there is no .conf.

- ` + "`wgnode check NAME`" + ` reports every fault of a file, with its line.
- ` + "`wgnode convert`" + ` turns one format into the other, and lists what a .conf cannot say.
- [wgnode.toml](../examples/wgnode.toml) is one file with every key, and [a schema](schema/wgnode.toml.json) completes it in
  editors: ` + "`#:schema /usr/share/doc/wgnode/wgnode.toml.json`" + ` in the first line.
- ` + "`wgnode reload NAME`" + ` applies a changed file to a running tunnel.

A key that wgnode does not know is an error. Relative paths begin at the folder of the file.

Two columns say what becomes of a key:

- *without an interface*, as with ` + "`--netstack`" + `: used; skipped, which the node says; refused, because others rely on it; or
  only there, which a node with an interface refuses.
- *reload*, what a reload changes: the WireGuard device, this host (without an interface only the next time that the
  tunnel comes up), or a service; read means that the value is read when it is needed, next up that it counts the next
  time that the tunnel comes up.

## A .toml
`

const confIntroduction = `
## A .conf

Keys are those of wg(8) and wg-quick(8); case does not matter. ` + "`# Name = X`" + ` below ` + "`[Peer]`" + ` names a peer.
`
