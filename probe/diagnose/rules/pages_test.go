package rules

import (
	"fmt"
	"regexp"
	"strings"
	"testing"

	"github.com/wgnode/wgnode/probe/diagnose"
	"github.com/wgnode/wgnode/probe/docpage"
)

const madeVerdicts = "go test ./probe/diagnose/rules -run TestVerdictPages"

// classes are the classes in the order of the index, with what they are about.
var classes = []struct {
	class diagnose.Class
	about string
}{
	{diagnose.ClassConfig, "Configuration: keys, endpoints, AllowedIPs"},
	{diagnose.ClassFirewall, "Firewalls: a rule or a program drops packets"},
	{diagnose.ClassRouting, "Routing: packets leave by the wrong route, or have none"},
	{diagnose.ClassDNS, "DNS"},
	{diagnose.ClassNetwork, "Network: what none of these covers, and causes that one host cannot tell apart"},
	{diagnose.ClassNone, "Nothing is wrong"},
}

// codeName is a word in a text that may be a code.
var codeName = regexp.MustCompile(`[a-z0-9]+(?:-[a-z0-9]+)+`)

// linked makes links of the codes in a text, but for the page's own.
func linked(text string, own diagnose.Code) string {
	return codeName.ReplaceAllStringFunc(text, func(name string) string {
		if _, known := diagnose.Code(name).Doc(); !known || diagnose.Code(name) == own {
			return name
		}
		return fmt.Sprintf("[%s](%s.md)", name, name)
	})
}

// prose is a text of a [diagnose.Doc] as Markdown: paragraphs, and commands between fences.
func prose(text string, own diagnose.Code) string {
	var b strings.Builder
	fenced := false
	for line := range strings.SplitSeq(text, "\n") {
		command, isCommand := strings.CutPrefix(line, "  ")
		switch {
		case isCommand && !fenced:
			b.WriteString("```text\n")
		case !isCommand && fenced:
			b.WriteString("```\n\n")
		}
		fenced = isCommand
		switch {
		case isCommand:
			b.WriteString(command + "\n")
		case line != "":
			b.WriteString(linked(strings.NewReplacer("<", "&lt;", "*", `\*`, "_", `\_`).Replace(line), own) + "\n\n")
		}
	}
	if fenced {
		b.WriteString("```\n\n")
	}
	return b.String()
}

// verdictPage is the page of one code.
func verdictPage(c diagnose.Code) string {
	doc, _ := c.Doc()
	var b strings.Builder
	fmt.Fprintf(&b, "# %s\n\n%s", c, docpage.Made(madeVerdicts))
	fmt.Fprintf(&b, "**%s.** Class [%s](README.md#%s).", strings.ToUpper(doc.Title[:1])+doc.Title[1:], c.Class(), anchor(c.Class()))
	var missing []string
	for _, cp := range Checkpoints(c) {
		missing = append(missing, fmt.Sprintf("%s (%s)", cp, cp.Text()))
	}
	if len(missing) > 0 {
		fmt.Fprintf(&b, " The missing [checkpoint](../checkpoints.md): %s.", strings.Join(missing, ", or "))
	}
	b.WriteString("\n\n## What it means\n\n" + prose(doc.Meaning, c))
	b.WriteString("## What passes, and what does not\n\n" + prose(doc.Wire, c))
	b.WriteString("## What looks the same, and how to tell it apart\n\n| verdict | check |\n|---|---|\n")
	for _, other := range doc.Alike {
		fmt.Fprintf(&b, "| [%s](%s.md) | %s |\n", other.Code, other.Code, docpage.Cell(strings.ReplaceAll(other.Check, "*", `\*`)))
	}
	b.WriteString("\n## What to do\n\n" + prose(doc.Mend, c))
	fmt.Fprintf(&b, "In a terminal: `wgnode help %s`. All verdicts: [index](README.md).\n", c)
	return b.String()
}

// anchor is that of the heading of a class.
func anchor(c diagnose.Class) string { return string(c) }

// verdictIndex lists all codes by class.
func verdictIndex() string {
	var b strings.Builder
	b.WriteString("# Verdicts\n\n" + docpage.Made(madeVerdicts))
	b.WriteString("`wgnode explain`, `doctor` and `merge` end in a verdict: a code, the checkpoint that was not passed, the place,\n")
	b.WriteString("whether it is certain, its evidence, and what to do. A verdict claims no more than its evidence shows. Where one\n")
	b.WriteString("host cannot tell two causes apart it is a general code, not certain, and lists the possible causes with the check\n")
	b.WriteString("for each. In commands, NAME is the tunnel's interface, KEY a public key, PREFIX an address with a length.\n")
	for _, k := range classes {
		fmt.Fprintf(&b, "\n## %s\n\n%s.\n\n| verdict | |\n|---|---|\n", k.class, k.about)
		for _, c := range diagnose.Codes() {
			if doc, _ := c.Doc(); c.Class() == k.class {
				fmt.Fprintf(&b, "| [%s](%s.md) | %s |\n", c, c, docpage.Cell(doc.Title))
			}
		}
	}
	return b.String()
}

// The pages of all verdicts, made of their declarations.
func TestVerdictPages(t *testing.T) {
	pages := map[string]string{"README.md": verdictIndex()}
	for _, c := range diagnose.Codes() {
		pages[string(c)+".md"] = verdictPage(c)
		if !strings.Contains(pages["README.md"], "("+string(c)+".md)") {
			t.Errorf("%s is in no class of the index", c)
		}
	}
	docpage.CheckFolder(t, "verdicts", pages)
}
