package diagnose

import (
	"slices"
	"strings"
)

// Doc is what a person needs to know about a code. Each line of its texts is a
// paragraph, or, if it begins with two spaces, a command to be shown as it is.
type Doc struct {
	Title   string      `json:"title"`   // a few words, without a period
	Meaning string      `json:"meaning"` // what the verdict claims, and what it rests on; lines as in mend
	Wire    string      `json:"wire"`    // which messages and packets pass, and which do not; lines as in mend
	Alike   []Candidate `json:"alike"`   // other codes that look the same at first, each with what sets it apart
	Mend    string      `json:"mend"`    // what to do: each line is a paragraph, or a command if it begins with two spaces
}

// declaration is all that is known of a code beside the rule that finds it.
type declaration struct {
	Code  Code
	Class Class
	Doc   Doc
}

// declarations holds every code, in the order of the manual.
var declarations = slices.Concat(declaredNone, declaredSending, declaredHandshake, declaredBehind, declaredReply, declaredKernel,
	declaredFindings)

func (c Code) declaration() *declaration {
	for i := range declarations {
		if declarations[i].Code == c {
			return &declarations[i]
		}
	}
	return nil
}

// Class returns the class of c, [ClassNetwork] for a code of another version.
func (c Code) Class() Class {
	if d := c.declaration(); d != nil {
		return d.Class
	}
	return ClassNetwork
}

// Doc returns what there is to know about c; ok is false for a code of another version.
func (c Code) Doc() (doc Doc, ok bool) {
	d := c.declaration()
	if d == nil {
		return Doc{}, false
	}
	doc = d.Doc
	for _, text := range []*string{&doc.Meaning, &doc.Wire, &doc.Mend} {
		*text = unwrap(*text)
	}
	return doc, true
}

// unwrap joins the lines of each paragraph of a text that was written for this source.
// Empty lines part paragraphs, and stay.
func unwrap(text string) string {
	var lines []string
	open := false // the last line is a paragraph that goes on
	for line := range strings.SplitSeq(text, "\n") {
		prose := line != "" && !strings.HasPrefix(line, "  ")
		if open && prose {
			lines[len(lines)-1] += " " + line
		} else {
			lines = append(lines, line)
		}
		open = prose
	}
	return strings.Join(lines, "\n")
}

// Codes returns every code, in the order of the manual.
func Codes() []Code {
	all := make([]Code, len(declarations))
	for i := range declarations {
		all[i] = declarations[i].Code
	}
	return all
}
