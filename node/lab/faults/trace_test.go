//go:build linux

package faults

import (
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"os"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/cilium/ebpf"

	"github.com/wgnode/wgnode/node/lab"
	"github.com/wgnode/wgnode/node/lab/sitetest"
	"github.com/wgnode/wgnode/node/trace"
	"github.com/wgnode/wgnode/probe/patience"
	"github.com/wgnode/wgnode/probe/walk"
)

// A trace is tried as a user would: a full tunnel, one fault, and wgnode trace.

// fullTunnel brings up a site whose A sends everything through the tunnel, and
// checks sources strictly.
func fullTunnel(t *testing.T, v6 bool) *site {
	s := newSite(t, v6)
	s.ConfA.Text = regexp.MustCompile(`AllowedIPs = .*`).ReplaceAllString(s.ConfA.Text, "AllowedIPs = 0.0.0.0/0, ::/0")
	s.A.Sysctl("net.ipv4.conf.all.rp_filter", "1")
	s.UpBoth()
	return s
}

// closePort takes H's tunnel down, and the session with it.
func (s *site) closePort() {
	s.T.Helper()
	s.H.Run(s.Wgnode, "down", "wg0")
	s.A.Run(s.Wgnode, "down", "wg0")
	s.Up(s.A, s.ConfA)
}

// session has A shake hands with H, if it has not yet.
func (s *site) session() {
	s.T.Helper()
	s.A.Ping(s.Inner(2))
}

// trace runs wgnode trace on A.
func (s *site) trace(args ...string) *walk.Walk {
	s.T.Helper()
	var w walk.Walk
	status := s.Ask(s.A, &w, append([]string{"trace", "wg0", "--timeout", patience.Times(trace.DefaultTimeout).String()}, args...)...)
	if want := map[bool]int{true: 0, false: 2}[w.Outcome.Answered]; status != want {
		s.T.Errorf("exit status %d, %s", status, w.Outcome.Summary)
	}
	if out := s.A.Run("nft", "list", "tables"); strings.Contains(out, "wgnode-trace") {
		s.T.Errorf("left behind:\n%s", out)
	}
	return &w
}

// step returns the step of a place, on a leg and in a zone.
func step(t *testing.T, w *walk.Walk, leg walk.Leg, zone walk.Zone, place walk.Place) *walk.Step {
	t.Helper()
	i := slices.IndexFunc(w.Steps, func(s walk.Step) bool { return s.Leg == leg && s.Zone == zone && s.Place == place })
	if i < 0 {
		t.Fatalf("no step %s %s %s in\n%s", leg, zone, place, steps(w))
	}
	return &w.Steps[i]
}

// steps is all of a walk, to be shown.
func steps(w *walk.Walk) string {
	b, err := json.MarshalIndent(w, "", " ")
	if err != nil {
		return err.Error()
	}
	return string(b)
}

func says(t *testing.T, s *walk.Step, want ...string) {
	t.Helper()
	text := s.Title + "\n" + s.Result + "\n" + strings.Join(s.Evidence, "\n")
	for _, w := range want {
		if !strings.Contains(text, w) {
			t.Errorf("step %d does not say %q:\n%s", s.Number, w, text)
		}
	}
}

func TestTrace(t *testing.T) {
	t.Parallel()
	for _, v6 := range []bool{false, true} {
		t.Run(fmt.Sprintf("v6=%v", v6), func(t *testing.T) {
			t.Parallel()
			s := fullTunnel(t, v6)
			for _, target := range []string{s.Web(), s.IP(s.Addr.B)} {
				picture := t.TempDir() + "/walk.svg"
				w := s.trace(target, "--svg", picture)
				healthy(t, s, w)
				wellFormed(t, picture)
			}
		})
	}
}

