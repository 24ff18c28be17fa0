//go:build linux

package recordings

import (
	"fmt"
	"strings"
	"testing"

	"github.com/wgnode/wgnode/node/lab"
	"github.com/wgnode/wgnode/probe/diagnose"
	"github.com/wgnode/wgnode/probe/evidence"
)

// pairFault is a fault that A alone has only a general name for, or none that is
// certain, and what the two recordings say.
type pairFault struct {
	name   string
	conf   func(s *site) // before both are up
	inject func(s *site) // afterwards
	fresh  bool          // without a session; else one is made first, while both are recorded
	ask    func(s *site) string
	code   diagnose.Code
	at     string
	host   string // on whose evidence
	says   string
}

// drop has a host drop packets.
func drop(host func(*site) *lab.Host, hook, match string) func(*site) {
	return func(s *site) {
		family, priority := "inet", "0"
		if hook == "prerouting" {
			priority = "-300"
		}
		host(s).RunInput(fmt.Sprintf("table %s culprit {\n chain c {\n type filter hook %s priority %s\n %s counter drop\n"+
			" }\n}\n", family, hook, priority, match), "nft", "-f", "-")
	}
}

// legacy has a host drop datagrams by a rule of iptables as it was before nftables, which
// netfilter's trace does not show: "raw PREROUTING".
func legacy(host func(*site) *lab.Host, place, match string) func(*site) {
	return func(s *site) {
		host(s).Run(append(append([]string{"iptables-legacy", "-w", "-t"}, strings.Fields(strings.Replace(place, " ", " -A ", 1))...),
			append([]string{"-p", "udp"}, append(strings.Fields(match), "-j", "DROP")...)...)...)
	}
}

func pairFaults() []pairFault {
	const toH, fromH = "udp dport 51820", "udp sport 51820"
	b := func(s *site) string { return s.IP(s.Addr.B) }
	ipH := func(s *site, args ...string) { s.H.Run(append([]string{"ip", s.Flag()}, args...)...) }
	return []pairFault{
		{name: "unknown peer", conf: (*site).Stranger, fresh: true, code: diagnose.UnknownPeer, at: "B2", host: "h", says: "PublicKey = "},
		{name: "wrong public key", conf: func(s *site) { s.ConfA.Replace(s.T, s.Gateway.Public, lab.NewKey(s.T).Public) }, fresh: true,
			code: diagnose.WrongPublicKey, at: "B2", host: "h"},
		{name: "preshared key", conf: func(s *site) {
			s.ConfH.Replace(s.T, "AllowedIPs", "PresharedKey = "+lab.NewKey(s.T).Private+"\nAllowedIPs")
		}, fresh: true,
			code: diagnose.PSKMismatch, at: "A3", host: "a"},
		{name: "path forth", inject: drop(hostR, "forward", toH), fresh: true, code: diagnose.LostOnPath, at: "B1"},
		{name: "path back", inject: drop(hostR, "forward", fromH), fresh: true, code: diagnose.LostOnPath, at: "A3"},
		{name: "path forth, session stands", inject: drop(hostR, "forward", toH), code: diagnose.LostOnPath, at: "B3"},
		{name: "path back, session stands", inject: drop(hostR, "forward", fromH), code: diagnose.LostOnPath, at: "A5"},
		{name: "path forth, data only", inject: drop(hostR, "forward", toH+" udp length != 156"), fresh: true,
			code: diagnose.LostOnPath, at: "B3"},
		{name: "path back, data only", inject: drop(hostR, "forward", fromH+" udp length != 100"), fresh: true,
			code: diagnose.LostOnPath, at: "A5"},
		{name: "firewall of H", inject: drop(hostH, "input", toH), fresh: true, code: diagnose.UnderlayInputFirewall, at: "B2",
			host: "h", says: "culprit"},
		{name: "firewall of H, session stands", inject: drop(hostH, "prerouting", toH), code: diagnose.UnderlayInputFirewall,
			at: "B3", host: "h", says: "culprit"},
		{name: "firewall of H, outgoing", inject: drop(hostH, "output", fromH), fresh: true,
			code: diagnose.UnderlayOutputFirewall, at: "B2", host: "h", says: "culprit"},
		{name: "firewall of A", inject: drop(hostA, "input", fromH), fresh: true, code: diagnose.UnderlayInputFirewall,
			at: "A3", host: "a", says: "culprit"},
		{name: "firewall of A, outgoing", inject: drop(hostA, "output", toH), fresh: true,
			code: diagnose.UnderlayOutputFirewall, at: "A2", host: "a", says: "culprit"},
		{name: "legacy firewall of H, session stands", inject: legacy(hostH, "raw PREROUTING", "--dport 51820"),
			code: diagnose.UnderlayInputFirewall, at: "B3", host: "h", says: "legacy"},
		{name: "legacy firewall of H, outgoing", inject: legacy(hostH, "filter OUTPUT", "--sport 51820"), fresh: true,
			code: diagnose.UnderlayOutputFirewall, at: "B2", host: "h", says: "legacy"},
		{name: "legacy firewall of A, outgoing", inject: legacy(hostA, "filter OUTPUT", "--dport 51820"), fresh: true,
			code: diagnose.UnderlayOutputFirewall, at: "A2", host: "a", says: "legacy"},
		{name: "legacy firewall of A", inject: legacy(hostA, "raw PREROUTING", "--sport 51820"), fresh: true,
			code: diagnose.UnderlayInputFirewall, at: "A3", host: "a", says: "legacy"},
		{name: "legacy firewall of H", inject: legacy(hostH, "raw PREROUTING", "--dport 51820"), fresh: true,
			code: diagnose.UnderlayInputFirewall, at: "B2", host: "h", says: "legacy"},
		{name: "full queue of A", inject: func(s *site) {
			s.A.Run("tc", "qdisc", "replace", "dev", "eth0", "root", "pfifo", "limit", "0")
		}, code: diagnose.QueueFull, at: "A4", host: "a", says: "eth0"},
		{name: "disallowed source", conf: func(s *site) {
			s.ConfH.Replace(s.T, "AllowedIPs = 10.0.0.1/32, fd0a::1/128", "AllowedIPs = 10.0.0.7/32, fd0a::7/128")
		}, fresh: true, code: diagnose.DisallowedSource, at: "B4", host: "h", says: "10.0.0.1"},
		{name: "forwarding off", inject: func(s *site) { s.H.Sysctl("net.ipv4.ip_forward", "0") },
			code: diagnose.ForwardingDisabled, at: "B5", host: "h"},
		{name: "firewall behind the tunnel", inject: drop(hostH, "forward", "tcp dport 80"), code: diagnose.ForwardFirewall,
			at: "B5", host: "h", says: "culprit"},
		{name: "no route onward", inject: func(s *site) { ipH(s, "route", "add", "blackhole", b(s)) },
			code: diagnose.NoRouteOnward, at: "B5", host: "h"},
		{name: "reverse path", inject: func(s *site) {
			s.H.Sysctl("net.ipv4.conf.wg0.rp_filter", "1")
			ipH(s, "route", "add", s.Inner(1), "dev", "lan")
		}, code: diagnose.ReversePathFilter, at: "B5", host: "h"},
		{name: "nobody has the address", fresh: true, ask: func(*site) string { return "192.168.200.77:80" },
			code: diagnose.NeighborUnreachable, at: "B6", host: "a"},
		{name: "firewall of the return path", inject: drop(hostH, "forward", "tcp sport 80"), code: diagnose.ReturnFirewall,
			at: "B7", host: "h", says: "culprit"},
		{name: "return path routed elsewhere", inject: func(s *site) { ipH(s, "route", "add", s.Inner(1), "dev", "lan") },
			code: diagnose.ReturnRouteWrong, at: "B7", host: "h"},
		{name: "no NAT on the way", inject: func(s *site) { s.R.Run("nft", "delete", "table", "inet", "nat") }, fresh: true,
			code: diagnose.ReplyLeavesElsewhere, at: "B2", host: "h", says: "10.9.1.2:51821 as it sees it: not translated on the path"},
		{name: "answers leave elsewhere", conf: (*site).Untranslated,
			inject: func(s *site) { ipH(s, "route", "replace", s.LAN().String(), "via", b(s)) }, fresh: true,
			code: diagnose.ReplyLeavesElsewhere, at: "B2", host: "h"},
		{name: "firewall before the application", inject: drop(hostA, "input", "tcp sport 80"), code: diagnose.InputFirewall,
			at: "A6", host: "a", says: "culprit"},
	}
}

