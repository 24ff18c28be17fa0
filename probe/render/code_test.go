package render_test

import (
	"strings"
	"testing"

	"github.com/wgnode/wgnode/probe"
	"github.com/wgnode/wgnode/probe/diagnose"
	"github.com/wgnode/wgnode/probe/render"
)

func TestCode(t *testing.T) {
	doc := diagnose.Doc{Title: "the keys differ", Meaning: "A response arrived, and it cannot be decrypted.\n\nBoth are right.",
		Wire: "All of it.", Alike: []diagnose.Candidate{{Code: diagnose.NoResponse,
			Check: "nothing comes back, however long one waits for it, and so on"}},
		Mend: "Compare them on both:\n  wg show NAME preshared-keys which is not wrapped however long it is\nThen go on."}
	want := `psk-mismatch (config): the keys differ

Which checkpoint is missing
  A3 handshake response received

What it means
  A response arrived, and it cannot be
  decrypted.

  Both are right.

What passes and what does not
  All of it.

What looks the same at first
  - no-response: nothing comes back, however
    long one waits for it, and so on

What to do
  Compare them on both:
    wg show NAME preshared-keys which is not wrapped however long it is
  Then go on.
`
	var b strings.Builder
	if err := render.Code(&b, diagnose.PSKMismatch, &doc, []probe.Checkpoint{probe.A3}, render.Options{Width: 48}); err != nil {
		t.Fatal(err)
	}
	if b.String() != want {
		t.Errorf("got:\n%s\nwant:\n%s", b.String(), want)
	}
}

// The text of every code fits a terminal, the commands as well.
func TestEveryCodeFits(t *testing.T) {
	for _, c := range diagnose.Codes() {
		doc, _ := c.Doc()
		var b strings.Builder
		if err := render.Code(&b, c, &doc, probe.Checkpoints(""), render.Options{}); err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(b.String()) {
			if line = strings.TrimSuffix(line, "\n"); len(line) > 80 {
				t.Errorf("%s: %d columns: %s", c, len(line), line)
			}
			if strings.TrimRight(line, " ") != line {
				t.Errorf("%s: spaces at the end of %q", c, line)
			}
		}
	}
}
