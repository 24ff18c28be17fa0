package cli

import (
	"bytes"
	"fmt"
	"io"
	"net/netip"
	"strings"
)

// manyLines is how many lines about routes that are alike are told one by one.
const manyLines = 20

// FoldedLines passes lines on. Of more than manyLines routes in a row, as a hub with many peers
// has them, it makes one line. What it has back flush writes; who has no more to write calls it.
type FoldedLines struct {
	To    io.Writer
	alike string // what the lines that are held have in common, "" if none are
	held  []string
}

// Write implements [io.Writer]. It takes whole lines.
func (f *FoldedLines) Write(b []byte) (int, error) {
	for line := range bytes.Lines(b) {
		alike, _ := routeLine(string(line))
		if alike != f.alike {
			if err := f.Flush(); err != nil {
				return 0, err
			}
		}
		if alike == "" {
			if _, err := f.To.Write(line); err != nil {
				return 0, err
			}
			continue
		}
		f.alike = alike
		f.held = append(f.held, string(line))
	}
	return len(b), nil
}

// Flush writes what is held.
func (f *FoldedLines) Flush() error {
	text := strings.Join(f.held, "")
	if n := len(f.held); n > manyLines {
		_, first := routeLine(f.held[0])
		_, last := routeLine(f.held[n-1])
		text = fmt.Sprintf("%s  # %d prefixes, from %s to %s; --verbose prints each\n", f.alike, n, first, last)
	}
	f.alike, f.held = "", nil
	if text == "" {
		return nil
	}
	_, err := io.WriteString(f.To, text)
	return err
}

// routeLine takes a line about a route apart: what it has in common with others, and the prefix.
// alike is "" for other lines, and for one that says why.
func routeLine(line string) (alike, prefix string) {
	words := strings.Fields(line)
	if len(words) < 5 || words[0] != "[#]" || words[1] != "ip" || words[3] != "route" {
		return "", ""
	}
	for i, w := range words {
		if _, err := netip.ParsePrefix(w); err == nil && prefix == "" {
			prefix, words[i] = w, "PREFIX"
		}
	}
	if prefix == "" || strings.Contains(strings.Join(words[1:], " "), "#") {
		return "", ""
	}
	return strings.Join(words, " "), prefix
}

// QuietLines passes on what is wrong, and not what is done.
type QuietLines struct{ To io.Writer }

// Write takes whole lines.
func (q *QuietLines) Write(b []byte) (int, error) {
	for line := range strings.Lines(string(b)) {
		if strings.HasPrefix(line, "[#]") {
			continue
		}
		if _, err := io.WriteString(q.To, line); err != nil {
			return 0, err
		}
	}
	return len(b), nil
}
