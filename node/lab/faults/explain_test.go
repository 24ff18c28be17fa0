//go:build linux

package faults

import (
	"context"
	"math/rand/v2"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/wgnode/wgnode/node/lab"
	"github.com/wgnode/wgnode/node/lab/sitetest"
	"github.com/wgnode/wgnode/probe/diagnose"
	"github.com/wgnode/wgnode/probe/evidence"
	"github.com/wgnode/wgnode/probe/patience"
)

// A verdict is the same while other packets fill the tunnel.
func TestVerdictInFlood(t *testing.T) {
	lab.Need(t, "iperf3")
	t.Parallel()
	s := newSite(t, false)
	s.UpBoth()
	s.B.Start("iperf3", "-s", "--forceflush").WaitOutput(t.Context(), "listening")
	s.A.Start("iperf3", "-c", s.IP(s.Addr.B), "-u", "-b", "100M", "-l", "1200", "-t", "15", "--forceflush").WaitOutput(t.Context(), "sec")
	s.Want(s.Explain(s.Web()), diagnose.Healthy, "")
	s.Want(s.Overheard(s.Web()), diagnose.Healthy, "")
	for _, c := range []struct {
		host       *lab.Host
		hook, rule string
		ask        func() *diagnose.Report
		want       diagnose.Code
	}{
		{host: s.A, hook: "output", rule: "oifname wg0 tcp dport 80",
			ask: func() *diagnose.Report { return s.Explain(s.Web()) }, want: diagnose.OutputFirewall},
		{host: s.A, hook: "input", rule: "iifname wg0 tcp sport 80", ask: func() *diagnose.Report { return s.Explain(s.Web()) },
			want: diagnose.InputFirewall},
		{host: s.H, hook: "forward", rule: "tcp dport 80", ask: func() *diagnose.Report { return s.Overheard(s.Web()) },
			want: diagnose.ForwardFirewall},
		{host: s.H, hook: "forward", rule: "tcp sport 80", ask: func() *diagnose.Report { return s.Overheard(s.Web()) },
			want: diagnose.ReturnFirewall},
	} {
		// Another rule drops some of the flood meanwhile.
		sitetest.NFT(c.host, c.hook, "udp dport 5201 numgen random mod 10 0 counter drop comment \"harmless-one\"\n "+c.rule+
			" drop comment culprit")
		r := c.ask()
		s.Want(r, c.want, "culprit")
		if strings.Contains(strings.Join(evidence.Texts(r.Verdict.Evidence), "\n"), harmless) {
			t.Errorf("the wrong rule is blamed: %q", r.Verdict.Evidence)
		}
		c.host.Run("nft", "delete", "table", "inet", "fault")
	}
}

// Whenever explain is killed, and whenever its node is, nothing of it stays.
func TestExplainKilled(t *testing.T) {
	t.Parallel()
	s := newSite(t, false)
	s.UpBoth()
	sitetest.NFT(s.R, "forward", "udp dport 51820 drop") // so that a verdict takes its time
	look := func() string {
		// Link-local addresses are new with each interface.
		return s.A.Run("sh", "-c", "{ nft list tables; ip rule; ip -6 rule; ip route show table all; ip -6 route show table "+
			"all; } | grep -v 'fe80\\|ff00\\|expires' | sort")
	}
	files := func() string {
		return s.A.Run("sh", "-c", "readlink /proc/$(pgrep -o wgnode)/fd/* | sed 's/:\\[[0-9]*\\]//' | sort")
	}
	// At any moment the node may have one more open, to look at the network.
	before, open := look(), files()
	for range 50 {
		s.killExplain(time.Duration(rand.IntN(300)) * time.Millisecond)
	}
	if r := s.Explain(s.Web(), "--timeout", "1s"); r.Verdict.Healthy() {
		t.Error("healthy without a way to the peer")
	}
	defer func() {
		if t.Failed() {
			sitetest.Same(t, "left behind", before+open, look()+files())
		}
	}()
	patience.Until(s.T, "what was there before, and nothing else",
		func() bool { return look() == before && len(strings.Fields(files())) <= len(strings.Fields(open)) })

	had := 0
	for range 5 {
		p := s.A.Start(s.Wgnode, "explain", "wg0", s.Web())
		patience.Until(s.T, "a trace", func() bool { return strings.Contains(look(), "wgnode-trace") })
		s.A.Run("pkill", "-STOP", "-o", "wgnode")
		objects := s.objectsOfNode()
		s.A.Run("pkill", "-KILL", "-o", "wgnode")
		_ = p.Wait() // the connection to its node is gone
		had += len(objects)
		objects.Gone(t)
		patience.Until(s.T, "no trace of a dead node",
			func() bool { return !strings.Contains(look(), "wgnode-trace") && !strings.Contains(look(), "wg0") })
		s.A.Run(s.Wgnode, "up", "wg0")
	}
	patience.Until(s.T, "the same routes and rules as before:\n"+before, func() bool { return look() == before })
	t.Logf("%d BPF programs, maps and links were there when the node was killed", had)
}

// objectsOfNode are what the node of A has in the kernel.
func (s *site) objectsOfNode() (objects sitetest.KernelObjects) {
	s.T.Helper()
	pid, err := strconv.Atoi(strings.TrimSpace(s.A.Run("pgrep", "-o", "wgnode")))
	if err == nil {
		err = s.A.Do(func() error {
			objects = sitetest.ObjectsOf(s.T, pid)
			return nil
		})
	}
	if err != nil {
		s.T.Fatal(err)
	}
	return objects
}

// killExplain kills an explanation after a while.
func (s *site) killExplain(after time.Duration) {
	s.T.Helper()
	ctx, cancel := context.WithTimeout(s.T.Context(), after)
	defer cancel()
	// That it was killed is its error.
	_, _ = s.A.Command(ctx, s.Wgnode, "explain", "wg0", s.Web()).CombinedOutput()
}
