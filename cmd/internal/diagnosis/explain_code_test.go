package diagnosis

import (
	"strings"
	"testing"

	"github.com/wgnode/wgnode/probe/diagnose"
)

// A code stands alone. With anything that asks for traffic a word is a destination, or
// the name of a tunnel.
func TestCodeArgument(t *testing.T) {
	for _, c := range []struct {
		args string
		code diagnose.Code // "": a destination
	}{
		{args: "psk-mismatch", code: diagnose.PSKMismatch},
		{args: "--json idle", code: diagnose.Idle},
		{args: "wg0 idle"},
		{args: "idle 10.0.0.2"},
		{args: "idle:80"},
		{args: "idle --passive"},
		{args: "-r wg0.pcapng idle"},
		{args: "192.0.2.1"},
	} {
		cmd := NewExplainCommand()
		if err := cmd.ParseFlags(strings.Fields(c.args)); err != nil {
			t.Fatal(err)
		}
		code, ok := codeArgument(cmd, cmd.Flags().Args())
		if ok != (c.code != "") || ok && code != c.code {
			t.Errorf("%s: %q, %v; want %q", c.args, code, ok, c.code)
		}
	}
}
