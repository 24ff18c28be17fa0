//go:build linux

package system

import (
	"flag"
	"math/rand/v2"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/wgnode/wgnode/node/lab"
	"github.com/wgnode/wgnode/probe/patience"
)

var interferenceCount = flag.Int("interferences", 10, "how often another program interferes with each kill switch")

// interferences are what another program may do to the firewall, as shell
// commands. They may fail: then the firewall has resisted.
var interferences = []string{
	`nft flush ruleset`,
	`nft delete table $T`,
	`nft flush table $T`,
	`nft flush chain $T postrouting`,
	`nft add chain $T postrouting '{ policy accept ; }'`,
	`nft insert rule $T postrouting accept`,
	`nft add table $T '{ flags dormant ; }'`,
	`nft delete rule $T postrouting handle $(nft -a list table $T | sed -n 's/.*this host itself.*handle //p')`,
	`nft delete table $T; nft add table $T; nft add chain $T postrouting '{ type filter hook output priority 7 ; policy accept ; }'`,
	`nft list ruleset | sed 's/policy drop/policy accept/' > /run/saved; nft flush ruleset; nft -f /run/saved`,
	`{ echo flush ruleset; nft list ruleset | sed 's/flags owner//'; echo 'insert rule '$T' postrouting accept'; } > /run/saved; ` +
		`nft -f /run/saved`,
}

const killSwitchTable = "inet wgnode-killswitch-wg0"

// Whatever another program does to the kill switch, nothing leaves the host but
// by the tunnel for longer than it takes to put it back, also when the node is
// dead.
func TestKillSwitchInterfered(t *testing.T) {
	lab.Need(t, "nft", "sh", "sed")
	t.Parallel()
	for _, tc := range []struct {
		name  string
		owned bool // the table is the node's, which takes Linux 6.9
		dead  bool // the node was killed
	}{
		{name: "owned", owned: true},
		{name: "open to all"},
		{name: "owned, node dead", owned: true, dead: true},
		{name: "open to all, node dead", dead: true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			s := newSite(t, false)
			s.Up(s.H, s.ConfH)
			s.countOnR()
			up := []string{s.Wgnode, "up", tomlPath}
			if !tc.owned {
				up = append(up, "--open-tables")
			}
			s.toml(fullIPs, "kill_switch = true", "")
			s.A.Run(up...)
			var to []netip.Addr
			for _, p := range []lab.Pair{s.Addr.HWan, s.Addr.RLan, s.Addr.B} {
				to = append(to, p.V4.Addr(), p.V6.Addr())
			}
			traffic := chat(t, s.A, to...)
			traffic.more()
			if tc.dead {
				s.Kill()
			}
			s.interfere(traffic, *interferenceCount)
			if !tc.dead {
				return
			}
			// Another node takes it over, and goes in order.
			s.A.Run(up...)
			s.interfere(traffic, 1)
			s.A.Run(s.Wgnode, "down", "wg0")
			if out := s.A.Run("sh", "-c", "nft list tables; ps -e -o stat=,comm= | grep -v ^Z | grep wgnode || true"); out != "" {
				t.Errorf("left behind:\n%s", out)
			}
		})
	}
}

// killSwitch lists the kill switch, but for who owns it; "" if there is none.
func (s *site) killSwitch() string {
	s.T.Helper()
	out, status, err := s.A.Try("sh", "-c", "nft list table "+killSwitchTable+" | sed 's/ # progname.*//; /^\tflags owner/,+1d'")
	if err != nil || status != 0 || strings.HasPrefix(out, "Error") {
		return ""
	}
	return out
}

// interfere interferes so often and counts what leaves, until the kill switch is
// back and after that. That it is back within a second is said of a machine that
// has nothing else to do, so it is only demanded where many are asked for.
func (s *site) interfere(traffic *chatter, times int) {
	s.T.Helper()
	before, most, open, late := s.killSwitch(), time.Duration(0), 0, 0
	for range times {
		what := interferences[rand.IntN(len(interferences))]
		s.leaked()
		if _, _, err := s.A.Try("sh", "-c", "T='"+killSwitchTable+"'; "+what); err != nil {
			s.T.Fatal(err)
		}
		start := time.Now()
		patience.Until(s.T, "the kill switch is back after "+what, func() bool { return s.killSwitch() == before })
		most = max(most, time.Since(start))
		open += s.leaked()
		traffic.more()
		if n := s.leaked(); n > 0 {
			late += n
			s.T.Errorf("%d packets leaked though the kill switch was back after: %s", n, what)
		}
	}
	if most > time.Second && times >= 100 {
		s.T.Errorf("once it took %v until the kill switch was back", most)
	}
	s.T.Logf("%d interferences: seen to be back within %v, packets leaked until then %d, later %d",
		times, most.Round(time.Millisecond), open, late)
}

// What another program flushes is back, and said: in the log, in watch, and as a
// metric.
func TestFirewallRestored(t *testing.T) {
	lab.Need(t, "nft", "curl")
	t.Parallel()
	s := newSite(t, false)
	s.toml(fullIPs, "", "[metrics]\nlisten = \"unix:/run/wg0.metrics\"")
	node := s.A.Start(s.Wgnode, "run", tomlPath)
	s.AwaitNode()
	list := func() string {
		return s.A.Run("nft", "list", "table", "ip", "wg-quick-wg0") + s.A.Run("nft", "list", "table", "ip6", "wg-quick-wg0")
	}
	before := list()
	watch := s.A.Start(s.Wgnode, "watch", "wg0", "--past")
	s.A.Run("nft", "flush", "ruleset")
	watch.WaitOutput(patience.Context(t), "network firewall of wg0 was changed by nft (process ")
	node.WaitOutput(patience.Context(t), "another program changed the tunnel's firewall")
	if now := list(); now != before {
		t.Errorf("it is now\n%s\nwas\n%s", now, before)
	}
	metrics := s.A.Run("curl", "-sS", "--unix-socket", "/run/wg0.metrics", "http://node/metrics")
	if !strings.Contains(metrics, `wgnode_restored_total{interface="wg0",table="firewall"}`) {
		t.Errorf("the metrics are\n%s", metrics)
	}
}

// A guardian that dies is replaced, and the new one guards as the first would
// have.
func TestGuardianReplaced(t *testing.T) {
	lab.Need(t, "nft", "pgrep")
	t.Parallel()
	s := newSite(t, false)
	s.toml(fullIPs, "kill_switch = true", "")
	s.A.Run(s.Wgnode, "up", tomlPath)
	s.A.Until("pgrep -x wgnode-guard")
	first := s.A.Run("pgrep", "-x", "wgnode-guard")
	s.A.Run("kill", "-9", strings.TrimSpace(first))
	s.A.Until("pgrep -x wgnode-guard | grep -vx " + strings.TrimSpace(first))
	s.A.Run(s.Wgnode, "reload", "wg0") // it waits until the new one has heard all
	s.Kill()
	before := s.killSwitch()
	s.A.Run("nft", "flush", "ruleset")
	patience.Until(s.T, "the kill switch is back", func() bool { return s.killSwitch() == before })
	if out := s.A.Run(s.Wgnode, "recover"); !strings.Contains(out, "[#] nft delete table "+killSwitchTable+"\n") {
		t.Errorf("recover printed\n%s", out)
	}
	if out, _, err := s.A.Try("pgrep", "-x", "wgnode-guard"); err != nil || out != "" {
		t.Errorf("the guardian is still there: %v %s", err, out)
	}
}
