package hook

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// output runs a command and returns what it wrote to standard output and error.
func output(t *testing.T, ctx context.Context, command string) (string, error) {
	t.Helper()
	f, err := os.Create(filepath.Join(t.TempDir(), "out"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	err = Shell{Stdout: f, Stderr: f, Dir: "/"}.Run(ctx, PostUp, "wg0", Expand(command, "wg0"))
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

// A hook is told to end, and what it left in the background is nobody's concern.
func TestRunEnds(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := output(t, ctx, "sleep 1000"); err == nil {
		t.Error("it ran although it was cancelled")
	}
	began := time.Now()
	got, err := output(t, t.Context(), "sleep 30 & echo $!")
	if err != nil || strings.TrimSpace(got) == "" || time.Since(began) > 20*time.Second {
		t.Errorf("%q, %v after %v", got, err, time.Since(began))
	}
	if _, err := output(t, t.Context(), "kill "+strings.TrimSpace(got)); err != nil {
		t.Error(err)
	}
}
