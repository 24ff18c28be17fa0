package udp

import (
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// netns is a network namespace of its own, inhabited by one thread. It goes
// away with the test.
type netns struct {
	path string
	work chan func()
}

func newNetns(t testing.TB) *netns {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("a network namespace needs root")
	}
	n := &netns{work: make(chan func())}
	ready, gone := make(chan error), make(chan struct{})
	go func() {
		defer close(gone)
		// Never unlocked: the thread ends with the goroutine.
		runtime.LockOSThread()
		n.path = fmt.Sprintf("/proc/%d/task/%d/ns/net", os.Getpid(), unix.Gettid())
		ready <- unix.Unshare(unix.CLONE_NEWNET)
		for f := range n.work {
			f()
		}
	}()
	if err := <-ready; err != nil {
		close(n.work)
		t.Skipf("make a network namespace: %v", err)
	}
	t.Cleanup(func() { close(n.work); <-gone })
	n.run(t, "ip link set lo up")
	return n
}

// do calls f on the namespace's thread: sockets that it opens are of the
// namespace.
func (n *netns) do(f func()) {
	done := make(chan struct{})
	n.work <- func() { defer close(done); f() }
	<-done
}

// run runs commands, one a line, inside the namespace.
func (n *netns) run(t testing.TB, commands string) {
	t.Helper()
	for line := range strings.Lines(commands) {
		args := strings.Fields(line)
		if len(args) == 0 {
			continue
		}
		var out []byte
		var err error
		n.do(func() { out, err = exec.Command(args[0], args[1:]...).CombinedOutput() })
		if err != nil {
			t.Fatalf("%s: %v: %s", strings.TrimSpace(line), err, out)
		}
	}
}

// node opens a Bind inside the namespace.
func (n *netns) node(t testing.TB, o Options) *node {
	t.Helper()
	var opened *node
	var err error
	n.do(func() { opened, err = openNode(o) })
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(opened.stop)
	return opened
}
