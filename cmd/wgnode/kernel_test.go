package main

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"github.com/spf13/cobra"

	"github.com/wgnode/wgnode/node/control"
	"github.com/wgnode/wgnode/probe"
	"github.com/wgnode/wgnode/probe/host/kernelwg"
)

// A word that names no tunnel is told from the beginning of a filter.
func TestNoTunnelAmong(t *testing.T) {
	several := &severalError{[]string{"wg0", "wg1"}}
	for _, c := range []struct {
		words string
		err   error
		says  string // in the error; "": it is a filter
		hint  string
	}{
		{words: "nope", err: several, says: "there is no tunnel nope; running: wg0, wg1"},
		{words: "wg7 tcp", err: several, says: "there is no tunnel wg7;"},
		{words: "wg7", says: `unknown word "wg7"`, hint: "not the name of a tunnel either; running: wg0, wg1"},
		{words: "wg7", err: errNoNode, says: errNoNode.Error()},
		{words: "tcp"}, {words: "tcp port"}, {words: "peer"}, {words: "peer alice"}, {words: "not dropped"}, {words: "A4"},
		{words: "10.0.0.1"}, {words: "TC_EGRESS"}, {words: "reason TC_EGRESS"}, {words: "not"},
	} {
		words := strings.Fields(c.words)
		if beginsFilter(words) != (c.says == "") {
			t.Errorf("%q: is it a filter?", c.words)
		}
		if c.says == "" {
			continue
		}
		err := noTunnelAmong(newWatchCommand(), c.err, words, several.names)
		if err == nil || !strings.Contains(err.Error(), c.says) || !strings.Contains(strings.Join(hints(err), "\n"), c.hint) {
			t.Errorf("%q: %v, %q", c.words, err, hints(err))
		}
	}
}

// How much can be seen is said, and why not all.
func TestSayLevel(t *testing.T) {
	var out bytes.Buffer
	cmd := &cobra.Command{}
	cmd.SetErr(&out)
	for _, s := range []control.Status{{Interface: "wg0", Level: probe.LevelExact},
		{Interface: "wg1", Level: probe.LevelCapture, Less: "for a reason"}} {
		if err := sayLevel(cmd, &s); err != nil {
			t.Fatal(err)
		}
	}
	const want = "wgnode: wg0 is the kernel's WireGuard: looking at level exact, with what `wgnode monitor` keeps\n" +
		"wgnode: wg1 is the kernel's WireGuard: looking at level capture, with what `wgnode monitor` keeps\n" +
		"wgnode: note: for a reason\n"
	if out.String() != want {
		t.Errorf("got %s", &out)
	}
}

// Who may not look is told what it takes; other errors have no such advice.
func TestKernelError(t *testing.T) {
	cmd := &cobra.Command{Use: "watch"}
	if lines := hints(kernelError(cmd, kernelwg.ErrCopies)); len(lines) == 0 || !strings.Contains(lines[0], "CAP_NET_RAW") {
		t.Errorf("got %q", lines)
	}
	if lines := hints(kernelError(cmd, errors.New("something else"))); len(lines) > 0 {
		t.Errorf("got %q", lines)
	}
}
