package traffic

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"
	"unicode/utf8"

	"golang.org/x/term"

	"github.com/wgnode/wgnode/cmd/internal/cli"
	"github.com/wgnode/wgnode/node/droplist"
	"github.com/wgnode/wgnode/probe/eventtext"
)

// dropWord tells what is proven from what is only a hint.
func dropWord(r *droplist.Row) (string, eventtext.Style) {
	if r.Proven {
		return "drop", eventtext.Red
	}
	return "hint", eventtext.Yellow
}

// dropCount is how many packets a row has; the filter may not have seen all.
func dropCount(r *droplist.Row) string {
	if r.AtLeast {
		return fmt.Sprintf("%d+", r.Count)
	}
	return fmt.Sprint(r.Count)
}

// dropLines prints a line for each packet that is reported, and one for a row whose count has
// grown without. It implements droplist.Taker.
type dropLines struct {
	out     io.Writer
	json    bool
	opt     eventtext.Options
	printed map[*droplist.Row]uint64 // the count in the latest line
}

func newDropLines(out io.Writer, asJSON bool, opt eventtext.Options) *dropLines {
	return &dropLines{out: out, json: asJSON, opt: opt, printed: make(map[*droplist.Row]uint64)}
}

// Drop implements droplist.Taker.
func (l *dropLines) Drop(r *droplist.Row) error {
	l.printed[r] = r.Count
	var line []byte
	if l.json {
		var err error
		if line, err = json.Marshal(r); err != nil {
			return fmt.Errorf("print drops: %w", err)
		}
	} else {
		line = l.text(r)
	}
	if _, err := l.out.Write(append(line, '\n')); err != nil {
		return fmt.Errorf("print drops: %w", err)
	}
	return nil
}

// Second implements droplist.Taker.
func (l *dropLines) Second(rows []*droplist.Row, _ uint64) error {
	for _, r := range rows {
		if r.Count != l.printed[r] {
			if err := l.Drop(r); err != nil {
				return err
			}
		}
	}
	return nil
}

func (l *dropLines) text(r *droplist.Row) []byte {
	opt := &l.opt
	line := opt.AppendClock(nil, r.Time)
	word, style := dropWord(r)
	line = append(line, fmt.Sprintf(" %s ", r.Segment)...)
	line = opt.Paint(line, style, word)
	line = append(line, ' ')
	line = opt.Paint(line, eventtext.Bold, opt.Escape(r.Reason))
	line = append(line, " "+opt.Escape(r.Where())+": "...)
	if name := r.Packet.PeerName; name != "" {
		line = append(line, opt.Escape(name)+" "...)
	}
	line = append(line, opt.Escape(r.Packet.Detail())...)
	return opt.Paint(line, eventtext.Dim, fmt.Sprintf(" (%s, %.0f/s)", dropCount(r), r.PerSecond))
}

// dropTable keeps a table on a terminal up to date. It implements droplist.Taker.
type dropTable struct {
	out   *os.File
	opt   eventtext.Options
	drawn int // lines
}

func newDropTable(out *os.File, opt eventtext.Options) *dropTable {
	return &dropTable{out: out, opt: opt}
}

// Drop implements droplist.Taker. The table waits for its second.
func (*dropTable) Drop(*droplist.Row) error { return nil }

// Second implements droplist.Taker.
func (t *dropTable) Second(rows []*droplist.Row, lost uint64) error {
	width, height, err := term.GetSize(int(t.out.Fd()))
	if err != nil || width < 1 || height < 1 {
		width, height = cli.HelpWidth, 24
	}
	var b strings.Builder
	if t.drawn > 0 {
		fmt.Fprintf(&b, "\x1b[%dA", t.drawn)
	}
	b.WriteString("\r\x1b[J")
	lines := t.lines(rows, lost, height-1)
	for _, line := range lines {
		b.WriteString(t.fit(line, width-1) + "\n")
	}
	t.drawn = len(lines)
	if _, err := t.out.WriteString(b.String()); err != nil {
		return fmt.Errorf("print drops: %w", err)
	}
	return nil
}

// tableLine is a line of a table, and how it is set off.
type tableLine struct {
	text  string
	style eventtext.Style
}

func (t *dropTable) lines(rows []*droplist.Row, lost uint64, height int) []tableLine {
	if len(rows) == 0 {
		return []tableLine{{"nothing was dropped so far; Ctrl-C ends", eventtext.Dim}}
	}
	const columns = "%9s %7s  %-5s %-4s  %-18s %s"
	all := []tableLine{{fmt.Sprintf(columns, "packets", "a second", "", "", "reason", "where, and the latest"), eventtext.Bold}}
	for i, r := range rows {
		if rest := len(rows) - i; len(all)+2 > height && rest > 1 {
			all = append(all, tableLine{fmt.Sprintf("and %d more rows", rest), eventtext.Dim})
			break
		}
		word, style := dropWord(r)
		latest := strings.TrimSpace(r.Packet.PeerName + " " + r.Packet.Detail())
		all = append(all, tableLine{fmt.Sprintf(columns, dropCount(r), fmt.Sprintf("%.0f", r.PerSecond), r.Segment, word, r.Reason,
			r.Where()+"  "+latest), style})
	}
	if lost > 0 {
		all = append(all, tableLine{fmt.Sprintf("%d reports lost; the counts have them", lost), eventtext.Yellow})
	}
	return all
}

// fit cuts a line to the width of the terminal.
func (t *dropTable) fit(l tableLine, width int) string {
	text := t.opt.Escape(l.text)
	if utf8.RuneCountInString(text) > width {
		text = string([]rune(text)[:max(width, 0)])
	}
	return string(t.opt.Paint(nil, l.style, text))
}
