//go:build linux

package lab_test

import (
	"bufio"
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/wgnode/wgnode/node/lab"
	"github.com/wgnode/wgnode/probe/patience"
)

// suicideEnv makes TestTeardownAfterKill the test that is killed.
const suicideEnv = "WGNODE_LAB_TEST_SUICIDE"

// trace identifies what a host leaves on the machine.
type trace struct {
	holder int    // process id
	net    string // the network namespace, as "net:[4026532281]"
}

func traceOf(t *testing.T, h *lab.Host) trace {
	t.Helper()
	ns, err := os.Readlink(fmt.Sprintf("/proc/%d/ns/net", h.Pid()))
	if err != nil {
		t.Fatal(err)
	}
	return trace{holder: h.Pid(), net: ns}
}

// markEnv marks the processes that a test starts: the kernel gives the number of
// a namespace that is gone to the next one, which may be another test's.
const markEnv = "WGNODE_LAB_TEST_MARK"

// isMarked reports whether a process, by a path in its folder of /proc, was
// started by the test that has the mark, or is this one.
func isMarked(link, mark string) bool {
	pid, _, _ := strings.Cut(strings.TrimPrefix(link, "/proc/"), "/")
	if pid == strconv.Itoa(os.Getpid()) {
		return true
	}
	env, err := os.ReadFile("/proc/" + pid + "/environ")
	return err == nil && bytes.Contains(env, []byte(markEnv+"="+mark+"\x00"))
}

// inhabitants returns the processes in a network namespace, or that hold it
// open, as far as they have the mark. There may be more than one reason to list
// a process.
func inhabitants(t *testing.T, ns, mark string) (pids []string) {
	t.Helper()
	for _, pattern := range []string{"/proc/[0-9]*/task/[0-9]*/ns/net", "/proc/[0-9]*/fd/*"} {
		links, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		for _, link := range links {
			// Processes and descriptors come and go meanwhile.
			if to, err := os.Readlink(link); err == nil && to == ns && isMarked(link, mark) {
				pids = append(pids, link)
			}
		}
	}
	return pids
}

// liveHosts makes two hosts with a cable, a program, and one in the background.
func liveHosts(t *testing.T) []trace {
	t.Helper()
	l := lab.New(t)
	one, two := l.Host("one"), l.Host("two")
	l.Link(one.End("eth0", "192.0.2.1/24"), two.End("eth0", "192.0.2.2/24"))
	one.Start("sleep", "3600")
	two.Run("sh", "-c", "setsid sleep 3600 </dev/null >/dev/null 2>&1 &")
	two.ServeHTTP("192.0.2.2:80", "")
	return []trace{traceOf(t, one), traceOf(t, two)}
}

func TestTeardownAfterTest(t *testing.T) {
	mark := fmt.Sprintf("after-test-%d", os.Getpid())
	t.Setenv(markEnv, mark)
	var hosts []trace
	t.Run("test", func(t *testing.T) {
		hosts = liveHosts(t)
		for _, h := range hosts {
			// One holder, and one program at least.
			if len(inhabitants(t, h.net, mark)) < 2 {
				t.Errorf("nobody in %s while the host lives", h.net)
			}
		}
	})
	for _, h := range hosts {
		if err := syscall.Kill(h.holder, 0); err != syscall.ESRCH {
			t.Errorf("holder %d is still there: %v", h.holder, err)
		}
		if left := inhabitants(t, h.net, mark); len(left) != 0 {
			t.Errorf("%s is left behind in %v", h.net, left)
		}
	}
}

// TestTeardownAfterKill runs itself as a process of its own, which builds hosts
// and then kills itself in a way that leaves it no chance to clean up.
func TestTeardownAfterKill(t *testing.T) {
	if os.Getenv(suicideEnv) != "" {
		for _, h := range liveHosts(t) {
			fmt.Printf("host %d %s\n", h.holder, h.net)
		}
		fmt.Println("done")
		// Live until the other side has seen the hosts, then die.
		_, _ = os.Stdin.Read(make([]byte, 1))
		_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
	}
	lab.New(t) // for its reasons to skip

	cmd := exec.Command(os.Args[0], "-test.run=^TestTeardownAfterKill$", "-test.count=1")
	mark := fmt.Sprintf("after-kill-%d", os.Getpid())
	cmd.Env = append(os.Environ(), suicideEnv+"=1", markEnv+"="+mark)
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var hosts []trace
	var fds []int
	for lines := bufio.NewScanner(stdout); lines.Scan() && lines.Text() != "done"; {
		fields := strings.Fields(lines.Text())
		if len(fields) != 3 || fields[0] != "host" {
			continue
		}
		pid, err := strconv.Atoi(fields[1])
		if err != nil {
			t.Fatal(err)
		}
		fd, err := unix.PidfdOpen(pid, 0)
		if err != nil {
			t.Fatal(err)
		}
		defer unix.Close(fd)
		hosts, fds = append(hosts, trace{pid, fields[2]}), append(fds, fd)
	}
	stdin.Close()
	if err := cmd.Wait(); err == nil || err.Error() != "signal: killed" {
		t.Fatalf("the test that kills itself ended with: %v", err)
	}
	if len(hosts) != 2 {
		t.Fatalf("it made %d hosts", len(hosts))
	}
	for i, h := range hosts {
		// A pidfd becomes readable when the process has ended. A holder ends
		// after all others in its PID namespace.
		n, err := unix.Poll([]unix.PollFd{{Fd: int32(fds[i]), Events: unix.POLLIN}}, int(patience.Limit().Milliseconds()))
		if n != 1 || err != nil {
			t.Fatalf("holder %d outlives its test: %v", h.holder, err)
		}
		if left := inhabitants(t, h.net, mark); len(left) != 0 {
			t.Errorf("%s is left behind in %v", h.net, left)
		}
	}
}
