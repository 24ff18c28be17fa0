//go:build linux

package main

import (
	"encoding/json"
	"fmt"
	"net"
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/wgnode/wgnode/node/lab"
	"github.com/wgnode/wgnode/probe/diagnose"
)

// Each verdict is tried as a user would: two hosts with a configuration file
// each, one fault, and wgnode explain. The same configuration without the fault
// is healthy.

// site is the classic lab with a node on A, called alice, and one on H, called
// gateway. B serves HTTP.
type site struct {
	*lab.Classic
	t      *testing.T
	wgnode string
	v6     bool

	alice, gateway lab.Key
	confA, confH   *conf
}

// conf is a configuration file, as text to be edited.
type conf struct{ text string }

func (c *conf) replace(t *testing.T, old, new string) {
	t.Helper()
	if !strings.Contains(c.text, old) {
		t.Fatalf("%q is not in the configuration:\n%s", old, c.text)
	}
	c.text = strings.ReplaceAll(c.text, old, new)
}

func newSite(t *testing.T, v6 bool) *site {
	s := &site{Classic: lab.NewClassic(t, lab.Options{}), t: t, wgnode: lab.Wgnode(t), v6: v6,
		alice: lab.NewKey(t), gateway: lab.NewKey(t)}
	s.B.ServeHTTP(net.JoinHostPort(s.ip(s.Addr.B), "80"), "hello")
	s.confA = &conf{fmt.Sprintf(`[Interface]
PrivateKey = %s
Address = 10.0.0.1/24, fd0a::1/64
ListenPort = 51821
[Peer]
# Name = gateway
PublicKey = %s
Endpoint = %s
AllowedIPs = 10.0.0.2/32, fd0a::2/128, %s, %s
`, s.alice.Private, s.gateway.Public, net.JoinHostPort(s.ip(s.Addr.HWan), "51820"),
		s.Addr.B.V4.Masked(), s.Addr.B.V6.Masked())}
	s.confH = &conf{fmt.Sprintf(`[Interface]
PrivateKey = %s
Address = 10.0.0.2/24, fd0a::2/64
ListenPort = 51820
[Peer]
# Name = alice
PublicKey = %s
AllowedIPs = 10.0.0.1/32, fd0a::1/128
`, s.gateway.Private, s.alice.Public)}
	return s
}

func (s *site) ip(p lab.Pair) string {
	if s.v6 {
		return p.V6.Addr().String()
	}
	return p.V4.Addr().String()
}

func (s *site) inner(n int) string {
	if s.v6 {
		return fmt.Sprintf("fd0a::%d", n)
	}
	return fmt.Sprintf("10.0.0.%d", n)
}

func (s *site) web() string { return net.JoinHostPort(s.ip(s.Addr.B), "80") }

func (s *site) up(h *lab.Host, c *conf) {
	s.t.Helper()
	h.WriteFile("/etc/wireguard/wg0.conf", c.text, 0o600)
	h.Run(s.wgnode, "up", "wg0")
	// The kernel makes an IPv6 address usable a moment after it was added.
	for h.Run("ip", "-6", "addr", "show", "tentative") != "" {
	}
}

// upBoth brings both up, H first.
func (s *site) upBoth() {
	s.t.Helper()
	s.up(s.H, s.confH)
	s.up(s.A, s.confA)
}

// ask runs explain or doctor on a host and reads its JSON. It fails if that
// takes over 10 s.
func (s *site) ask(h *lab.Host, into any, args ...string) (status int) {
	s.t.Helper()
	start := time.Now()
	out, status, err := h.Try(append(append([]string{s.wgnode}, args...), "--json")...)
	if err != nil {
		s.t.Fatal(err)
	}
	if took := time.Since(start); took > 10*time.Second {
		s.t.Errorf("%v took %v, want at most 10 s", args, took)
	}
	if err := json.Unmarshal([]byte(out), into); err != nil {
		s.t.Fatalf("%v: status %d: %v in\n%s", args, status, err, out)
	}
	return status
}

func (s *site) explain(args ...string) *diagnose.Report {
	s.t.Helper()
	return s.explainOn(s.A, args...)
}

func (s *site) explainOn(h *lab.Host, args ...string) *diagnose.Report {
	s.t.Helper()
	var r diagnose.Report
	status := s.ask(h, &r, append([]string{"explain", "wg0"}, args...)...)
	if want := map[bool]int{true: 0, false: 2}[r.Verdict.Healthy()]; status != want {
		s.t.Errorf("exit status %d with verdict %s", status, r.Verdict.Code)
	}
	return &r
}

func (s *site) want(r *diagnose.Report, code diagnose.Code, says string) {
	s.t.Helper()
	v := &r.Verdict
	text := strings.Join(append(append([]string{v.Summary}, v.Evidence...), v.Fix...), "\n")
	if v.Code != code {
		out, err := json.MarshalIndent(r, "", "  ")
		if err != nil {
			s.t.Fatal(err)
		}
		s.t.Fatalf("verdict %s, want %s\n%s", v.Code, code, out)
	}
	if !strings.Contains(text, says) {
		s.t.Errorf("%q is not said in\n%s", says, text)
	}
	for _, key := range []string{s.alice.Private, s.gateway.Private} {
		if strings.Contains(text, key) {
			s.t.Error("a private key is said")
		}
	}
	if code == diagnose.Healthy {
		s.noFindings(r.Findings, r.Unchecked)
	}
}

