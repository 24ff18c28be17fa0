package main

import (
	"fmt"
	"io"
	"net"
	"strings"
	"testing"

	"github.com/wgnode/wgnode/cmd/internal/cli"
	"github.com/wgnode/wgnode/cmd/internal/diagnosis"
)

// TestUsageErrors lists what is said of a wrong command line. None of it may be in
// the words of the libraries that read it.
func TestUsageErrors(t *testing.T) {
	for _, test := range []struct {
		args   string // behind wgnode
		says   string // the first line
		hint   string // the first hint, but for that of --help
		status int
	}{
		{args: "explain", says: "missing DEST; usage: wgnode explain [CONF|NAME] DEST[:PORT[/udp]]", status: 1},
		{args: "explain wg0 10.0.0.1 x", says: `unexpected argument "x"; usage: wgnode explain [CONF|NAME] DEST[:PORT[/udp]]`, status: 1},
		{args: "explain wg0 10.0.0.1/udp", says: `destination "10.0.0.1/udp": UDP needs a port: want ADDRESS:PORT/udp`, status: 1},
		{args: "explain wg0 10.0.0.1:53 --payload x",
			says: "--payload needs a probe by UDP: DEST:PORT/udp, without --passive and -r", status: 1},
		{args: "explain wg0 10.0.0.1:53/udp --payload hex:0", says: "--payload hex:0: want pairs of hexadecimal digits", status: 1},
		{args: "explain wg0 10.0.0.1:53/udp --payload=", says: "--payload: missing value: want TEXT", status: 1},
		{args: "up wg0 wg1", says: `unexpected argument "wg1"; usage: wgnode up [CONF|NAME]`, status: 2},
		{args: "convert", says: "missing CONF or NAME; usage: wgnode convert CONF|NAME [OUT]", status: 2},
		{args: "connect", says: "missing HOST:PORT; usage: wgnode connect [CONF|NAME] HOST:PORT", status: 2},
		{args: "connect wg0 10.0.0.1", says: `"10.0.0.1": missing port: want HOST:PORT`, status: 2},
		{args: "merge a.pcapng", says: "missing FILE; usage: wgnode merge FILE FILE...", status: 2},
		{args: "exec wg0 --", says: "missing COMMAND; usage: wgnode exec [flags] CONF|NAME [--] COMMAND [ARG]...", status: 2},
		{args: "version now", says: `unexpected argument "now"; usage: wgnode version`, status: 2},
		{args: "completion bash now", says: `unexpected argument "now"; usage: wgnode completion bash`, status: 2},
		{args: "record wg0", says: "missing -w FILE: the file to write", status: 2},
		{args: "record wg0 -w", says: "-w: missing value: want FILE", status: 2},
		{args: "doctor --for 10", says: "--for 10: add a unit, such as 10s or 2m", status: 1},
		{args: "explain --timeout -1s 10.0.0.1", says: "--timeout -1s: want a time above zero, such as 10s or 2m", status: 1},
		{args: "trace --timeout 0s 10.0.0.1", says: "--timeout 0s: want a time above zero, such as 10s or 2m", status: 2},
		{args: "drops --for 0s", says: "--for 0s: want a time above zero, such as 10s or 2m", status: 2},
		{args: "record -w x --since -1s", says: "--since -1s: want a time above zero, such as 10s or 2m", status: 2},
		{args: "doctor --for soon", says: "--for soon: want a time, such as 10s or 2m", status: 1},
		{args: "doctor --for", says: "--for: missing value: want a time, such as 10s or 2m", status: 1},
		{args: "explain wg0 10.0.0.1 --with=", says: "--with: missing value: want USER@HOST", status: 1},
		{args: "explain wg0 10.0.0.1 --with-command=", says: "--with-command: missing value: want COMMAND", status: 1},
		{args: "explain wg0 10.0.0.1 --passive --from=", says: "--from: missing value: want ADDRESS or PREFIX", status: 1},
		{args: "up wg0 --metrics=", says: "--metrics: missing value: want ADDR", status: 2},
		{args: "watch --every x", says: "--every x: want a number, such as 100", status: 2},
		{args: "watch --every 0", says: "--every 0: want a number of at least 1", status: 2},
		{args: "record wg0 -w x --files x", says: "--files x: want a number, such as 100", status: 2},
		{args: "run --recorder -1", says: "--recorder -1: want a number, such as 100", status: 2},
		{args: "up --netstack=perhaps", says: "--netstack=perhaps: want true or false", status: 2},
		{args: "up --netstak", says: "unknown flag --netstak", hint: "did you mean --netstack?", status: 2},
		{args: "up -z", says: "unknown flag -z", status: 2},
		{args: "up --=x", says: "--=x is not a flag", status: 2},
		{args: "up --dry-run --netstack", says: "--dry-run shows the changes to this host; without an interface there are none", status: 2},
		{args: "help psk-missmatch", says: `unknown command or verdict "psk-missmatch"`,
			hint: "did you mean the verdict `wgnode help psk-mismatch`?", status: 2},
		{args: "help --json up", says: "--json is for the code of a verdict", status: 2},
		{args: "help shwo", says: `unknown command "shwo"`, hint: "did you mean `wgnode show`?", status: 2},
		{args: "shwo", says: `unknown command "shwo"`, hint: "did you mean `wgnode show`?", status: 2},
	} {
		t.Run(test.args, func(t *testing.T) {
			var out, errOut strings.Builder
			status := run(append([]string{"wgnode"}, strings.Fields(test.args)...), strings.NewReader(""), &out, &errOut)
			lines := strings.Split(errOut.String(), "\n")
			if status != test.status || lines[0] != "wgnode: "+test.says {
				t.Errorf("status %d and\n%swant %d and %s", status, errOut.String(), test.status, test.says)
			}
			if test.hint != "" && lines[1] != "wgnode: hint: "+test.hint {
				t.Errorf("hint is %q, want %q", lines[1], test.hint)
			}
			if last := lines[len(lines)-2]; !strings.HasSuffix(last, "--help` shows the usage") {
				t.Errorf("the last line is %q, want the command that shows the usage", last)
			}
		})
	}
}

