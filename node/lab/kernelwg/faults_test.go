//go:build linux

package kernelwg

import (
	"cmp"
	"flag"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/wgnode/wgnode/node/explain"
	"github.com/wgnode/wgnode/node/lab"
	"github.com/wgnode/wgnode/probe"
	"github.com/wgnode/wgnode/probe/diagnose"
)

var (
	only = flag.String("faults.only", "", "only faults whose name has this in it")
	all  = flag.Bool("faults.all", false, "all that is tried on one kernel or another")
)

// half reports whether the case with a number is one of those that are tried on this kernel: a
// machine is slow, so that what does not depend on the kernel is shared among two.
func half(t *testing.T, number int) bool {
	t.Helper()
	var is unix.Utsname
	if err := unix.Uname(&is); err != nil {
		t.Fatal(err)
	}
	old := strings.HasPrefix(unix.ByteSliceToString(is.Release[:]), "6.1.")
	return *all || *only != "" || old == (number%2 == 0)
}

// hub is a site whose P is a hub with a host behind it.
//
//	K eth0 ------- eth0 P eth1 ------- eth0 B
//	192.0.2.1     192.0.2.2 192.168.200.1  192.168.200.22
type hub struct {
	*site
	B *lab.Host
}

const behind = "192.168.200.22"

func newHub(t *testing.T) *hub {
	t.Helper()
	s := newSite(t)
	h := &hub{s, s.Lab.Host("b")}
	s.Link(s.P.End("eth1", "192.168.200.1/24"), h.B.End("eth0", behind+"/24"))
	kernel(t, s.K, lab.Tunnel{Name: "wg0", Conf: conf(s.keyK, s.keyP, "192.0.2.2:51820", "10.7.0.2/32, 192.168.200.0/24"),
		Addrs: []string{"10.7.0.1/24"}, Routes: []string{"192.168.200.0/24"}})
	kernel(t, s.P, lab.Tunnel{Name: "wg0", Conf: conf(s.keyP, s.keyK, "", "10.7.0.1/32"), Addrs: []string{"10.7.0.2/24"}})
	s.P.Sysctl("net.ipv4.ip_forward", "1")
	h.B.Route("10.7.0.0/24", "192.168.200.1")
	return h
}

// fault is something that is wrong, and what is said of it: by the spoke, which asks, and by the
// hub, which looks on; at level exact, and by copies of packets.
type fault struct {
	name     string
	do, undo func(h *hub)
	session  bool      // it begins while a session stands
	to       string    // "": the host behind the hub
	spoke    [2]string // verdicts, "!" behind those that are certain: at level exact, and by copies; "": it is not asked
	hub      [2]string // the same, or findings; "|" between those of which either may be
}

// run is what a host runs, as a shell would.
func run(which func(*hub) *lab.Host, format string, args ...any) func(*hub) {
	return func(h *hub) { which(h).Run("bash", "-ec", fmt.Sprintf(format, args...)) }
}

func spoke(h *hub) *lab.Host  { return h.K }
func center(h *hub) *lab.Host { return h.P }

// peer configures a peer.
func peer(which func(*hub) *lab.Host, of func(*hub) lab.Key, more string) func(*hub) {
	return func(h *hub) { run(which, "wg set wg0 peer '%s' %s", of(h).Public, more)(h) }
}

// secret writes a secret to /run/secret of a host.
func secret(which func(*hub) *lab.Host, text func(*hub) string) func(*hub) {
	return func(h *hub) { which(h).WriteFile("/run/secret", text(h), 0o600) }
}

func both(all ...func(*hub)) func(*hub) {
	return func(h *hub) {
		for _, do := range all {
			do(h)
		}
	}
}

// firewall is a fault that is a rule of a host's.
func firewall(name string, which func(*hub) *lab.Host, hook, rule string, f fault) fault {
	f.name = name
	f.do = run(which, "nft add table inet t; nft add chain inet t c '{ type filter hook %s priority 0; }'; nft add rule inet t c %s",
		hook, rule)
	f.undo = run(which, "nft delete table inet t")
	return f
}

