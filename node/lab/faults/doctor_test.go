//go:build linux

package faults

import (
	"net"
	"slices"
	"strings"
	"testing"

	"github.com/cilium/ebpf"

	"github.com/wgnode/wgnode/node/lab"
	"github.com/wgnode/wgnode/node/lab/sitetest"
	"github.com/wgnode/wgnode/probe"
	"github.com/wgnode/wgnode/probe/diagnose"
	"github.com/wgnode/wgnode/probe/evidence"
)

// A doctor who watches sees what the packet filter does with handshakes: with those of its
// own peers, wherever they are now, and with what strangers send.
func TestDoctorSeesDrops(t *testing.T) {
	lab.Need(t, "nft", "ip")
	t.Parallel()
	t.Run("answers", func(t *testing.T) {
		t.Parallel()
		s := newSite(t, false)
		s.ConfA.Replace(t, "Endpoint", "PersistentKeepalive = 1\nEndpoint")
		sitetest.NFT(s.A, "input", "udp sport 51820 drop")
		s.UpBoth()
		var r diagnose.DoctorReport
		if status := s.Ask(s.A, &r, "doctor", "wg0", "--for", "7s"); status != 2 || len(r.Peers) != 1 {
			t.Fatalf("status %d, %+v", status, r)
		}
		v := r.Peers[0].Verdict
		if text := strings.Join(evidence.Texts(v.Evidence), "\n"); v.Code != diagnose.UnderlayInputFirewall || !v.Certain ||
			!strings.Contains(text, "udp sport 51820 drop") {
			t.Errorf("%+v", v)
		}
	})
	t.Run("calls", func(t *testing.T) {
		t.Parallel()
		s := newSite(t, true)
		s.ConfA.Replace(t, "Endpoint", "PersistentKeepalive = 1\nEndpoint")
		sitetest.NFT(s.H, "prerouting", "udp dport 51820 drop")
		s.UpBoth()
		var r diagnose.DoctorReport
		if status := s.Ask(s.H, &r, "doctor", "wg0", "--for", "7s"); status != 2 || len(r.Peers) != 1 {
			t.Fatalf("status %d, %+v", status, r)
		}
		v := r.Peers[0].Verdict
		text := strings.Join(append(evidence.Texts(v.Evidence), v.Summary), "\n")
		if v.Code != diagnose.UnderlayInputFirewall || !v.Certain || !strings.Contains(text, "udp dport 51820 drop") ||
			!strings.Contains(text, s.Addr.RWan.V6.Addr().String()) {
			t.Errorf("%+v", v)
		}
	})
	t.Run("of a session that is up, by the kernel's word alone", func(t *testing.T) {
		t.Parallel()
		s := newSite(t, false)
		s.UpBoth()
		s.A.Ping(s.Inner(2))
		wall, toH := tcx("wan", ebpf.AttachTCXIngress), packets{proto: "udp", dport: 51820}
		defer s.A.Start("ping", "-q", "-i", "0.2", s.Inner(2)).Stop()
		wall.put(s, s.H, toH.other(), harmless)
		var r diagnose.DoctorReport
		if status := s.Ask(s.H, &r, "doctor", "wg0", "--for", "1s"); status != 0 || len(r.Peers) != 1 || r.Peers[0].State != diagnose.StateUp {
			t.Errorf("status %d, %+v", status, r)
		}
		wall.put(s, s.H, toH, culprit)
		r = diagnose.DoctorReport{}
		if status := s.Ask(s.H, &r, "doctor", "wg0", "--for", "5s"); status != 2 || len(r.Peers) != 1 {
			t.Fatalf("status %d, %+v", status, r)
		}
		v := r.Peers[0].Verdict
		if text := strings.Join(evidence.Texts(v.Evidence), "\n"); v.Code != diagnose.BPFDrop || !v.Certain || v.Checkpoint != probe.B3 ||
			!strings.Contains(text, "TC_INGRESS") || !strings.Contains(text, "tcx program") {
			t.Errorf("%+v", v)
		}
	})
	t.Run("strangers", func(t *testing.T) {
		t.Parallel()
		s := newSite(t, true)
		s.UpBoth()
		s.Want(s.Explain(s.Web()), diagnose.Healthy, "")
		sitetest.NFT(s.H, "input", "iifname lan udp dport 51820 drop")
		floods(t, s.B, net.JoinHostPort(s.IP(s.Addr.HLan), "51820"), probe.TypeInitiation, probe.LenInitiation)
		var r diagnose.DoctorReport
		if status := s.Ask(s.H, &r, "doctor", "wg0", "--for", "2s"); status != 0 || len(r.Peers) != 1 || !r.Peers[0].Verdict.Healthy() {
			t.Errorf("status %d, %+v", status, r.Peers)
		}
		if !slices.ContainsFunc(r.Findings, func(f diagnose.Finding) bool {
			return f.Code == diagnose.UnderlayInputFirewall && strings.Contains(f.Summary, "udp dport 51820 drop") &&
				strings.Contains(f.Summary, s.IP(s.Addr.B))
		}) {
			t.Errorf("findings: %+v", r.Findings)
		}
	})
}
