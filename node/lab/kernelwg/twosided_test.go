//go:build linux

package kernelwg

import (
	"cmp"
	"encoding/json"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/wgnode/wgnode/node/lab"
	"github.com/wgnode/wgnode/probe"
	"github.com/wgnode/wgnode/probe/diagnose"
)

// mixed is a hub of which one end is the kernel's and the other one wgnode's.
type mixed struct {
	*hub
	kernels *lab.Host // that of the kernel's, on which a monitor watches
	folder  string
	asked   int
}

// newMixed makes one whose spoke is the kernel's, or whose hub is, and watches that at a level.
func newMixed(t *testing.T, spokes bool, at probe.Level) *mixed {
	t.Helper()
	s := newSite(t)
	h := &hub{s, s.Lab.Host("b")}
	s.Link(s.P.End("eth1", "192.168.200.1/24"), h.B.End("eth0", behind+"/24"))
	spoke := conf(s.keyK, s.keyP, "192.0.2.2:51820", "10.7.0.2/32, 192.168.200.0/24")
	center := conf(s.keyP, s.keyK, "", "10.7.0.1/32")
	m := &mixed{hub: h, kernels: s.P, folder: t.TempDir()}
	if spokes {
		m.kernels = s.K
		kernel(t, s.K, lab.Tunnel{Name: "wg0", Conf: spoke, Addrs: []string{"10.7.0.1/24"}, Routes: []string{"192.168.200.0/24"}})
		s.wgnode(t, s.P, center, "10.7.0.2/24")
	} else {
		kernel(t, s.P, lab.Tunnel{Name: "wg0", Conf: center, Addrs: []string{"10.7.0.2/24"}})
		s.wgnode(t, s.K, spoke, "10.7.0.1/24")
	}
	s.P.Sysctl("net.ipv4.ip_forward", "1")
	h.B.Route("10.7.0.0/24", "192.168.200.1")
	m.monitor(t, at)
	return m
}

// wgnode brings a tunnel up with wgnode.
func (s *site) wgnode(t *testing.T, h *lab.Host, text, address string) {
	t.Helper()
	text = strings.Replace(text, "[Interface]\n", "[Interface]\nAddress = "+address+"\n", 1)
	h.WriteFile("/etc/wireguard/wg0.conf", text, 0o600)
	h.Run(lab.Wgnode(t), "up", "wg0")
}

// monitor watches the kernel's device, so that no question has to begin to.
func (m *mixed) monitor(t *testing.T, at probe.Level) {
	t.Helper()
	args := []string{lab.Wgnode(t), "monitor", "wg0"}
	if at == probe.LevelCapture {
		args = append([]string{"setpriv", "--bounding-set=-bpf,-perfmon,-sys_admin", "--inh-caps=-bpf,-perfmon,-sys_admin"}, args...)
	}
	p := m.kernels.Start(args...)
	p.WaitOutput(t.Context(), "msg=ready")
	if !strings.Contains(p.Output(), "level="+string(at)) {
		t.Fatalf("it is not looked at level %s:\n%s", at, p.Output())
	}
}