func faults(t *testing.T) []fault {
	stranger := lab.NewKey(t)
	other := func(*hub) lab.Key { return stranger }
	keyP, keyK := func(h *hub) lab.Key { return h.keyP }, func(h *hub) lab.Key { return h.keyK }
	const reached = "endpoint 192.0.2.2:51820 allowed-ips 10.7.0.2/32,192.168.200.0/24"
	return []fault{
		{name: "nothing", session: true, spoke: [2]string{"healthy!", "healthy!"}, hub: [2]string{"healthy!", "healthy"}},
		firewall("not forwarded by a rule", center, "forward", "drop",
			fault{session: true, spoke: [2]string{"no-reply"}, hub: [2]string{"forward-firewall!", "forward-firewall!"}}),
		{name: "forwarding is off", session: true, do: run(center, "sysctl -qw net.ipv4.ip_forward=0"),
			undo: run(center, "sysctl -qw net.ipv4.ip_forward=1"), hub: [2]string{"forwarding-disabled!", "forwarding-disabled!"}},
		{name: "source not allowed", session: true, do: peer(center, keyK, "allowed-ips 10.7.0.9/32"),
			undo:  peer(center, keyK, "allowed-ips 10.7.0.1/32"),
			spoke: [2]string{"no-reply", "no-reply"}, hub: [2]string{"disallowed-source!", "idle"}},
		{name: "no AllowedIPs", to: "10.7.0.77", spoke: [2]string{"no-allowedips-match!", "no-allowedips-match!"}},
		{name: "no endpoint", do: both(peer(spoke, keyP, "remove"), peer(spoke, keyP, "allowed-ips 10.7.0.2/32,192.168.200.0/24")),
			undo: peer(spoke, keyP, reached), spoke: [2]string{"no-endpoint!", "no-endpoint!"}},
		{name: "preshared key", do: both(secret(center, func(*hub) string { return stranger.Private }),
			peer(center, keyK, "preshared-key /run/secret")),
			undo: peer(center, keyK, "preshared-key /dev/null"), spoke: [2]string{"psk-mismatch!", "psk-mismatch"},
			hub: [2]string{"response-not-accepted", "response-not-accepted"}},
		{name: "a closed port", do: peer(spoke, keyP, "endpoint 192.0.2.2:51821"), undo: peer(spoke, keyP, reached),
			spoke: [2]string{"endpoint-port-closed!", "endpoint-port-closed"}},
		firewall("the spoke's firewall refuses to send", spoke, "output", "udp dport 51820 drop",
			fault{spoke: [2]string{"underlay-output-firewall!", "underlay-output-firewall!"}}),
		firewall("the spoke's firewall drops answers", spoke, "input", "udp sport 51820 drop",
			fault{spoke: [2]string{"underlay-input-firewall!", "underlay-input-firewall!"}}),
		firewall("the hub's firewall drops what comes in", center, "input", "udp dport 51820 drop", fault{session: true,
			hub: [2]string{"underlay-input-firewall!", "underlay-input-firewall|underlay-input-firewall!"}}),
		firewall("the hub's firewall drops calls", center, "input", "udp dport 51820 drop", fault{
			spoke: [2]string{"no-response", "no-response"}, hub: [2]string{"underlay-input-firewall", "underlay-input-firewall"}}),
		{name: "unknown peer", do: both(secret(spoke, func(*hub) string { return stranger.Private }),
			run(spoke, "wg set wg0 private-key /run/secret")),
			undo:  both(secret(spoke, func(h *hub) string { return h.keyK.Private }), run(spoke, "wg set wg0 private-key /run/secret")),
			spoke: [2]string{"no-response"}, hub: [2]string{"unknown-peer", "idle"}},
		{name: "wrong public key", do: both(peer(spoke, keyP, "remove"), peer(spoke, other, reached)),
			undo: both(peer(spoke, other, "remove"), peer(spoke, keyP, reached)), hub: [2]string{"wrong-public-key", "wrong-public-key"}},
	}
}

