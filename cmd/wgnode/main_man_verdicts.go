//go:build man

package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/wgnode/wgnode/probe"
	"github.com/wgnode/wgnode/probe/diagnose"
	"github.com/wgnode/wgnode/probe/diagnose/rules"
)

// verdictsPage writes wgnode-verdicts(7) into dir: what every code means.
func verdictsPage(dir string) error {
	date := time.Now()
	if epoch := os.Getenv("SOURCE_DATE_EPOCH"); epoch != "" {
		seconds, err := strconv.ParseInt(epoch, 10, 64)
		if err != nil {
			return fmt.Errorf("read SOURCE_DATE_EPOCH: %w", err)
		}
		date = time.Unix(seconds, 0)
	}
	var p page
	fmt.Fprintf(&p, ".TH \"WGNODE\\-VERDICTS\" \"7\" \"%s\" \"wgnode\" \"wgnode\"\n", date.UTC().Format("Jan 2006"))
	p.section("NAME")
	p.text("wgnode-verdicts - what the verdicts of wgnode mean, and how to fix what they name")
	p.section("DESCRIPTION")
	p.text(verdictsIntro)
	p.section("CHECKPOINTS")
	p.text(checkpointsIntro)
	for _, cp := range probe.Checkpoints("") {
		p.term(cp.String(), cp.Text())
	}
	p.section("VERDICTS")
	for _, c := range diagnose.Codes() {
		p.code(c)
	}
	p.section("SEE ALSO")
	p.text("wgnode(8), wgnode-explain(8), wgnode-doctor(8), wgnode-merge(8), wg(8)")
	return os.WriteFile(filepath.Join(dir, "wgnode-verdicts.7"), []byte(p.String()), 0o644)
}

const verdictsIntro = `wgnode explain, doctor and merge end in a verdict: a code, the checkpoint that was not
passed, the place, whether it is certain, its evidence, and what to do. The codes are below,
in the order in which a packet meets them; the last ones are findings of doctor, which need
not hurt now. The same text is printed by wgnode explain CODE and by wgnode help CODE.

A verdict claims no more than its evidence shows. Where one host cannot tell two causes
apart it is a general code, not certain, and lists the possible causes with the check for
each. Each code belongs to a class: config, firewall, routing, dns, network (what none of
these covers, or not known), none (nothing is wrong).

In commands, NAME is the tunnel's interface, KEY a public key, PREFIX an address with a
length.`

const checkpointsIntro = `The host that sends the first packet of a flow is side A, the other is side B. On A a
packet passes the checkpoints A1 to A6, on B those from B1 to B8. B5 and B6 do not exist
where the destination is B itself; A2, A3, B1 and B2 are not needed while a session is up.

The UDP payload of a handshake initiation has 148 bytes, of a response 92, of a cookie
reply 64, of a keepalive 32. That of encrypted data has 32 bytes more than the packet in
it, whose length is padded to a multiple of 16.`

// page is a manual page in the language of man(7).
type page struct{ strings.Builder }

func (p *page) section(name string) { fmt.Fprintf(p, ".SH %s\n", name) }

// code writes the part about one code.
func (p *page) code(c diagnose.Code) {
	doc, _ := c.Doc()
	fmt.Fprintf(p, ".SS %s\n", roff(string(c)))
	p.text(fmt.Sprintf("Class %s: %s.", c.Class(), doc.Title))
	var missing []string
	for _, cp := range rules.Checkpoints(c) {
		missing = append(missing, cp.String())
	}
	if len(missing) > 0 {
		p.text("The missing checkpoint: " + strings.Join(missing, " or ") + ".")
	}
	p.text(doc.Meaning)
	p.labeled("What passes and what does not:", doc.Wire)
	p.labeled("What looks the same at first:", "")
	for _, other := range doc.Alike {
		p.term(string(other.Code), other.Check)
	}
	p.labeled("What to do:", doc.Mend)
}

// term writes one line of a list of terms.
func (p *page) term(name, text string) { fmt.Fprintf(p, ".TP\n.B %s\n%s\n", roff(name), roff(text)) }

// labeled writes a text below a label of its own line.
func (p *page) labeled(label, text string) {
	fmt.Fprintf(p, ".PP\n.I %s\n.br\n", roff(label))
	if text != "" {
		p.lines(text)
	}
}

// text writes paragraphs.
func (p *page) text(text string) {
	p.WriteString(".PP\n")
	p.lines(text)
}

// lines writes the lines of a text of a [diagnose.Doc]: an empty one begins a paragraph,
// those that are set in stay as they are.
func (p *page) lines(text string) {
	set := false
	for line := range strings.SplitSeq(text, "\n") {
		command, isCommand := strings.CutPrefix(line, "  ")
		switch {
		case isCommand && !set:
			p.WriteString(".RS 4\n.nf\n")
		case !isCommand && set:
			p.WriteString(".fi\n.RE\n")
		}
		set = isCommand
		switch {
		case line == "":
			p.WriteString(".PP\n")
		default:
			p.WriteString(roff(command) + "\n")
		}
	}
	if set {
		p.WriteString(".fi\n.RE\n")
	}
}

// roff escapes a line: what it is told apart by in man(7) stays text, and a hyphen is one
// that can be copied.
func roff(line string) string {
	line = strings.NewReplacer(`\`, `\e`, `-`, `\-`, `'`, `\(aq`, "`", `\(ga`).Replace(line)
	if strings.HasPrefix(line, ".") {
		line = `\&` + line
	}
	return line
}
