//go:build linux

package faults

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/wgnode/wgnode/node/lab"
)

// packets are those that a rule of a firewall matches.
type packets struct {
	iif, oif     string
	proto        string
	dport, sport int
	more         string // in nft's words
}

// other are packets like these, of another service.
func (p packets) other() packets {
	if p.dport != 0 {
		p.dport += 1000
	}
	if p.sport != 0 {
		p.sport += 1000
	}
	return p
}

// port is the port that packets are told by, and which it is in nft's words.
func (p packets) port() (which string, n int) {
	if p.dport != 0 {
		return "dport", p.dport
	}
	return "sport", p.sport
}

func (p packets) nft() string {
	var w []string
	if p.iif != "" {
		w = append(w, "iifname", p.iif)
	}
	if p.oif != "" {
		w = append(w, "oifname", p.oif)
	}
	if p.dport != 0 {
		w = append(w, p.proto, "dport", strconv.Itoa(p.dport))
	}
	if p.sport != 0 {
		w = append(w, p.proto, "sport", strconv.Itoa(p.sport))
	}
	return strings.Join(append(w, p.more), " ")
}

func (p packets) iptables() []string {
	args := []string{"-p", p.proto}
	for _, o := range []struct{ flag, value string }{{"-i", p.iif}, {"-o", p.oif}} {
		if o.value != "" {
			args = append(args, o.flag, o.value)
		}
	}
	for _, o := range []struct {
		flag string
		port int
	}{{"--dport", p.dport}, {"--sport", p.sport}} {
		if o.port != 0 {
			args = append(args, o.flag, strconv.Itoa(o.port))
		}
	}
	return args
}

// firewall is a way to drop packets: one kind of rule, at one place.
type firewall struct {
	how string
	put func(s *site, h *lab.Host, p packets, comment string)
}

// chain is a chain of nft's: "inet filter output -300". The family ip stands for
// that of the site. verdict is what its rule says.
func chain(spec, verdict string) firewall {
	w := strings.Fields(spec)
	return firewall{"nft " + spec + ", " + verdict, func(s *site, h *lab.Host, p packets, comment string) {
		family := w[0]
		if family == "ip" && s.V6 {
			family = "ip6"
		}
		if w[1] == "nat" { // is called only where connections are tracked
			p.more = "ct state new"
		}
		rules := fmt.Sprintf("%s counter %s comment %q", p.nft(), verdict, comment)
		if comment == culprit { // another that would do the same must not be blamed
			rules += fmt.Sprintf("\n  %s counter %s comment %q", p.nft(), verdict, later)
		}
		h.RunInput(fmt.Sprintf("table %s t-%s {\n chain c {\n  type %s hook %s priority %s\n  %s\n }\n}\n",
			family, comment, w[1], w[2], w[3], rules), "nft", "-f", "-")
	}}
}

// atDevice is a chain of nft's at a hook of a device: "inet ingress wg0". Of the
// family inet it is called for both.
func atDevice(spec, verdict string) firewall {
	w := strings.Fields(spec)
	return firewall{"nft " + spec + ", " + verdict, func(s *site, h *lab.Host, p packets, comment string) {
		p.iif, p.oif = "", "" // the device says it
		h.RunInput(fmt.Sprintf("table %s t-%s {\n chain c {\n  type filter hook %s device %s priority 0\n  %s counter %s comment %q\n }\n}\n",
			w[0], comment, w[1], w[2], p.nft(), verdict, comment), "nft", "-f", "-")
	}}
}

// translate is a rule of iptables-nft that sends packets to a host of A's LAN.
func translate() firewall {
	return firewall{"iptables nat OUTPUT DNAT", func(s *site, h *lab.Host, p packets, comment string) {
		program, to := "iptables-nft", "10.9.1.77:81"
		if s.V6 {
			program, to = "ip6tables-nft", "[fd00:9:1::77]:81"
		}
		args := append([]string{program, "-w", "-t", "nat", "-A", "OUTPUT"}, p.iptables()...)
		h.Run(append(args, "-m", "comment", "--comment", comment, "-j", "DNAT", "--to-destination", to)...)
	}}
}

// ipsec is a policy of IPsec that blocks what is sent to a port, or comes from one: of
// a direction of ip-xfrm(8).
func ipsec(dir string) firewall {
	return firewall{"IPsec policy, " + dir + ", block", func(s *site, h *lab.Host, p packets, _ string) {
		port, n := p.port()
		h.Run("ip", s.Flag(), "xfrm", "policy", "add", "dir", dir, "proto", p.proto, port, strconv.Itoa(n), "action", "block")
	}}
}

// encrypted is a policy of IPsec that wants what comes from a port to have come
// encrypted.
func encrypted(dir string) firewall {
	return firewall{"IPsec policy, " + dir + ", wants ESP", func(s *site, h *lab.Host, p packets, _ string) {
		h.Run("ip", s.Flag(), "xfrm", "policy", "add", "dir", dir, "proto", p.proto, "sport", strconv.Itoa(p.sport), "tmpl", "proto",
			"esp", "mode", "transport")
	}}
}