// said is a verdict in short, or the finding of a stranger where that is that nothing was seen:
// the latest comes first.
func said(r *diagnose.Report) string {
	text := string(r.Verdict.Code)
	if r.Verdict.Certain {
		text += "!"
	}
	for _, f := range r.Findings {
		if r.Verdict.Code == diagnose.Idle && (f.Code == diagnose.UnknownPeer || f.Code == diagnose.WrongPublicKey) {
			return string(f.Code)
		}
	}
	return text
}

const (
	// bound is how long a question may take: it is answered when more would not change the answer.
	bound = 2 * time.Minute
	// looksOn is how long the hub looks where nothing settles.
	looksOn = 20 * time.Second
)

// What is wrong with a tunnel between two kernels is found as surely as the evidence allows.
// Both levels are asked at a time, at both ends.
func TestFaults(t *testing.T) {
	h := newHub(t)
	var spokes, hubs [2]*asker
	for i, level := range []probe.Level{probe.LevelExact, probe.LevelCapture} {
		spokes[i], hubs[i] = watcher(t, h.K, level), watcher(t, h.P, level)
	}
	for i, f := range faults(t) {
		if !strings.Contains(f.name, *only) || i > 0 && !half(t, i) {
			continue
		}
		t.Run(f.name, func(t *testing.T) {
			h.K.With(t).Ping(behind)
			if !f.session {
				h.forget()
			}
			defer func(began time.Time) { t.Logf("it took %s", time.Since(began).Round(time.Second)) }(time.Now())
			if f.do != nil {
				f.do(h)
				defer f.undo(h)
			}
			to := netip.AddrPortFrom(netip.MustParseAddr(cmp.Or(f.to, behind)), 0)
			var await [4]func() *diagnose.Report
			for i, want := range f.hub {
				looks := explain.Request{Target: to, Passive: true, From: netip.MustParsePrefix("10.7.0.1/32"), Timeout: bound}
				// What is claimed, or found of strangers, may change as long as is looked.
				if want == "idle" || want == "underlay-input-firewall" || strings.HasSuffix(want, "-peer") || strings.HasSuffix(want, "-key") {
					looks.Timeout = looksOn
				}
				if want != "" {
					await[2+i] = ask[diagnose.Report](t, hubs[i], question{Explain: &looks})
				}
			}
			for i, want := range f.spoke {
				if want != "" {
					await[i] = ask[diagnose.Report](t, spokes[i], question{Explain: &explain.Request{Target: to, Timeout: bound}})
				}
			}
			if f.spoke == [2]string{} { // somebody has to ask
				defer h.K.Start("ping", "-c", "60", behind).Stop() // before the next fault, which may want no session
			}
			for i, answer := range await {
				if answer != nil {
					f.check(t, i, answer())
				}
			}
		})
	}
}

// check holds a report against what is wanted.
func (f *fault) check(t *testing.T, i int, r *diagnose.Report) {
	t.Helper()
	who, want := "spoke", f.spoke[i%2]
	if i > 1 {
		who, want = "hub", f.hub[i%2]
	}
	text := fmt.Sprintf("%s, level %s: %s: %s", who, r.Level, said(r), r.Verdict.Summary)
	if slices.Contains(strings.Split(want, "|"), said(r)) {
		t.Log(text)
		return
	}
	for _, l := range r.Verdict.Evidence {
		text += fmt.Sprintf("\n  %s (%s, decides %t)", l.Text, l.Known, l.Decides)
	}
	for _, l := range r.Ladder {
		text += fmt.Sprintf("\n  %s %s %s", l.Checkpoint, l.Status, l.Detail)
	}
	for _, l := range r.Findings {
		text += fmt.Sprintf("\n  finding %s %s", l.Code, l.Summary)
	}
	t.Errorf("want %s: %s\n  unchecked %q", want, text, r.Unchecked)
}

// forget has both hosts have no session: a device that was down has none.
func (h *hub) forget() {
	for _, host := range []*lab.Host{h.K, h.P} {
		host.Run("bash", "-ec", "ip link set wg0 down; ip link set wg0 up")
	}
	h.K.Run("ip", "route", "replace", "192.168.200.0/24", "dev", "wg0")
}
