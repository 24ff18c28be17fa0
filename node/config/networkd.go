package config

import (
	"fmt"
	"net/netip"
	"path/filepath"
	"slices"
	"strings"
)

// What networkd's files say (systemd.netdev(5), systemd.network(5)). Its routes are not those
// of AllowedIPs, unless RouteTable says so: they stand in the .network.

// networkd is what decides about routes.
type networkd struct {
	f      *foreign
	table  *iniEntry // RouteTable, if it is no
	routes []iniEntry
}

// netdev reads a .netdev and the .network files of its interface.
func (f *foreign) netdev(file *iniFile) {
	n := &networkd{f: f}
	for i := range file.sections {
		s := &file.sections[i]
		if s.name == "WireGuardPeer" {
			f.p.cfg.Path, f.p.lineNo = file.path, s.at.line
			f.p.beginPeer()
		}
		for j := range s.entries {
			e := &s.entries[j]
			switch s.name {
			case "NetDev":
				n.device(e)
			case "WireGuard":
				n.wireguard(e)
			case "WireGuardPeer":
				n.peer(e)
			default:
				f.unsaid(e, noEquivalent)
			}
		}
		if s.name == "WireGuardPeer" && f.p.peer.PublicKey.IsZero() {
			f.p.cfg.Path, f.p.lineNo = file.path, s.at.line
			f.p.fail("PublicKey", "missing in this [WireGuardPeer]")
		}
	}
	n.dropIns(file.path)
	for _, name := range beside(file.path, "*.network") {
		network, err := f.open(name)
		if err != nil {
			f.Unsaid = append(f.Unsaid, &Error{File: name, Msg: err.Error()})
			continue
		}
		if !matches(network, f.p.cfg.Name) {
			f.Files = f.Files[:len(f.Files)-1]
			f.p.cfg.comments -= network.comments
			continue
		}
		n.network(network)
		n.dropIns(name)
	}
	n.settleRoutes(file.path)
	f.p.cfg.Path = file.path
}

// dropIns says that there are some.
func (n *networkd) dropIns(path string) {
	for _, name := range beside(path, filepath.Base(path)+".d/*.conf") {
		n.f.Unsaid = append(n.f.Unsaid, &Error{File: name, Msg: "is not read: add what it says by hand"})
	}
}

// matches reports whether a .network is for an interface by name.
func matches(file *iniFile, name string) bool {
	for _, pattern := range strings.Fields(file.first("Match", "Name")) {
		if ok, err := filepath.Match(pattern, name); err == nil && ok && name != "" {
			return true
		}
	}
	return false
}

func (n *networkd) device(e *iniEntry) {
	switch e.key {
	case "Name":
		n.f.take(e, "interface", "name", e.value)
	case "MTUBytes":
		n.f.take(e, "interface", "mtu", e.value)
	case "Kind", "Description":
	default:
		n.f.unsaid(e, noEquivalent)
	}
}

func (n *networkd) wireguard(e *iniEntry) {
	switch e.key {
	case "PrivateKey":
		n.secret(e, "interface", "private_key")
	case "PrivateKeyFile":
		n.f.take(e, "interface", "private_key_file", e.value)
		n.f.p.cfg.Interface.PrivateKey = [32]byte{} // which is ignored
	case "ListenPort":
		if e.value != "auto" {
			n.f.take(e, "interface", "listen_port", e.value)
		}
	case "FirewallMark", "FwMark":
		n.f.take(e, "interface", "fwmark", e.value)
	case "RouteTable":
		n.table = nil
		if !no(e.value) {
			n.table = e
			n.f.take(e, "interface", "table", e.value)
		}
	default:
		n.f.unsaid(e, noEquivalent)
	}
}

// secret takes a key. What begins with an @ is kept elsewhere.
func (n *networkd) secret(e *iniEntry, table, name string) {
	if strings.HasPrefix(e.value, "@") {
		n.f.unsaid(e, "the key is not in the file: say where it is by %s_file or %s_credential", name, name)
		return
	}
	n.f.take(e, table, name, e.value)
}

func no(v string) bool {
	return slices.Contains([]string{"no", "false", "off", "0", "n", "f"}, strings.ToLower(v))
}

