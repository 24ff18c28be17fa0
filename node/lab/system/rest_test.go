//go:build linux

package system

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/wgnode/wgnode/node/lab"
	"github.com/wgnode/wgnode/probe/patience"
)

// A node whose tunnel has carried traffic, and that has nothing to do any more, is woken
// less often than wireguard-go's own program that has never had anything to do. Both are
// counted in the same time, so that it does not matter how fast the machine is.
func TestNodeRests(t *testing.T) {
	lab.Need(t, "curl", "ip")
	t.Parallel()
	s := newSite(t, false)
	s.Up(s.H, s.ConfH)
	s.A.WriteFile("/etc/wireguard/wg0.conf", s.ConfA.Text, 0o600)
	ours := s.A.Start(s.Wgnode, "run", "wg0", "--metrics", "127.0.0.1:9586")
	s.AwaitNode()
	if got := s.A.Run("curl", "-sS", "--retry", "5", "--retry-all-errors", "http://"+s.Web()); got != "hello" {
		t.Fatalf("curl printed %q", got)
	}
	theirs := s.A.Start(lab.WireguardGo(t), "-f", "wg9")
	s.A.AwaitUAPI(theirs, "wg9")
	const window = 3 * time.Second // of counting: it is no time in which something must happen
	patience.See(t, "the node to be woken less often than wireguard-go", func() (string, bool) {
		own, other := wakeups(t, ours.Pid()), wakeups(t, theirs.Pid())
		time.Sleep(window)
		own, other = wakeups(t, ours.Pid())-own, wakeups(t, theirs.Pid())-other
		return fmt.Sprintf("%d times, and wireguard-go %d, in %v", own, other, window), own < other
	})
}

// wakeups is how often the threads of a process have slept and been woken until now.
func wakeups(t *testing.T, pid int) (n int) {
	t.Helper()
	threads, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/status", pid))
	if err != nil || len(threads) == 0 {
		t.Fatalf("threads of process %d: %d found, %v", pid, len(threads), err)
	}
	for _, path := range threads {
		status, err := os.ReadFile(path)
		if errors.Is(err, fs.ErrNotExist) {
			continue // it has ended
		}
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(status)) {
			if count, ok := strings.CutPrefix(line, "voluntary_ctxt_switches:"); ok {
				more, err := strconv.Atoi(strings.TrimSpace(count))
				if err != nil {
					t.Fatalf("%s: %v", path, err)
				}
				n += more
			}
		}
	}
	return n
}
