//go:build linux

package main

import (
	"context"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/wgnode/wgnode/node/lab"
	"github.com/wgnode/wgnode/probe/diagnose"
)

// A verdict is the same while other packets fill the tunnel.
func TestVerdictInFlood(t *testing.T) {
	lab.Need(t, "iperf3")
	t.Parallel()
	s := newSite(t, false)
	s.upBoth()
	s.B.Start("iperf3", "-s", "--forceflush").WaitOutput(t.Context(), "listening")
	s.A.Start("iperf3", "-c", s.ip(s.Addr.B), "-u", "-b", "100M", "-l", "1200", "-t", "15", "--forceflush").WaitOutput(t.Context(), "sec")
	s.want(s.explain(s.web()), diagnose.Healthy, "")
	s.want(s.overheard(s.web()), diagnose.Healthy, "")
	for _, c := range []struct {
		host       *lab.Host
		hook, rule string
		ask        func() *diagnose.Report
		want       diagnose.Code
	}{
		{s.A, "output", "oifname wg0 tcp dport 80", func() *diagnose.Report { return s.explain(s.web()) }, diagnose.OutputFirewall},
		{s.A, "input", "iifname wg0 tcp sport 80", func() *diagnose.Report { return s.explain(s.web()) }, diagnose.InputFirewall},
		{s.H, "forward", "tcp dport 80", func() *diagnose.Report { return s.overheard(s.web()) }, diagnose.ForwardFirewall},
		{s.H, "forward", "tcp sport 80", func() *diagnose.Report { return s.overheard(s.web()) }, diagnose.ReturnFirewall},
	} {
		// Another rule drops some of the flood meanwhile.
		nft(c.host, c.hook, "udp dport 5201 numgen random mod 10 0 counter drop comment \"harmless-one\"\n "+c.rule+" drop comment culprit")
		r := c.ask()
		s.want(r, c.want, "culprit")
		if strings.Contains(strings.Join(r.Verdict.Evidence, "\n"), harmless) {
			t.Errorf("the wrong rule is blamed: %q", r.Verdict.Evidence)
		}
		c.host.Run("nft", "delete", "table", "inet", "fault")
	}
}

// Whenever explain is killed, and whenever its node is, nothing of it stays.
func TestExplainKilled(t *testing.T) {
	t.Parallel()
	s := newSite(t, false)
	s.upBoth()
	nft(s.R, "forward", "udp dport 51820 drop") // so that a verdict takes its time
	look := func() string {
		// Link-local addresses are new with each interface.
		return s.A.Run("sh", "-c", "{ nft list tables; ip rule; ip -6 rule; ip route show table all; ip -6 route show table all; } | grep -v 'fe80\\|ff00\\|expires' | sort")
	}
	files := func() string {
		return s.A.Run("sh", "-c", "readlink /proc/$(pgrep -o wgnode)/fd/* | sed 's/:\\[[0-9]*\\]//' | sort")
	}
	// At any moment the node may have one more open, to look at the network.
	before, open := look(), files()
	for range 50 {
		s.killExplain(time.Duration(rand.IntN(300)) * time.Millisecond)
	}
	if r := s.explain(s.web(), "--timeout", "1s"); r.Verdict.Healthy() {
		t.Error("healthy without a way to the peer")
	}
	defer func() {
		if t.Failed() {
			same(t, "left behind", before+open, look()+files())
		}
	}()
	s.await("what was there before, and nothing else", func() bool { return look() == before && len(strings.Fields(files())) <= len(strings.Fields(open)) })

	for range 5 {
		p := s.A.Start(s.wgnode, "explain", "wg0", s.web())
		s.await("a trace", func() bool { return strings.Contains(look(), "wgnode-trace") })
		s.A.Run("pkill", "-KILL", "-o", "wgnode")
		_ = p.Wait() // the connection to its node is gone
		s.await("no trace of a dead node", func() bool { return !strings.Contains(look(), "wgnode-trace") && !strings.Contains(look(), "wg0") })
		s.A.Run(s.wgnode, "up", "wg0")
	}
	s.await("the same routes and rules as before:\n"+before, func() bool { return look() == before })
}

// killExplain kills an explanation after a while.
func (s *site) killExplain(after time.Duration) {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), after)
	defer cancel()
	// That it was killed is its error.
	_, _ = s.A.Command(ctx, s.wgnode, "explain", "wg0", s.web()).CombinedOutput()
}

// await waits for what has no event: the kernel's and the node's cleaning up.
func (s *site) await(what string, done func() bool) {
	s.t.Helper()
	for deadline := time.Now().Add(10 * time.Second); !done(); {
		if time.Now().After(deadline) {
			s.t.Fatalf("not in 10 s: %s", what)
		}
	}
}