// A handshake that takes a second attempt has TCP send its first segment several times. The walk says
// what the packet waited for, and nothing of the copies that the kernel drops.
func TestTraceSecondInitiation(t *testing.T) {
	t.Parallel()
	s := newSite(t, false)
	s.UpBoth()
	sitetest.NFT(s.H, "input", "udp dport 51820 drop")
	drops := s.A.Start(s.Wgnode, "drops", "wg0", "--json")
	initiations := s.A.Start(s.Wgnode, "watch", "wg0", "--past", "kind", "initiation")
	p := s.A.Start(s.Wgnode, "trace", "wg0", "--json", "--timeout", patience.Times(trace.DefaultTimeout).String(), s.Web())
	initiations.WaitOutput(patience.Context(t), "initiation")
	s.H.Run("nft", "delete", "table", "inet", "fault")
	if err := p.Wait(); err != nil {
		t.Errorf("%v: %s", err, p.Output())
	}
	var w walk.Walk
	if err := json.Unmarshal([]byte(p.Output()), &w); err != nil {
		t.Fatalf("%v in %s", err, p.Output())
	}
	if !w.Outcome.Answered || len(w.Notes) > 0 {
		t.Errorf("%+v, %q\n%s", w.Outcome, w.Notes, steps(&w))
	}
	says(t, step(t, &w, walk.Out, walk.Tunnel, walk.Handshake), "an earlier initiation to 203.0.113.2:51820 was not answered; the next, ",
		" later, was answered after ", "after it: no response came to the tunnel")
	drops.Stop()
	if strings.Contains(drops.Output(), "TCP_") {
		t.Errorf("drops says\n%s", drops.Output())
	}
}

// healthy checks a walk of a full tunnel, step by step.
func healthy(t *testing.T, s *site, w *walk.Walk) {
	t.Helper()
	if !w.Outcome.Answered || len(w.Notes) > 0 {
		t.Fatalf("%+v, %q\n%s", w.Outcome, w.Notes, steps(w))
	}
	var places []walk.Place
	for i := range w.Steps {
		if w.Steps[i].Status != walk.Pass || w.Steps[i].Number != i+1 {
			t.Errorf("step %d: %+v", i+1, w.Steps[i])
		}
		if w.Steps[i].Place != walk.Handshake { // it may have been done by now
			places = append(places, w.Steps[i].Place)
		}
	}
	want := []walk.Place{walk.App, walk.Routing, walk.Output, walk.Postrouting, walk.Cryptokey, walk.Encapsulate,
		walk.Routing, walk.Output, walk.Postrouting, walk.Wire,
		walk.Wire, walk.Prerouting, walk.SourceCheck, walk.Input, walk.Decrypt, walk.Reentry,
		walk.Prerouting, walk.SourceCheck, walk.Input, walk.App}
	if diff := cmp.Diff(want, places); diff != "" {
		t.Error(diff)
	}
	says(t, step(t, w, walk.Out, walk.Application, walk.Routing),
		"dev wg0 table 51820", "by rule 32765: not from all fwmark 0xca6c lookup 51820",
		"suppressed: prefix length 0 <= 0", "mark 0x0 is not 0xca6c", "the kernel says the same", "source: "+s.Inner(1))
	says(t, step(t, w, walk.Out, walk.Application, walk.Postrouting), "wg-quick-wg0 postmangle", "policy accept")
	says(t, step(t, w, walk.Out, walk.Tunnel, walk.Cryptokey), "/0 of peer gateway")
	says(t, step(t, w, walk.Out, walk.Tunnel, walk.Encapsulate), s.IP(s.Addr.HWan), "counter", "receiver index")
	says(t, step(t, w, walk.Out, walk.Network, walk.Routing),
		"mark 0xca6c", "the rule excepts fwmark 0xca6c", "by rule 32766: from all lookup main", s.IP(s.Addr.RLan))
	says(t, step(t, w, walk.Out, walk.Network, walk.Postrouting), "ct mark set", "0x0000ca6c")
	says(t, step(t, w, walk.Out, walk.Network, walk.Wire), "out of eth0", s.IP(s.Addr.RLan), "lladdr")
	says(t, step(t, w, walk.Back, walk.Network, walk.Wire), "in on eth0")
	says(t, step(t, w, walk.Back, walk.Network, walk.Prerouting), "meta mark set ct mark", "mark 0xca6c")
	if !s.V6 {
		says(t, step(t, w, walk.Back, walk.Network, walk.SourceCheck), "this host's own", "rp_filter = 1 (strict)", "excepts fwmark 0xca6c")
	}
	says(t, step(t, w, walk.Back, walk.Tunnel, walk.Reentry), s.IP(s.Addr.B))
	says(t, step(t, w, walk.Back, walk.Application, walk.SourceCheck), s.Inner(1)+" is this host's own")
	if text := steps(w); strings.Contains(text, "not seen apart") || strings.Contains(text, s.Alice.Private) {
		t.Errorf("another packet, or a key, in\n%s", text)
	}
}