// noFindings wants nothing found, and everything looked at.
func (s *site) noFindings(found []diagnose.Finding, unchecked []string) {
	s.t.Helper()
	for _, f := range found {
		s.t.Errorf("found on a healthy site: %s: %s", f.Code, f.Summary)
	}
	for _, u := range unchecked {
		s.t.Errorf("not looked at: %s", u)
	}
}

func (s *site) flag() string {
	if s.v6 {
		return "-6"
	}
	return "-4"
}

func (s *site) hwan() netip.Prefix {
	if s.v6 {
		return s.Addr.HWan.V6
	}
	return s.Addr.HWan.V4
}

func (s *site) hlan() netip.Prefix {
	if s.v6 {
		return s.Addr.HLan.V6.Masked()
	}
	return s.Addr.HLan.V4.Masked()
}

// nft adds a rule to a table of its own on a host.
func nft(h *lab.Host, hook, rule string) {
	h.RunInput(fmt.Sprintf("table inet fault {\n chain c {\n type filter hook %s priority 0\n %s\n }\n}\n", hook, rule), "nft", "-f", "-")
}

// rewriteSource makes H give replies of B another source, without conntrack.
func rewriteSource(s *site) {
	proto, from, to := "ip", s.Addr.B.V4.Addr().String(), "192.0.2.99"
	if s.v6 {
		proto, from, to = "ip6", s.Addr.B.V6.Addr().String(), "fd99::99"
	}
	s.H.RunInput(fmt.Sprintf("table %s fault {\n chain c {\n type filter hook postrouting priority 300\n oifname wg0 %s saddr %s %s saddr set %s\n }\n}\n",
		proto, proto, from, proto, to), "nft", "-f", "-")
}

// stranger removes alice from H.
func stranger(s *site) {
	s.confH.text = s.confH.text[:strings.Index(s.confH.text, "[Peer]")]
}

// Two hosts with one key: H sees the endpoint go back and forth.
func TestVerdictSharedKey(t *testing.T) {
	s := newSite(t, false)
	s.confH.replace(t, "AllowedIPs", "PersistentKeepalive = 25\nAllowedIPs")
	s.upBoth()
	s.up(s.B, &conf{fmt.Sprintf("[Interface]\nPrivateKey = %s\nAddress = 10.0.0.1/24\n[Peer]\nPublicKey = %s\nEndpoint = %s:51820\nAllowedIPs = 10.0.0.2/32\n",
		s.alice.Private, s.gateway.Public, s.Addr.HLan.V4.Addr())})
	// H takes no two initiations of one key within 20 ms, so that B's may have
	// to come again, after 5 s.
	s.A.Run("ping", "-c", "1", "-W", "7", "10.0.0.2")
	s.B.Run("ping", "-c", "1", "-W", "7", "10.0.0.2")
	for range 2 {
		for _, h := range []*lab.Host{s.A, s.B} {
			// It may go unanswered: H has the other's session by now.
			if _, _, err := h.Try("ping", "-c", "1", "-W", "1", "10.0.0.2"); err != nil {
				t.Fatal(err)
			}
		}
	}
	var r diagnose.DoctorReport
	if status := s.ask(s.H, &r, "doctor", "wg0"); status != 2 {
		t.Errorf("exit status %d", status)
	}
	if len(r.Peers) != 1 || r.Peers[0].Verdict.Code != diagnose.SharedKey {
		t.Errorf("%+v", r.Peers)
	}
}

// An initiation that comes again is a replay, as when the clock of a peer went
// back.
func TestVerdictReplay(t *testing.T) {
	lab.Need(t, "tcpdump")
	s := newSite(t, false)
	s.up(s.H, s.confH)
	pcap := t.TempDir() + "/initiation.pcap"
	dump := s.R.Start("tcpdump", "-ni", "wan", "-U", "-c", "1", "-w", pcap, "udp", "dst", "port", "51820", "and", "udp[4:2]", "=", "156")
	dump.WaitOutput(t.Context(), "listening on")
	s.up(s.A, s.confA)
	s.want(s.explain(s.web()), diagnose.Healthy, "")
	if err := dump.Wait(); err != nil {
		t.Fatal(err)
	}
	raw, err := os.ReadFile(pcap)
	if err != nil {
		t.Fatal(err)
	}
	initiation := raw[len(raw)-148:]
	c, err := s.R.Dial(t.Context(), "udp", net.JoinHostPort(s.ip(s.Addr.HWan), "51820"))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	for range 2 {
		if _, err := c.Write(initiation); err != nil {
			t.Fatal(err)
		}
	}
	var r diagnose.DoctorReport
	s.ask(s.H, &r, "doctor", "wg0")
	if len(r.Peers) != 1 || r.Peers[0].Verdict.Code != diagnose.HandshakeReplay {
		t.Errorf("%+v", r.Peers)
	}
}
