package fix

import (
	"cmp"
	"fmt"
	"strconv"
	"strings"
)

// Where is the place where a step is to be done. What is "" does not matter, or is
// this host's.
type Where struct {
	Host string `json:"host,omitempty"` // another host than this one: its name or address
	File string `json:"file,omitempty"` // path, or the name of a file whose path is not known
	// Section is that of a configuration, as wg-quick spells it: "Interface", "Peer".
	Section string `json:"section,omitempty"`
	// Peer is the public key in base64 of the peer whose section it is, and Name what
	// people know it by.
	Peer string `json:"peer,omitempty"`
	Name string `json:"peer_name,omitempty"`
}

// Heading is the section as the file's language writes it: "[Peer]", or "[[peer]]"
// in TOML.
func (w Where) Heading() string {
	switch {
	case w.networkd():
		return "[" + cmp.Or(networkdSections[w.Section], w.Section) + "]"
	case w.manager() && w.Section == "Peer" && w.Peer != "":
		return "[wireguard-peer." + w.Peer + "]"
	case w.manager():
		return "[" + cmp.Or(managerSections[w.Section], w.Section) + "]"
	case !w.toml():
		return "[" + w.Section + "]"
	case w.Section == "Peer":
		return "[[peer]]"
	}
	return "[" + strings.ToLower(w.Section) + "]"
}

// String is the section and the file for notes: "[Peer] of bob (/etc/wireguard/wg0.conf)".
func (w Where) String() string {
	s := w.Heading()
	if w.Name != "" {
		s += " of " + w.Name
	}
	return s + w.InFile()
}

// InFile is " (FILE)", and "" where there is none.
func (w Where) InFile() string {
	if w.File == "" {
		return ""
	}
	return " (" + w.File + ")"
}

// networkd and manager report whether the file is one of systemd-networkd's, or of
// NetworkManager's, which have languages of their own.
func (w Where) networkd() bool { return strings.HasSuffix(w.File, ".netdev") }
func (w Where) manager() bool {
	return strings.HasSuffix(w.File, ".nmconnection") || strings.Contains(w.File, "/NetworkManager/system-connections/")
}

var (
	networkdSections = map[string]string{"Interface": "WireGuard", "Peer": "WireGuardPeer"}
	managerSections  = map[string]string{"Interface": "wireguard", "Peer": "wireguard-peer.KEY"}
)

// managerKeys are the keys of wg-quick as NetworkManager has them.
var managerKeys = map[string]string{"PrivateKey": "private-key", "PresharedKey": "preshared-key", "Endpoint": "endpoint",
	"AllowedIPs": "allowed-ips", "PersistentKeepalive": "persistent-keepalive", "MTU": "mtu", "ListenPort": "listen-port"}

// Apply is how a file is applied that a device of the kernel's was configured by, in the words
// of the program that the file is for.
func Apply(device, file string) Steps {
	switch w := (Where{File: file}); {
	case w.networkd():
		return Steps{Command("networkctl reload"), Notef("if %s keeps what it had, recreate it:", device),
			Command("ip link delete %s", device), Command("networkctl reload")}
	case w.manager():
		return Steps{Command("nmcli connection load %s", file), Command("nmcli device reapply %s", device)}
	case file != "":
		return Steps{Command("wg-quick strip %s | wg syncconf %s /dev/stdin", device, device),
			Notef("addresses and routes take: wg-quick down %s; wg-quick up %s", device, device)}
	}
	return Steps{Notef("apply it as %s was configured: by wg set, or the program that has made it", device)}
}

// toml reports whether the file is one in wgnode's own format.
func (w Where) toml() bool { return strings.HasSuffix(w.File, ".toml") }

// line is a line of the file, in its language. Without a key it is the heading.
func (w Where) line(key, value string) string {
	switch {
	case key == "":
		return w.Heading()
	case w.manager() && key == "PublicKey":
		return "# the heading has the public key"
	case w.manager() && managerKeys[key] == "allowed-ips":
		return "allowed-ips=" + strings.ReplaceAll(value, ", ", ";") + ";"
	case w.manager() && managerKeys[key] != "":
		return managerKeys[key] + "=" + value
	case w.networkd() && key == "MTU":
		return "MTUBytes = " + value // in [NetDev]
	case strings.HasPrefix(key, "--"):
		return key + " " + value
	case w.toml():
		if k, ok := tomlKeys[key]; ok {
			return k.name + " = " + k.value(value)
		}
	}
	return key + " = " + value
}

// tomlKeys are the keys of wg-quick that differ in TOML.
var tomlKeys = map[string]tomlKey{
	"PublicKey":           {name: "public_key", value: strconv.Quote},
	"PresharedKey":        {name: "preshared_key", value: strconv.Quote},
	"Endpoint":            {name: "endpoint", value: strconv.Quote},
	"AllowedIPs":          {name: "allowed_ips", value: tomlArray},
	"PersistentKeepalive": {name: "persistent_keepalive", value: tomlNumber},
	"Address":             {name: "address", value: tomlArray},
	"DNS":                 {name: "dns", value: tomlArray},
	"MTU":                 {name: "mtu", value: tomlNumber},
	"ListenPort":          {name: "listen_port", value: tomlNumber},
	"allow":               {name: "allow", value: tomlArray}, // [route] is in TOML only
}

type tomlKey struct {
	name  string
	value func(wgQuick string) string
}

func tomlNumber(value string) string { return value }

// tomlArray is a list, which wg-quick separates by commas.
func tomlArray(value string) string {
	var items []string
	for item := range strings.SplitSeq(value, ",") {
		items = append(items, strconv.Quote(strings.TrimSpace(item)))
	}
	return fmt.Sprintf("[%s]", strings.Join(items, ", "))
}