// wellFormed reads a picture as any XML reader would.
func wellFormed(t *testing.T, path string) {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	d := xml.NewDecoder(f)
	for {
		if _, err := d.Token(); errors.Is(err, io.EOF) {
			return
		} else if err != nil {
			t.Fatal(err)
		}
	}
}

// place is where a walk ends.
type place struct {
	leg  walk.Leg
	zone walk.Zone
	at   walk.Place
}

// traceLostTests are faults, and where each ends the walk.
var traceLostTests = []struct {
	name  string
	v4    bool // there is no such thing in IPv6, or once is enough
	fault func(s *site)
	want  place
	says  string
}{
	{name: "output", want: place{walk.Out, walk.Application, walk.Output}, says: "dropped by inet fault c handle 2: tcp dport 80 drop",
		fault: func(s *site) { sitetest.NFT(s.A, "output", "tcp dport 80 drop") }},
	{name: "policy", want: place{walk.Out, walk.Application, walk.Postrouting}, says: "the policy of inet fault c",
		fault: func(s *site) {
			sitetest.NFT(s.A, "postrouting", "policy drop; oifname != wg0 accept")
		}},
	{name: "egress", want: place{walk.Out, walk.Network, walk.Egress}, says: "dropped by netdev t-culprit c handle 2",
		fault: func(s *site) {
			atDevice("netdev egress eth0", "drop").put(s, s.A, packets{proto: "udp", dport: 51820}, culprit)
		}},
	{name: "ingress", want: place{walk.Back, walk.Application, walk.Ingress}, says: "dropped by inet t-culprit c handle 2",
		fault: func(s *site) {
			atDevice("inet ingress wg0", "drop").put(s, s.A, packets{proto: "tcp", sport: 80}, culprit)
		}},
	{name: "handshake", want: place{walk.Out, walk.Network, walk.Output}, says: "udp dport 51820 drop",
		fault: func(s *site) {
			sitetest.NFT(s.A, "output", "udp dport 51820 drop")
			s.A.Run(s.Wgnode, "down", "wg0") // and with it the session
			s.Up(s.A, s.ConfA)
		}},
	{name: "encrypted output", want: place{walk.Out, walk.Network, walk.Output}, says: "udp dport 51820 drop",
		fault: func(s *site) { s.session(); sitetest.NFT(s.A, "output", "udp dport 51820 drop") }},
	{name: "path", v4: true, want: place{walk.Back, walk.Network, walk.Wire}, says: "nothing came back",
		fault: func(s *site) { s.session(); sitetest.NFT(s.H, "input", "udp dport 51820 drop") }},
	{name: "encrypted prerouting", want: place{walk.Back, walk.Network, walk.Prerouting}, says: "udp sport 51820 drop",
		fault: func(s *site) { s.session(); sitetest.NFT(s.A, "prerouting", "udp sport 51820 drop") }},
	{name: "response", v4: true, want: place{walk.Back, walk.Network, walk.Input}, says: "udp sport 51820 drop",
		fault: func(s *site) {
			sitetest.NFT(s.A, "input", "udp sport 51820 drop")
			s.A.Run(s.Wgnode, "down", "wg0")
			s.Up(s.A, s.ConfA)
		}},
	{name: "source check", v4: true, want: place{walk.Back, walk.Network, walk.SourceCheck}, says: "rp_filter drops packets from 203.0.113.2",
		fault: func(s *site) { s.session(); s.A.Sysctl("net.ipv4.conf.all.src_valid_mark", "0") }},
	{name: "reject", want: place{walk.Back, walk.Application, walk.Input}, says: "tcp sport 80 reject",
		fault: func(s *site) { sitetest.NFT(s.A, "input", "tcp sport 80 reject") }},
	{name: "prerouting", want: place{walk.Back, walk.Application, walk.Prerouting}, says: "tcp sport 80 drop",
		fault: func(s *site) { sitetest.NFT(s.A, "prerouting", "tcp sport 80 drop") }},
	{name: "route", want: place{walk.Out, walk.Application, walk.Routing}, says: "does not enter wg0",
		fault: func(s *site) { s.A.Run("ip", s.Flag(), "route", "add", s.IP(s.Addr.B), "via", s.IP(s.Addr.RLan)) }},
	{name: "blackhole", want: place{walk.Out, walk.Application, walk.Routing}, says: "blackhole",
		fault: func(s *site) { s.A.Run("ip", s.Flag(), "route", "add", "blackhole", s.IP(s.Addr.B)) }},
	{name: "mark", want: place{walk.Out, walk.Application, walk.Rerouting}, says: "routing again: mark 0xca6c",
		fault: func(s *site) {
			s.A.RunInput("table inet fault {\n chain c {\n type route hook output priority -150\n"+
				" tcp dport 80 meta mark set 0xca6c\n }\n}\n", "nft", "-f", "-")
		}},
	{name: "iptables", want: place{walk.Back, walk.Application, walk.Input}, says: "--sport 80 -j DROP",
		fault: func(s *site) {
			program := map[bool]string{false: "iptables-nft", true: "ip6tables-nft"}[s.V6]
			lab.Need(s.T, program)
			s.A.Run(program, "-A", "INPUT", "-p", "tcp", "--sport", "80", "-j", "DROP")
		}},
	{name: "legacy output", want: place{walk.Out, walk.Application, walk.Output}, says: "NETFILTER_DROP in nf_hook_slow",
		fault: func(s *site) { legacy("filter OUTPUT").put(s, s.A, packets{proto: "tcp", dport: 80}, culprit) }},
	{name: "legacy prerouting", want: place{walk.Back, walk.Application, walk.Prerouting}, says: "NETFILTER_DROP in nf_hook_slow",
		fault: func(s *site) { legacy("raw PREROUTING").put(s, s.A, packets{proto: "tcp", sport: 80}, culprit) }},
	{name: "tcx egress", want: place{walk.Out, walk.Application, walk.Egress}, says: "TC_EGRESS",
		fault: func(s *site) {
			tcx("wg0", ebpf.AttachTCXEgress).put(s, s.A, packets{proto: "tcp", dport: 80}, culprit)
		}},
	{name: "tcx egress, encrypted", want: place{walk.Out, walk.Network, walk.Egress}, says: "TC_EGRESS",
		fault: func(s *site) {
			s.session()
			tcx("eth0", ebpf.AttachTCXEgress).put(s, s.A, packets{proto: "udp", dport: 51820}, culprit)
		}},
	{name: "XDP, encrypted", want: place{walk.Back, walk.Network, walk.Ingress}, says: "do_xdp_generic",
		fault: func(s *site) {
			s.session()
			xdp("eth0").put(s, s.A, packets{proto: "udp", sport: 51820}, culprit)
		}},
	{name: "preshared key", v4: true, want: place{walk.Back, walk.Tunnel, walk.Decrypt}, says: "preshared keys differ",
		fault: func(s *site) {
			s.A.Run(s.Wgnode, "down", "wg0")
			s.ConfA.Replace(s.T, "AllowedIPs", "PresharedKey = "+lab.NewKey(s.T).Private+"\nAllowedIPs")
			s.Up(s.A, s.ConfA)
		}},
	{name: "no peer", want: place{walk.Out, walk.Tunnel, walk.Cryptokey}, says: "in no peer's AllowedIPs",
		fault: func(s *site) {
			s.A.Run("wg", "set", "wg0", "peer", s.Gateway.Public, "allowed-ips", "10.0.0.2/32,fd0a::2/128")
		}},
	{name: "no endpoint", want: place{walk.Out, walk.Tunnel, walk.Cryptokey}, says: "peer gateway has no endpoint",
		fault: func(s *site) {
			s.A.Run(s.Wgnode, "down", "wg0")
			s.ConfA.Replace(s.T, "Endpoint", "#Endpoint")
			s.Up(s.A, s.ConfA)
		}},
	{name: "port closed", want: place{walk.Out, walk.Network, walk.Wire}, says: "icmp-port-unreachable from 2",
		fault: func(s *site) { s.A.Sysctl("net.ipv4.conf.all.rp_filter", "0"); s.closePort() }},
	// Nothing marks ICMP, so that rp_filter looks for its way back in the tunnel.
	{name: "port closed, not heard", v4: true, want: place{walk.Out, walk.Network, walk.Wire},
		says: "ICMP error from 203.0.113.2, type 3 code 3; this host drops it: rp_filter", fault: (*site).closePort},
	{name: "behind the tunnel", want: place{walk.Back, walk.Application, walk.App}, says: "ICMP error from ",
		fault: func(s *site) { s.session(); s.H.Run("ip", s.Flag(), "route", "add", "unreachable", s.IP(s.Addr.B)) }},
}

