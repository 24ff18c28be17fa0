package traffic

import (
	"strings"
	"testing"

	"github.com/wgnode/wgnode/cmd/internal/cli"
	"github.com/wgnode/wgnode/cmd/internal/naming"
)

// A word that names no tunnel is told from the beginning of a filter.
func TestNoTunnelAmong(t *testing.T) {
	several := &naming.SeveralError{Names: []string{"wg0", "wg1"}}
	for _, c := range []struct {
		words string
		err   error
		says  string // in the error; "": it is a filter
		hint  string
	}{
		{words: "nope", err: several, says: "there is no tunnel nope; running: wg0, wg1"},
		{words: "wg7 tcp", err: several, says: "there is no tunnel wg7;"},
		{words: "wg7", says: `unknown word "wg7"`, hint: "not the name of a tunnel either; running: wg0, wg1"},
		{words: "wg7", err: naming.ErrNoNode, says: naming.ErrNoNode.Error()},
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
		err := noTunnelAmong(NewWatchCommand(), c.err, words, several.Names)
		if err == nil || !strings.Contains(err.Error(), c.says) || !strings.Contains(strings.Join(cli.Hints(err), "\n"), c.hint) {
			t.Errorf("%q: %v, %q", c.words, err, cli.Hints(err))
		}
	}
}
