package evidence

import "fmt"

// Known says how a piece of evidence is known, and with that who could have forged it.
type Known string

// The kinds. The first three prove something; of the others no verdict is certain.
const (
	// Authenticated: decrypted, or authenticated otherwise, with a key of a session or of
	// both ends.
	Authenticated Known = "authenticated"
	// Kernel: this host's own kernel, configuration, or node has it: a rule, a route, a
	// drop with its reason, an errno, a packet that was sent.
	Kernel Known = "kernel"
	// Secret: it has what only the far end, or a host on the path, could know: an index or
	// counter of a message of ours.
	Secret Known = "secret"
	// Claimed: a message that nothing authenticates says so. Anybody could have sent it.
	Claimed Known = "claimed"
	// Inferred: from what is missing, from its time, or from its order.
	Inferred Known = "inferred"
)

// Proves reports whether nobody who is off the path can have forged evidence of this kind.
func (k Known) Proves() bool { return k == Authenticated || k == Kernel || k == Secret }

// Line is a piece of evidence in words.
type Line struct {
	Text  string
	Known Known
	// Decides: without it the verdict would be another. Other lines are told beside it.
	Decides bool
}

// String is the line's text.
func (l Line) String() string { return l.Text }

// Says is a line that decides nothing, formatted as fmt.Sprintf does.
func (k Known) Says(format string, args ...any) Line {
	return Line{Text: fmt.Sprintf(format, args...), Known: k}
}

// Decides is a line that the verdict rests on, formatted as fmt.Sprintf does.
func (k Known) Decides(format string, args ...any) Line {
	return Line{Text: fmt.Sprintf(format, args...), Known: k, Decides: true}
}

// Each makes lines of several texts, which decide nothing.
func (k Known) Each(texts []string) []Line {
	lines := make([]Line, len(texts))
	for i, s := range texts {
		lines[i] = k.Says("%s", s)
	}
	return lines
}

// Certain reports whether the lines prove what rests on them: some decide, and all that
// do are of a kind that proves.
func Certain(lines []Line) bool {
	decided := false
	for _, l := range lines {
		if l.Decides && !l.Known.Proves() {
			return false
		}
		decided = decided || l.Decides
	}
	return decided
}

// Texts are the texts of lines.
func Texts(lines []Line) []string {
	texts := make([]string, len(lines))
	for i, l := range lines {
		texts[i] = l.Text
	}
	return texts
}