func (n *networkd) peer(e *iniEntry) {
	peer := n.f.p.peer
	switch e.key {
	case "PublicKey":
		n.f.take(e, "peer", "public_key", e.value)
	case "PresharedKey":
		n.secret(e, "peer", "preshared_key")
	case "PresharedKeyFile":
		n.f.take(e, "peer", "preshared_key_file", e.value)
		peer.PresharedKey = [32]byte{} // which is ignored
	case "AllowedIPs":
		n.f.takeAll(e, "peer", "allowed_ips", list(e.value))
	case "Endpoint":
		n.f.take(e, "peer", "endpoint", e.value)
	case "PersistentKeepalive":
		n.f.take(e, "peer", "persistent_keepalive", e.value)
	default:
		n.f.unsaid(e, noEquivalent)
	}
}

// network reads a .network of the interface.
func (n *networkd) network(file *iniFile) {
	f := n.f
	for i := range file.sections {
		s := &file.sections[i]
		switch s.name {
		case "Route":
			n.route(s)
			continue
		case "RoutingPolicyRule":
			f.unsaid(&s.at, "%s: what sends packets into the tunnel by table = \"auto\" are rules of its own", noEquivalent)
			continue
		}
		for j := range s.entries {
			e := &s.entries[j]
			switch s.name + " " + e.key {
			case "Match Name":
			case "Network Address", "Address Address":
				f.take(e, "interface", "address", e.value)
			case "Network DNS":
				f.servers(e, strings.Fields(e.value))
			case "Network Domains":
				f.domains(e, strings.Fields(e.value))
			case "Link MTUBytes":
				f.take(e, "interface", "mtu", e.value)
			case "Network IPForward", "Network IPv4Forwarding", "Network IPv6Forwarding":
				f.p.cfg.Interface.Forward = f.p.cfg.Interface.Forward || !no(e.value)
			case "Network IPMasquerade":
				if !no(e.value) {
					f.unsaid(e, "name the interfaces by which it leaves: masquerade = [\"eth0\"]")
				}
			case "Network DHCP", "Network LinkLocalAddressing", "Network IPv6AcceptRA":
				if !no(e.value) {
					f.unsaid(e, noEquivalent)
				}
			case "Network DNSDefaultRoute", "Network Description", "Link RequiredForOnline", "Network ConfigureWithoutCarrier":
			default:
				f.unsaid(e, noEquivalent)
			}
		}
	}
}

// route keeps the destination of a route through the tunnel.
func (n *networkd) route(s *iniSection) {
	var to *iniEntry
	for j := range s.entries {
		e := &s.entries[j]
		switch e.key {
		case "Destination":
			to = e
		case "Scope", "Metric":
		default:
			n.f.unsaid(e, "of a route %s", noEquivalent)
		}
	}
	if to != nil {
		n.routes = append(n.routes, *to)
	}
}

// settleRoutes has the tunnel have the routes that networkd gives it. Ours are those of
// AllowedIPs, but for the networks of the interface's own addresses; where these are others,
// commands add them.
func (n *networkd) settleRoutes(path string) {
	c := n.f.p.cfg
	if n.table != nil {
		for i := range n.routes {
			n.f.route(&n.routes[i], n.routes[i].value)
		}
		return
	}
	given := make(map[netip.Prefix]bool)
	for i := range n.routes {
		if p, err := parsePrefix(n.routes[i].value); err == nil {
			given[p.Masked()] = true
		}
	}
	same := true
	allowed := make(map[netip.Prefix]bool)
	for _, r := range c.AllowedRoutes() {
		allowed[r.Prefix] = true
		own := slices.ContainsFunc(c.Interface.Addresses, func(a netip.Prefix) bool {
			return a.Masked().Overlaps(r.Prefix) && a.Bits() <= r.Prefix.Bits()
		})
		same = same && (own || given[r.Prefix])
	}
	for p := range given {
		same = same && allowed[p]
	}
	if same {
		return
	}
	c.Interface.Table = TableOff
	for i := range n.routes {
		n.f.route(&n.routes[i], n.routes[i].value)
	}
	n.f.Unsaid = append(n.f.Unsaid, &Error{File: path, Key: "RouteTable",
		Msg: fmt.Sprintf("its routes are not those of AllowedIPs: they are written as no table, and as commands (%d)", len(n.routes))})
}