// Two recordings name for certain what A alone cannot.
func TestMergeFaults(t *testing.T) {
	lab.Need(t, "curl", "nft", "ip", "iptables-legacy", "tc")
	t.Parallel()
	for _, f := range pairFaults() {
		t.Run(f.name, f.run)
	}
}

func (f *pairFault) run(t *testing.T) {
	t.Parallel()
	s := newSite(t, false)
	if f.conf != nil {
		f.conf(s)
	}
	s.UpBoth()
	var r *recorded
	target := s.Web()
	if f.ask != nil {
		target = f.ask(s)
	}
	if f.fresh {
		if f.inject != nil {
			f.inject(s)
		}
		r = s.recordBoth()
	} else {
		r = s.recordBoth()
		s.A.Run("curl", "-sS", "http://"+s.Web())
		f.inject(s)
	}
	if out, status, err := s.A.Try("curl", "-sS", "-m", "7", "http://"+target); err != nil || status == 0 {
		t.Errorf("curl: %v\n%s", err, out)
	}
	r.stop()
	m := s.merge(r.files[:], "--to", target)
	if len(m.Flows) != 1 {
		t.Fatalf("%d flows: %+v", len(m.Flows), m)
	}
	v := &m.Flows[0].Verdict
	text := strings.Join(append(append([]string{v.Summary}, evidence.Texts(v.Evidence)...), v.Fix.Lines()...), "\n")
	if v.Code != f.code || v.Checkpoint.String() != f.at || !v.Certain || f.host != "" && v.Host != f.host || !strings.Contains(text, f.says) {
		out, _, _ := s.A.Try(s.Wgnode, "merge", r.files[0], r.files[1], "--to", target)
		t.Errorf("%s at %s on %q, certain %v; want %s at %s\n%s", v.Code, v.Checkpoint, v.Host, v.Certain, f.code, f.at, out)
	}
	if len(v.Evidence) == 0 || len(v.Fix) == 0 {
		t.Errorf("evidence %q, fix %q", v.Evidence, v.Fix.Lines())
	}
}
