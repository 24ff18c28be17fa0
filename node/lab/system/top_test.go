//go:build linux

package system

import (
	"strings"
	"testing"

	"github.com/wgnode/wgnode/node/lab"
	"github.com/wgnode/wgnode/probe/patience"
)

// In a terminal top shows what passes a node, explains it, says that the node goes down and waits for
// it, and leaves nothing behind.
func TestTopAtATerminal(t *testing.T) {
	lab.Need(t, "tmux", "ping", "wg", "ip", "nft", "ps")
	t.Parallel()
	s := newSite(t, false)
	s.UpBoth()
	tmux := func(args ...string) string {
		t.Helper()
		return s.A.Run(append([]string{"env", "LC_ALL=C.UTF-8", "TERM=xterm-256color", "tmux", "-S", "/run/top.sock",
			"-f", "/dev/null"}, args...)...)
	}
	tmux("new-session", "-d", "-x", "100", "-y", "30", "sh", "-c", s.Wgnode+" top; echo ended; exec sleep 1000")
	defer tmux("kill-server")
	see := func(want ...string) (seen string) {
		t.Helper()
		for _, text := range want {
			patience.See(t, text, func() (string, bool) {
				seen = tmux("capture-pane", "-p")
				return seen, strings.Contains(seen, text)
			})
		}
		return seen
	}
	keys := func(keys ...string) { t.Helper(); tmux(append([]string{"send-keys"}, keys...)...) }

	see("wg0  wgnode  1 peer")
	keys("/", "proto icmp", "Enter")
	see("filter: proto icmp", "nothing that matches yet")
	s.A.Run("ping", "-c", "2", "-i", "0.2", "-W", patience.Seconds(), s.Inner(2))
	see("icmp "+s.Inner(1)+" > "+s.Inner(2), "✓ A1      2", "✓ A6      2")
	keys("Tab", "Enter")
	see("explain wg0 "+s.Inner(2), "✓ healthy")
	keys("Escape")                // alone, or a terminal takes it for the beginning of another key
	see("Peers 1 of 1", "Flows ") // those of explain's own probes have come first
	keys("/", "C-u", "proto udp", "Enter")
	see("filter: proto udp", "nothing that matches yet")
	s.A.Run(s.Wgnode, "down", "wg0")
	see("wg0  it went down; waiting for it")
	s.Up(s.A, s.ConfA)
	see("wg0  wgnode  1 peer")
	keys("q")
	see("ended")
}