// explain has the spoke explain a way while the hub records, and returns what both know.
func (m *mixed) explain(t *testing.T, to string) *diagnose.Report {
	t.Helper()
	m.asked++
	in, out := filepath.Join(m.folder, fmt.Sprint("in", m.asked)), filepath.Join(m.folder, fmt.Sprint("out", m.asked))
	for _, pipe := range []string{in, out} {
		if err := unix.Mkfifo(pipe, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	m.P.With(t).Start("bash", "-c", fmt.Sprintf("exec %s record wg0 -w - --until-eof --since 5s <%s >%s", lab.Wgnode(t), in, out))
	answer, status, err := m.K.Try(lab.Wgnode(t), "explain", "wg0", to, "--json", "--timeout", "1m",
		"--with-command", fmt.Sprintf("exec 3<&0; cat <&3 >%s & exec cat %s; :", in, out))
	r := new(diagnose.Report)
	at := strings.Index(answer, "{")
	if err != nil || at < 0 {
		t.Fatalf("status %d, %v\n%s", status, err, answer)
	}
	if err := json.NewDecoder(strings.NewReader(answer[at:])).Decode(r); err != nil {
		t.Fatalf("%v\n%s", err, answer)
	}
	return r
}

// both is a fault and what both ends know of it together: where the spoke is the kernel's, and where
// the hub is. "!" is behind what is certain.
type twoSided struct {
	name     string
	do, undo func(*hub)
	session  bool
	to       string
	want     [2]string
	capture  [2]string // the same by copies, "|" between those of which either may be; "": it is not asked there
}

// same is a verdict that both have.
func same(verdict string) [2]string { return [2]string{verdict, verdict} }

func twoSidedFaults(t *testing.T) []twoSided {
	var all []twoSided
	wants := map[string]twoSided{
		"nothing": {want: same("healthy!"),
			capture: same("healthy!")},
		"not forwarded by a rule": {want: same("forward-firewall!"),
			capture: [2]string{"forward-firewall!|no-reply-from-destination", "forward-firewall!"}},
		"forwarding is off": {want: same("forwarding-disabled!")},
		"source not allowed": {want: same("disallowed-source!"),
			capture: [2]string{"disallowed-source!|idle|no-reply", "no-reply"}},
		"no AllowedIPs": {want: same("no-allowedips-match!")},
		"no endpoint":   {want: same("no-endpoint!")},
		"preshared key": {want: same("psk-mismatch!"),
			capture: [2]string{"psk-mismatch", "psk-mismatch!"}},
		"the spoke's firewall refuses to send": {want: same("underlay-output-firewall!")},
		"the spoke's firewall drops answers":   {want: same("underlay-input-firewall!")},
		// The hub's kernel, whose private key is not read, may have told of another initiation last.
		"the hub's firewall drops calls": {want: [2]string{"underlay-input-firewall!", "underlay-input-firewall!|lost-on-path"}},
		"unknown peer": {want: same("unknown-peer!"),
			capture: [2]string{"unknown-peer!", "no-response|unknown-peer"}},
		"wrong public key": {want: same("wrong-public-key!"),
			capture: [2]string{"wrong-public-key!", "no-response|wrong-public-key!"}},
	}
	for _, f := range faults(t) {
		if w, ok := wants[f.name]; ok {
			w.name, w.do, w.undo, w.session, w.to = f.name, f.do, f.undo, f.session, f.to
			all = append(all, w)
			delete(wants, f.name)
		}
	}
	for name := range wants {
		t.Errorf("there is no fault %q", name)
	}
	nat := "nft add table ip n; nft add chain ip n c '{ type nat hook postrouting priority 100; }'; " +
		"nft add rule ip n c udp sport 51820 masquerade to :40000-40100"
	return append(all, twoSided{name: "NAT before the spoke", do: run(spoke, "%s", nat), undo: run(spoke, "nft delete table ip n"),
		want: same("healthy!")})
}

// What is wrong between the kernel's WireGuard and wgnode is found by both ends together, whichever
// of them is the kernel's: surely where that is watched in its functions; where there are copies alone
// nothing that is wrong is called sure.
func TestTwoSided(t *testing.T) {
	for i, name := range []string{"spoke", "hub"} {
		if !half(t, i) {
			continue
		}
		for _, at := range []probe.Level{probe.LevelExact, probe.LevelCapture} {
			t.Run(fmt.Sprintf("kernel's %s, %s", name, at), func(t *testing.T) {
				m := newMixed(t, i == 0, at)
				for _, f := range twoSidedFaults(t) {
					want := f.want[i]
					if at == probe.LevelCapture {
						want = f.capture[i]
					}
					if want == "" || !strings.Contains(f.name, *only) {
						continue
					}
					t.Run(f.name, func(t *testing.T) { m.check(t, &f, want) })
				}
			})
		}
	}
}

// check brings a fault about, and wants a verdict on it.
func (m *mixed) check(t *testing.T, f *twoSided, want string) {
	m.K.With(t).Ping(behind)
	if !f.session {
		m.forget()
	}
	began := time.Now()
	if f.do != nil {
		f.do(m.hub)
		defer f.undo(m.hub)
	}
	r := m.explain(t, cmp.Or(f.to, behind))
	v := &r.Verdict
	t.Logf("%s at %s, by %s, after %s: %s", said(r), v.Checkpoint, v.Host, time.Since(began).Round(time.Second), v.Summary)
	if slices.Contains(strings.Split(want, "|"), said(r)) {
		return
	}
	text := ""
	for _, l := range v.Evidence {
		text += fmt.Sprintf("\n  %s (%s, decides %t)", l.Text, l.Known, l.Decides)
	}
	for _, l := range r.Ladder {
		text += fmt.Sprintf("\n  %s %s %s %s", l.Host, l.Checkpoint, l.Status, l.Detail)
	}
	t.Errorf("want %s, got %s%s\n  unchecked %q", want, said(r), text, r.Unchecked)
}