// A name that does not resolve today may do so tomorrow: that is no wrong usage.
func TestUnresolvedIsNoUsageError(t *testing.T) {
	err := fmt.Errorf("cannot resolve destination: %w", &net.DNSError{Err: "no such host", Name: "x"})
	var out strings.Builder
	status := cli.Report(&out, cli.NewUsageError(diagnosis.NewTraceCommand(), err))
	if status != cli.StatusFailed || strings.Contains(out.String(), "usage") {
		t.Errorf("status %d and\n%s", status, out.String())
	}
}

// TestEveryCommandRefusesWrongArguments has each command say itself what it lacks,
// or has too much.
func TestEveryCommandRefusesWrongArguments(t *testing.T) {
	root := newRootCommand()
	root.SetErr(io.Discard)
	for _, cmd := range root.Commands() {
		for _, args := range []string{"", "1 2 3 4 5 6 7 8", "--no-such-flag", "--for x"} {
			if args == "" && cmd.Args(cmd, nil) == nil {
				continue // it would run
			}
			line := append([]string{"wgnode", cmd.Name()}, strings.Fields(args)...)
			if args != "" && !strings.HasPrefix(args, "-") && cmd.Args(cmd, line[2:]) == nil {
				continue
			}
			if strings.HasPrefix(args, "-") && cmd.DisableFlagParsing {
				continue // it reads its flags itself, in wg's words
			}
			var out, errOut strings.Builder
			if status := run(line, strings.NewReader(""), &out, &errOut); status == 0 {
				t.Errorf("%v succeeded", line)
			}
			for _, foreign := range []string{"arg(s)", "strconv", "invalid syntax", "time: ", "invalid argument", "unknown flag: ",
				"needs an argument", " for \"wgnode"} {
				if strings.Contains(errOut.String(), foreign) {
					t.Errorf("%v says %q, which is a library's word", line, errOut.String())
				}
			}
		}
	}
}
