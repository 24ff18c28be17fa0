package main

import (
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/spf13/cobra"
)

// runQuietly returns the exit status of a command line, and what it says.
func runQuietly(args ...string) (status int, said string) {
	var errOut strings.Builder
	status = run(append([]string{"wgnode"}, args...), strings.NewReader(""), io.Discard, &errOut)
	return status, errOut.String()
}

// all calls f for each command that does something.
func all(cmd *cobra.Command, f func(*cobra.Command)) {
	if cmd.Runnable() && cmd.HasParent() {
		f(cmd)
	}
	for _, sub := range cmd.Commands() {
		all(sub, f)
	}
}

// A wrong command line ends with the status that the command's help has for it: 2,
// but where that is a fault that was found and nothing else.
func TestStatusOfWrongUsage(t *testing.T) {
	all(newRootCommand(), func(cmd *cobra.Command) {
		if cmd.DisableFlagParsing || cmd.Name() == "help" {
			return
		}
		path := strings.Fields(cmd.CommandPath())[1:]
		_, doc, documented := strings.Cut(cmd.Long, "Exit status:")
		want := 2
		switch {
		case strings.Contains(doc, "2 ") && !strings.Contains(doc, "the command line is wrong"):
			want = 1
		case documented && strings.Contains(doc, "125"): // as env(1) and the like
			return
		}
		if got, said := runQuietly(append(path, "--no-such-flag")...); got != want {
			t.Errorf("%s: status %d, want %d as its help says; it printed\n%s", cmd.CommandPath(), got, want, said)
		}
	})
}

// What cannot be done ends with 1, and the error says why: 2 of these commands would
// be a fault that was found.
func TestStatusOfFailure(t *testing.T) {
	file := filepath.Join(t.TempDir(), "not.pcapng")
	if err := os.WriteFile(file, []byte("no recording"), 0o600); err != nil {
		t.Fatal(err)
	}
	const none = "nosuchtunnel0"
	for _, test := range []struct{ args, says string }{
		{"explain " + none + " 10.0.0.1", "not running"},
		{"doctor " + none, "not running"},
		{"trace " + none + " 10.0.0.1", "not running"},
		{"watch " + none, "not running"},
		{"record " + none + " -w " + file + ".new", "not running"},
		{"reload " + none, "not running"},
		{"down " + none, "is not a WireGuard interface"},
		{"show " + none, "Unable to access interface"},
		{"explain -r " + file + " 10.0.0.1", "pcapng"},
		{"doctor -r " + file, "pcapng"},
		{"watch -r " + file, "pcapng"},
		{"merge " + file + " " + file, "pcapng"},
		{"up ./nosuch.conf", "nosuch.conf"},
		{"strip ./nosuch.conf", "nosuch.conf"},
		{"convert ./nosuch.conf", "nosuch.conf"},
	} {
		status, said := runQuietly(strings.Fields(test.args)...)
		asRoot := os.Geteuid() != 0 && strings.Contains(said, "run it as root") // which is as good a reason
		if status != 1 || !strings.Contains(said, test.says) && !asRoot {
			t.Errorf("%s: status %d, want 1 and %q; it printed\n%s", test.args, status, test.says, said)
		}
	}
}
