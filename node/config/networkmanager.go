package config

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// What a keyfile of NetworkManager's says (nm-settings-keyfile(5)), by section and key. Keys
// that only matter to NetworkManager itself are left out without a word.

// ownOfManager are such keys: "section key", or a whole section.
var ownOfManager = []string{
	"connection id", "connection uuid", "connection type", "connection timestamp", "connection permissions", "connection autoconnect-priority",
	"connection autoconnect-retries", "connection metered", "connection lldp", "connection stable-id", "ipv4 may-fail", "ipv6 may-fail",
	"ipv6 addr-gen-mode", "ipv6 ip6-privacy", "ipv4 dns-options", "ipv6 dns-options", "proxy", "user",
}

// numbered keys of keyfiles: address1, address2.
var indexed = regexp.MustCompile(`^(address|addresses|route|routes)[0-9]*$`)

// keyfile reads one of NetworkManager's.
func (f *foreign) keyfile(file *iniFile) {
	for i := range file.sections {
		s := &file.sections[i]
		if rest, ok := strings.CutPrefix(s.name, "wireguard-peer."); ok {
			f.p.cfg.Path, f.p.lineNo = file.path, s.at.line
			f.p.beginPeer()
			f.take(&s.at, "peer", "public_key", rest)
		}
		for j := range s.entries {
			e := &s.entries[j]
			switch {
			case slices.Contains(ownOfManager, s.name) || slices.Contains(ownOfManager, s.name+" "+e.key), e.value == "":
			case s.name == "connection":
				f.managerConnection(e)
			case s.name == "wireguard":
				f.managerInterface(e)
			case s.name == "ipv4" || s.name == "ipv6":
				f.managerIP(s.name, e)
			case strings.HasPrefix(s.name, "wireguard-peer."):
				f.managerPeer(e)
			default:
				f.unsaid(e, noEquivalent)
			}
		}
	}
}

func (f *foreign) managerConnection(e *iniEntry) {
	switch e.key {
	case "interface-name":
		f.take(e, "interface", "name", e.value)
	case "autoconnect":
		if e.value == "false" {
			return // nor does ours come up by itself
		}
		f.unsaid(e, "at boot it is a unit that brings it up: systemctl enable wgnode@NAME")
	default:
		f.unsaid(e, noEquivalent)
	}
}

func (f *foreign) managerInterface(e *iniEntry) {
	switch e.key {
	case "private-key":
		f.take(e, "interface", "private_key", e.value)
	case "private-key-flags":
		if e.value != "0" {
			f.unsaid(e, "the private key is not in the file: NetworkManager asks an agent for it, or the user")
		}
	case "listen-port":
		f.take(e, "interface", "listen_port", e.value)
	case "fwmark":
		f.take(e, "interface", "fwmark", e.value)
	case "mtu":
		if e.value != "0" {
			f.take(e, "interface", "mtu", e.value)
		}
	case "peer-routes":
		if e.value == "false" {
			f.take(e, "interface", "table", "off")
		}
	case "ip4-auto-default-route", "ip6-auto-default-route":
		if e.value == "0" || e.value == "false" {
			f.unsaid(e, "a default route among allowed_ips is always kept from catching the encrypted packets themselves")
		}
	default:
		f.unsaid(e, noEquivalent)
	}
}

func (f *foreign) managerIP(section string, e *iniEntry) {
	name := e.key
	if m := indexed.FindStringSubmatch(name); m != nil {
		name = m[1]
	}
	switch name {
	case "address", "addresses":
		address, gateway, _ := strings.Cut(e.value, ",")
		f.take(e, "interface", "address", trim(address))
		if gateway != "" {
			f.unsaid(e, "a gateway inside of the tunnel %s", noEquivalent)
		}
	case "dns":
		f.servers(e, keyfileList(e.value))
	case "dns-search":
		f.domains(e, keyfileList(e.value))
	case "route", "routes":
		f.route(e, strings.Split(e.value, ",")[0])
	case "route-table":
		if e.value != "0" {
			f.take(e, "interface", "table", e.value)
		}
	case "method":
		if !slices.Contains([]string{"manual", "disabled", "ignore", "auto", "link-local"}, e.value) {
			f.unsaid(e, noEquivalent)
		}
	case "never-default":
		if e.value == "true" {
			f.unsaid(e, "%s: take the default route out of allowed_ips, if it is there", noEquivalent)
		}
	default:
		f.unsaid(e, "of %s %s", section, noEquivalent)
	}
}

func (f *foreign) managerPeer(e *iniEntry) {
	switch e.key {
	case "endpoint":
		f.take(e, "peer", "endpoint", e.value)
	case "preshared-key":
		f.take(e, "peer", "preshared_key", e.value)
	case "preshared-key-flags":
		if e.value != "0" {
			f.unsaid(e, "the preshared key is not in the file: NetworkManager asks an agent for it, or the user")
		}
	case "persistent-keepalive":
		f.take(e, "peer", "persistent_keepalive", e.value)
	case "allowed-ips":
		f.takeAll(e, "peer", "allowed_ips", keyfileList(e.value))
	default:
		f.unsaid(e, noEquivalent)
	}
}

// keyfileList are the items of a list.
func keyfileList(v string) []string {
	return strings.FieldsFunc(v, func(r rune) bool { return r == ';' || r == ',' || isSpace(r) })
}

// route adds a route that is not by AllowedIPs: a command, for it is not a peer's.
func (f *foreign) route(e *iniEntry, destination string) {
	p, err := parsePrefix(trim(destination))
	if err != nil {
		f.unsaid(e, "%s is not a prefix", quote(destination))
		return
	}
	family := "-4"
	if p.Addr().Is6() {
		family = "-6"
	}
	f.take(e, "interface", "post_up", fmt.Sprintf("ip %s route replace %s dev %%i", family, p.Masked()))
}