// Each fault ends the walk at its place, with the rule that did it.
func TestTraceLost(t *testing.T) {
	t.Parallel()
	for _, c := range traceLostTests {
		for _, v6 := range []bool{false, true} {
			if v6 && c.v4 {
				continue
			}
			t.Run(fmt.Sprintf("%s/v6=%v", c.name, v6), func(t *testing.T) {
				t.Parallel()
				s := fullTunnel(t, v6)
				c.fault(s)
				w := s.trace(s.Web())
				lost := step(t, w, c.want.leg, c.want.zone, c.want.at)
				if lost.Status != walk.Lost || w.Outcome.Step != lost.Number || !strings.Contains(w.Outcome.Summary, lost.Result) {
					t.Errorf("%s is %s, and the outcome %+v\n%s", lost.Title, lost.Status, w.Outcome, steps(w))
				}
				says(t, lost, c.says)
				for i := range w.Steps {
					n, st := w.Steps[i].Number, w.Steps[i].Status
					unseen := st == walk.Unknown && c.want.at == walk.App // an ICMP error is not followed through the hooks
					if n < lost.Number && st != walk.Pass && !unseen || n > lost.Number && st != walk.NotReached {
						t.Errorf("step %d is %s", n, st)
					}
				}
			})
		}
	}
}

// Whoever loses patience leaves nothing behind.
func TestTraceInterrupted(t *testing.T) {
	t.Parallel()
	s := fullTunnel(t, false)
	s.session()
	sitetest.NFT(s.H, "input", "udp dport 51820 drop")
	await := func(word string) {
		t.Helper()
		s.A.Run("sh", "-c", "for i in $(seq 200); do "+word+" nft list tables | grep -q wgnode-trace && exit; sleep 0.02; done; exit 1")
	}
	for _, sig := range []syscall.Signal{syscall.SIGINT, syscall.SIGKILL} {
		p := s.A.Start(s.Wgnode, "trace", "wg0", s.Web())
		await("")
		if err := p.Signal(sig); err != nil {
			t.Fatal(err)
		}
		await("!")
	}
	s.A.Start(s.Wgnode, "trace", "wg0", s.Web())
	await("")
	s.Kill()
	await("!")
}
