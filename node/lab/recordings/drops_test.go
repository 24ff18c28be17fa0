//go:build linux

package recordings

import (
	"encoding/json"
	"path/filepath"
	"strings"
	"testing"

	"github.com/wgnode/wgnode/node/lab"
	"github.com/wgnode/wgnode/node/lab/sitetest"
	"github.com/wgnode/wgnode/probe"
	"github.com/wgnode/wgnode/probe/diagnose"
	"github.com/wgnode/wgnode/probe/evidence"
	"github.com/wgnode/wgnode/probe/recording"
)

// What the kernels of two hosts drop is in their recordings, at its time: inside of the tunnel and
// encrypted. What reads recordings judges by it.
func TestRecordDrops(t *testing.T) {
	lab.Need(t, "curl", "iptables-legacy")
	t.Parallel()
	s := newSite(t, false)
	s.UpBoth()
	web := s.IP(s.Addr.B)
	r := s.recordBoth()
	s.A.Run("curl", "-sS", "http://"+s.Web())
	inVain := func(port, seconds string) {
		t.Helper()
		if out, status, err := s.A.Try("curl", "-sS", "-m", seconds, "http://"+web+":"+port); err != nil || status == 0 {
			t.Errorf("curl to port %s: %v\n%s", port, err, out)
		}
	}
	rule := func(h *lab.Host, words string) {
		t.Helper()
		h.Run(append([]string{"iptables-legacy", "-w"}, strings.Fields(words)...)...)
	}
	rule(s.A, "-A OUTPUT -p tcp --dport 81 -j DROP")
	inVain("81", "0.5")
	rule(s.H, "-A FORWARD -p tcp --dport 82 -j DROP")
	inVain("82", "0.5")
	rule(s.H, "-t raw -A PREROUTING -p udp --dport 51820 -j DROP")
	inVain("83", "2")
	r.stop()

	_, packets := readRecording(t, r.files[0])
	seen := false
	for i := range packets {
		p := &packets[i]
		if d := p.Drop; d != nil && p.Event.InnerDstPort == 81 {
			seen = true
			if d.Reason != "NETFILTER_DROP" || d.Place == "" || d.Hook != "output" || d.Hint || d.Claimed ||
				d.Segment != evidence.ToTunnel || p.Event.Kind != probe.KindInner || r.nameOf(t, p) != "gateway" {
				t.Errorf("%+v of %+v", d, p.Event)
			}
		}
	}
	if !seen {
		t.Error("A's recording lacks what its kernel drops")
	}
	s.wantWatched(t, r.files[0], web)
	s.wantMerged(t, r, web)
	end := s.record(s.A, "-w", filepath.Join(t.TempDir(), "no.pcapng"), "--no-kernel")
	if said := end(); strings.Contains(said, "dropped") {
		t.Errorf("without the kernel: %s", said)
	}
}

// nameOf is the peer that a packet of A's recording is of.
func (r *recorded) nameOf(t *testing.T, p *recording.Packet) string {
	t.Helper()
	rec, _ := readRecording(t, r.files[0])
	_, name, _ := rec.Meta().Peer(p.Event.Peer)
	return name
}

// wantWatched looks at A's recording with watch and explain.
func (s *site) wantWatched(t *testing.T, file, web string) {
	t.Helper()
	out := s.A.Run(s.Wgnode, "watch", "-r", file, "--json", "reason", "NETFILTER_DROP", "tcp", "port", "81")
	line, _, _ := strings.Cut(out, "\n")
	var e struct {
		Verdict, Reason string
		Kernel          struct{ Segment, Place, Hook string }
	}
	if err := sitetest.Decode(t, "watch", line, &e); err != nil || e.Reason != "NETFILTER_DROP" || e.Verdict != "dropped" ||
		e.Kernel.Segment != "inner" || e.Kernel.Hook != "output" || e.Kernel.Place == "" {
		t.Errorf("watch -r: %v\n%s", err, out)
	}
	if text := s.A.Run(s.Wgnode, "watch", "-r", file); !strings.Contains(text, " DROP NETFILTER_DROP in ") || !strings.Contains(text, " A4 ") {
		t.Errorf("watch -r without a filter:\n%s", text)
	}
	if text := s.A.Run(s.Wgnode, "watch", "-r", file, "A4"); strings.Contains(text, "NETFILTER_DROP") {
		t.Errorf("what the kernel drops is at no checkpoint:\n%s", text)
	}
	out, status, err := s.A.Try(s.Wgnode, "explain", "-r", file, web+":81", "--json")
	var x diagnose.Report
	if err != nil || json.Unmarshal([]byte(out), &x) != nil || status != 2 || x.Verdict.Code != diagnose.OutputFirewall || !x.Verdict.Certain {
		t.Errorf("explain -r: status %d, %v\n%s", status, err, out)
	}
}

// wantMerged looks at both recordings together.
func (s *site) wantMerged(t *testing.T, r *recorded, web string) {
	t.Helper()
	m := s.merge(r.files[:])
	for port, want := range map[string]struct {
		code   diagnose.Code
		at     probe.Checkpoint
		detail string
	}{
		":81": {diagnose.OutputFirewall, probe.A1, "dropped by the kernel of a: NETFILTER_DROP in "},
		":82": {diagnose.ForwardFirewall, probe.B5, "dropped by the kernel of h: NETFILTER_DROP in "},
		":83": {diagnose.UnderlayInputFirewall, probe.B3, "dropped by the kernel of h: NETFILTER_DROP in "},
	} {
		found := false
		for _, f := range m.Flows {
			if f.Target != web+port {
				continue
			}
			for _, rung := range f.Ladder {
				found = found || rung.Checkpoint == want.at && strings.HasPrefix(rung.Detail, want.detail) && !rung.Time.IsZero()
			}
			if f.Verdict.Code != want.code || !f.Verdict.Certain {
				t.Errorf("%s: %+v, want %s", port, f.Verdict, want.code)
			}
		}
		if !found {
			t.Errorf("no ladder to %s has %q at %s: %+v", port, want.detail, want.at, m.Flows)
		}
	}
	joined := 0
	for _, l := range m.Lost {
		if l.What == "data" && l.Kernel.Host == "h" && l.Kernel.Reason == "NETFILTER_DROP" {
			joined++
		}
	}
	if joined == 0 {
		t.Errorf("no lost message is known to be one that H's kernel has dropped: %+v", m.Lost)
	}
	if text, _, err := s.A.Try(s.Wgnode, "merge", r.files[0], r.files[1]); err != nil ||
		!strings.Contains(text, "Dropped by the hosts' kernels") {
		t.Errorf("%v\n%s", err, text)
	}
}
