package hook

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// output runs a command and returns what it wrote to standard output and error.
func output(t *testing.T, ctx context.Context, command string) (string, error) {
	t.Helper()
	f, err := os.Create(filepath.Join(t.TempDir(), "out"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	err = Shell{Stdout: f, Stderr: f, Dir: "/", Config: "/etc/wireguard/wg0.conf"}.Run(ctx, PostUp, "wg0", Expand(command, "wg0"))
	text, rerr := os.ReadFile(f.Name())
	if rerr != nil {
		t.Fatal(rerr)
	}
	return string(text), err
}

func TestRun(t *testing.T) {
	t.Setenv("LC_ALL", "tr_TR.UTF-8")
	for _, c := range []struct {
		command, want string
		fails         bool
	}{
		{`echo %i-%i`, "wg0-wg0\n", false},
		{`echo "$INTERFACE $PWD $LC_ALL"; cat`, "wg0 / C\n", false},
		{`cd /tmp; echo "$CONFIG_FILE"; sh -c 'echo $CONFIG_FILE'`, "/etc/wireguard/wg0.conf\n/etc/wireguard/wg0.conf\n", false},
		{`for fd in /proc/$$/fd/*; do test ! -L $fd || echo "${fd##*/}"; done`, "0\n1\n2\n", false},
		{`tr '\0' '\n' < /proc/$$/cmdline | grep -c 'grep' || echo "not among the arguments"`, "0\nnot among the arguments\n", false},
		{`a=(1 2 3); for i in "${a[@]:1}"; do printf %s "$i"; done; [[ x%i == x+(wg0) ]] && echo " ok" # said`, "23 ok\n", false},
		{`cat <(echo sub) <<<no; echo a{1,2}`, "sub\na1 a2\n", false},
		{`echo first; false; echo second`, "first\n", true},
		{`false | true; echo not reached`, "", true},
		{`exit 7`, "", true},
		{`echo "unclosed`, "", true},
	} {
		got, err := output(t, t.Context(), c.command)
		if !strings.HasPrefix(got, c.want) || c.want == "" && strings.Contains(got, "not reached") || (err != nil) != c.fails {
			t.Errorf("%s\nsays %q, %v", c.command, got, err)
		}
		if err != nil && strings.Contains(err.Error(), "echo") {
			t.Errorf("the error shows the command: %v", err)
		}
	}
}

// The status of a command that fails is kept, as wg-quick ends with it.
func TestStatus(t *testing.T) {
	for _, c := range []struct {
		command string
		want    int
	}{
		{`exit 7`, 7},
		{`(exit 33) | cat`, 33},
		{`no-such-program`, 127},
		{`kill -KILL $$`, 128 + 9},
		{`bash -c 'kill -TERM $$'`, 128 + 15},
	} {
		_, err := output(t, t.Context(), c.command)
		var failed *Failure
		if !errors.As(err, &failed) || failed.Status() != c.want || failed.Phase != PostUp {
			t.Errorf("%s: %v, want status %d", c.command, err, c.want)
		}
	}
}

// What a hook waits for ends with it, not only the shell.
func TestRunEndsWhatItStarted(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	dir := t.TempDir()
	if err := unix.Mkfifo(filepath.Join(dir, "fifo"), 0o600); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() {
		ended <- Shell{Dir: dir}.Run(ctx, PostUp, "wg0", `sh -c 'echo $$ > fifo; exec sleep 1000'; true`)
	}()
	text, err := os.ReadFile(filepath.Join(dir, "fifo"))
	if err != nil {
		t.Fatal(err)
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil {
		t.Fatal(err)
	}
	fd, err := unix.PidfdOpen(pid, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	cancel()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled, it returns %v", err)
	}
	// A descriptor of a process becomes readable when that has ended.
	if n, err := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, 60_000); n != 1 || err != nil {
		t.Errorf("what it waited for still runs: %d, %v", n, err)
	}
}

// A hook is told to end, and what it left in the background is nobody's concern.
func TestRunEnds(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := output(t, ctx, "sleep 1000"); err == nil {
		t.Error("it ran although it was cancelled")
	}
	got, err := output(t, t.Context(), "sleep 1000000 & echo $!")
	if err != nil || strings.TrimSpace(got) == "" {
		t.Errorf("%q, %v", got, err)
	}
	if _, err := output(t, t.Context(), "kill "+strings.TrimSpace(got)); err != nil {
		t.Error(err) // it was awaited
	}
}