// ofBridge is a chain of nft's for bridges: "output".
func ofBridge(hook string) firewall {
	return firewall{"nft bridge filter " + hook + ", drop", func(s *site, h *lab.Host, p packets, comment string) {
		p.iif, p.oif = "", "" // here a port of the bridge
		family := "ip"
		if s.V6 {
			family = "ip6"
		}
		h.RunInput(fmt.Sprintf("table bridge t-%s {\n chain c {\n  type filter hook %s priority 0\n"+
			"  ether type %s %s counter drop comment %q\n }\n}\n",
			comment, hook, family, p.nft(), comment), "nft", "-f", "-")
	}}
}

// bridged makes a device of a host a port of a bridge, which has its addresses and
// routes from then on.
func bridged(host func(s *site) *lab.Host, device string) func(s *site) {
	return func(s *site) {
		h := host(s)
		h.Run("ip", "link", "add", "br0", "type", "bridge", "forward_delay", "0")
		h.Run("ip", "link", "set", "br0", "up")
		for _, flag := range []string{"-4", "-6"} {
			routes := strings.TrimSpace(h.Run("ip", flag, "route", "show", "default", "dev", device))
			for line := range strings.Lines(h.Run("ip", flag, "-o", "address", "show", "dev", device, "scope", "global")) {
				addr := strings.Fields(line)[3]
				h.Run("ip", flag, "address", "del", addr, "dev", device)
				h.Run("ip", flag, "address", "add", addr, "dev", "br0", "nodad")
			}
			if routes != "" {
				h.Run("ip", flag, "route", "replace", "default", "via", strings.Fields(routes)[2], "dev", "br0")
			}
		}
		h.Run("ip", "link", "set", device, "master", "br0")
	}
}

// verdictMap is a chain of nft's that looks up in a map what to do with a port.
func verdictMap(spec string) firewall {
	w := strings.Fields(spec)
	return firewall{"nft " + spec + ", verdict map", func(s *site, h *lab.Host, p packets, comment string) {
		port, n := p.port()
		h.RunInput(fmt.Sprintf("table %s t-%s {\n chain away { drop; }\n chain c {\n  type %s hook %s priority %s\n"+
			"  %s %s vmap { 9: accept, %d : goto away } comment %q\n }\n}\n",
			w[0], comment, w[1], w[2], w[3], p.proto, port, n, comment), "nft", "-f", "-")
	}}
}

// jump is a chain of nft's whose rule is two calls away.
func jump(spec, verdict string) firewall {
	w := strings.Fields(spec)
	return firewall{"nft " + spec + ", " + verdict + " two chains away", func(s *site, h *lab.Host, p packets, comment string) {
		h.RunInput(fmt.Sprintf("table %s t-%s {\n chain far { counter %s comment %q; }\n chain near { %s goto far; }\n"+
			" chain c {\n  type %s hook %s priority %s\n  jump near\n }\n}\n",
			w[0], comment, verdict, comment, p.nft(), w[1], w[2], w[3]), "nft", "-f", "-")
	}}
}

// policy is a chain that drops what it has no rule for.
func policy(spec string) firewall {
	w := strings.Fields(spec)
	return firewall{"nft " + spec + ", policy drop", func(s *site, h *lab.Host, p packets, comment string) {
		port, n := p.port()
		h.RunInput(fmt.Sprintf("table %s t-%s {\n chain c {\n  type %s hook %s priority %s; policy drop;\n"+
			"  meta l4proto != %s accept\n  %s %s != %d accept\n }\n}\n",
			w[0], comment, w[1], w[2], w[3], p.proto, p.proto, port, n), "nft", "-f", "-")
	}}
}

// iptables is a rule of iptables-nft: "raw PREROUTING DROP".
func iptables(spec string, more ...string) firewall {
	w := strings.Fields(spec)
	return firewall{"iptables " + spec, func(s *site, h *lab.Host, p packets, comment string) {
		program := "iptables-nft"
		if s.V6 {
			program = "ip6tables-nft"
		}
		args := append([]string{program, "-w", "-t", w[0], "-A", w[1]}, p.iptables()...)
		args = append(args, "-m", "comment", "--comment", comment, "-j", w[2])
		h.Run(append(args, more...)...)
	}}
}

// behind makes, of one case, one for each firewall on a host.
func behind(f fault, host func(s *site) *lab.Host, p func(s *site) packets, walls ...firewall) []fault {
	var all []fault
	for _, wall := range walls {
		one := f
		one.how = wall.how
		if f.how != "" {
			one.how = f.how + ": " + wall.how
		}
		one.twin = func(s *site) {
			if f.twin != nil {
				f.twin(s)
			}
			wall.put(s, host(s), p(s).other(), harmless)
		}
		one.inject = func(s *site) {
			if f.inject != nil {
				f.inject(s)
			}
			wall.put(s, host(s), p(s), culprit)
		}
		all = append(all, one)
	}
	return all
}

func hostA(s *site) *lab.Host { return s.A }
func hostR(s *site) *lab.Host { return s.R }
func hostH(s *site) *lab.Host { return s.H }
func hostB(s *site) *lab.Host { return s.B }

// these are packets that are the same for every site.
func these(p packets) func(*site) packets { return func(*site) packets { return p } }
