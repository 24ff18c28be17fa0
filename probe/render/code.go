package render

import (
	"io"
	"strings"

	"github.com/wgnode/wgnode/probe"
	"github.com/wgnode/wgnode/probe/diagnose"
)

// Code writes what there is to know about a code as text; missing are the checkpoints that
// its verdicts may name. The error is that of w.
func Code(w io.Writer, c diagnose.Code, doc *diagnose.Doc, missing []probe.Checkpoint, opt Options) error {
	t := text{opt: &opt}
	t.put(bold, string(c))
	t.put(plain, " ("+string(c.Class())+"): ")
	t.wrap(plain, doc.Title, 2, "")
	t.section("Which checkpoint is missing", len(missing), 0)
	for _, cp := range missing {
		t.to(2)
		t.put(bold, cp.String())
		t.put(plain, " "+cp.Text())
		t.newline()
	}
	for _, s := range []struct{ heading, body string }{
		{heading: "What it means", body: doc.Meaning},
		{heading: "What passes and what does not", body: doc.Wire},
	} {
		t.section(s.heading, 1, 0)
		t.paragraphs(s.body, 2)
	}
	t.section("What looks the same at first", len(doc.Alike), 0)
	for _, other := range doc.Alike {
		t.to(2)
		t.put(plain, "- ")
		t.put(bold, string(other.Code))
		t.put(plain, ": ")
		t.wrap(plain, other.Check, 4, "")
	}
	t.section("What to do", 1, 0)
	t.paragraphs(doc.Mend, 2)
	return t.writeTo(w)
}

// paragraphs writes the lines of a text of a [diagnose.Doc].
func (t *text) paragraphs(body string, indent int) {
	for line := range strings.SplitSeq(body, "\n") {
		command, isCommand := strings.CutPrefix(line, "  ")
		switch {
		case isCommand:
			t.to(indent + 2)
			t.put(cyan, command)
			t.newline()
		case line == "":
			t.newline()
		default:
			t.to(indent)
			t.wrap(plain, line, indent, "")
		}
	}
}
