package top

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/wgnode/wgnode/probe/patience"
)

// showArgument has the test's program show a recording, as the command does.
const showArgument = "show-recording"

// show is the command in short.
func show(path string) {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	time.Local = time.UTC
	f, err := OpenRecording(path)
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	s, err := Terminal()
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	if os.Getenv("TOP_PANIC") != "" {
		f.failures = make(failures, 1)
		func() {
			defer f.catch()
			panic("on purpose")
		}()
	}
	_, err = Run(ctx, s, New(f, Options{Colors: s.Colors(), CheckFilter: checkFilter}))
	f.Close()
	fmt.Println("ended:", err)
}

// tmux is a terminal.
type tmux struct {
	t      *testing.T
	socket string
}

func newTmux(t *testing.T, width, height int, script string) *tmux {
	t.Helper()
	if _, err := exec.LookPath("tmux"); err != nil {
		t.Skip("needs tmux")
	}
	x := &tmux{t, filepath.Join(t.TempDir(), "s")}
	x.run("-f", "/dev/null", "new-session", "-d", "-x", fmt.Sprint(width), "-y", fmt.Sprint(height), script)
	t.Cleanup(func() { // by when the test's own context has ended
		if out, err := x.command(context.Background(), "kill-server").CombinedOutput(); err != nil {
			t.Errorf("end tmux: %v\n%s", err, out)
		}
	})
	return x
}

func (x *tmux) command(ctx context.Context, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, "tmux", append([]string{"-u", "-S", x.socket}, args...)...)
	cmd.Env = append(os.Environ(), "LC_ALL=C.UTF-8")
	return cmd
}

func (x *tmux) run(args ...string) string {
	x.t.Helper()
	out, err := x.command(patience.Context(x.t), args...).CombinedOutput()
	if err != nil {
		x.t.Fatalf("tmux %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return string(out)
}

// see waits until a text is seen, or, with a minus before it, is not seen.
func (x *tmux) see(text string) string {
	x.t.Helper()
	var seen string
	gone := strings.HasPrefix(text, "-")
	patience.See(x.t, text, func() (string, bool) {
		seen = x.run("capture-pane", "-p")
		return seen, strings.Contains(seen, strings.TrimPrefix(text, "-")) != gone
	})
	return seen
}

func (x *tmux) keys(keys ...string) { x.t.Helper(); x.run(append([]string{"send-keys"}, keys...)...) }

// shell is a line that runs the test's program, with what the terminal was like before and after.
func shell(t *testing.T, env, path string) string {
	t.Helper()
	me, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf(`a=$(stty -g); %s "%s" %s "%s" & pid=$!; echo "pid $pid"; fg >/dev/null 2>&1 || wait $pid; `+
		`[ "$a" = "$(stty -g)" ] && echo "as before"; exec sleep 1000`, env, me, showArgument, path)
}

// In a terminal a person sees what the model draws, at any size, and has the terminal back.
func TestTerminal(t *testing.T) {
	path, err := filepath.Abs(client)
	if err != nil {
		t.Fatal(err)
	}
	want, err := os.ReadFile(filepath.Join("testdata", "end-80x24.txt"))
	if err != nil {
		t.Fatal(err)
	}
	x := newTmux(t, 80, 24, "bash -ic '"+strings.ReplaceAll(shell(t, "", path), "'", `'\''`)+"'")
	for line := range strings.SplitSeq(string(want), "\n") {
		if line != "" {
			x.see(line)
		}
	}
	x.keys("Tab", "Enter")
	x.see("explain wg0 192.168.200.22:80")
	x.keys("Escape")
	x.see("-explain wg0")
	x.keys("/", "proto udp", "Enter")
	x.see("nothing that matches yet")
	x.run("resize-window", "-x", "200", "-y", "50")
	large, err := os.ReadFile(filepath.Join("testdata", "end-200x50.txt"))
	if err != nil {
		t.Fatal(err)
	}
	x.keys("/", "C-u", "Enter")
	for line := range strings.SplitSeq(string(large), "\n") {
		if strings.Contains(line, "gateway") { // the column of endpoints is there now
			x.see(line)
		}
	}
	x.keys("?")
	x.see("The mouse selects rows and times")
	x.keys("q", "q")
	x.see("ended: <nil>")
	x.see("as before")
}

// colored matches a color, but the terminal's own.
var colored = regexp.MustCompile(`\x1b\[([0-9;]*;)?(3[0-8]|4[0-8]|9[0-7]|10[0-7])[;m]`)

// However it ends, the terminal is as it was.
func TestTerminalAfterwards(t *testing.T) {
	path, err := filepath.Abs(client)
	if err != nil {
		t.Fatal(err)
	}
	t.Run("SIGTERM", func(t *testing.T) {
		x := newTmux(t, 80, 24, "bash -ic '"+strings.ReplaceAll(shell(t, "", path), "'", `'\''`)+"'")
		x.see("Flows 1 of 5")
		pid := strings.TrimSpace(x.run("list-panes", "-F", "#{pane_pid}"))
		out, err := exec.Command("pgrep", "-P", pid).Output()
		if err != nil {
			t.Fatal(err)
		}
		if out, err := exec.Command("kill", "-TERM", strings.TrimSpace(string(out))).CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		x.see("ended: <nil>")
		x.see("as before")
	})
	t.Run("panic", func(t *testing.T) {
		x := newTmux(t, 80, 24, "bash -ic '"+strings.ReplaceAll(shell(t, "TOP_PANIC=1", path), "'", `'\''`)+"'")
		x.see("on purpose")
		x.see("as before")
	})
	t.Run("no color", func(t *testing.T) {
		for _, env := range []string{"NO_COLOR=1", "TERM=dumb"} {
			x := newTmux(t, 80, 24, "bash -ic '"+strings.ReplaceAll(shell(t, env, path), "'", `'\''`)+"'")
			x.see("Flows 1 of 5")
			if seen := x.run("capture-pane", "-p", "-e"); colored.MatchString(seen) {
				t.Errorf("with %s there are colors:\n%q", env, seen)
			}
			x.keys("q")
			x.see("as before")
		}
	})
}
