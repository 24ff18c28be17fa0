package config

import (
	"slices"
	"strconv"
	"strings"
)

// A file as it was written, in pieces that can be changed one by one: what the
// pieces of a text say together is the text.

// piece is a line of a file, or several that belong together.
type piece struct {
	kind pieceKind
	key  string // of an assignment, in lower case
	text string // with the end of its line
	// remarks are the comments inside of an assignment; the last may follow it on its
	// line.
	remarks []string
	line    int // the first
}

type pieceKind int

const (
	pieceOther  pieceKind = iota // a comment, or nothing
	pieceHeader                  // of a section
	pieceAssign
)

// isComment and isBlank tell the two kinds of pieceOther.
func (p *piece) isComment() bool { return p.kind == pieceOther && trim(p.text) != "" }
func (p *piece) isBlank() bool   { return p.kind == pieceOther && trim(p.text) == "" }

// part is a section of a file.
type part struct {
	id   string  // what it is of, see idOf; "" for what comes before the first
	lead []piece // comments right above the header
	head piece
	body []piece
}

func (p *part) write(b *strings.Builder) {
	for _, x := range p.lead {
		b.WriteString(x.text)
	}
	b.WriteString(p.head.text)
	for _, x := range p.body {
		b.WriteString(x.text)
	}
}

// values returns what the part's keys are assigned, by key.
func (p *part) values() map[string][]piece {
	m := make(map[string][]piece)
	for _, x := range p.body {
		if x.kind == pieceAssign {
			m[x.key] = append(m[x.key], x)
		}
	}
	return m
}

// splitConf takes a .conf apart.
func splitConf(text string) []piece {
	var pieces []piece
	lineNo := 0
	for line := range strings.Lines(text) {
		lineNo++
		p := piece{text: line, line: lineNo}
		stripped, remark, commented := strings.Cut(line, "#")
		name, _, assigned := strings.Cut(stripped, "=")
		switch stripped = trim(stripped); {
		case stripped == "":
		case stripped[0] == '[':
			p.kind, p.key = pieceHeader, strings.ToLower(squeeze(stripped))
		case assigned:
			p.kind, p.key = pieceAssign, strings.ToLower(squeeze(name))
			if i := indexOf(interfaceKeys, p.key); i >= 0 && interfaceKeys[i].hook {
				commented = false // it is said to bash
			}
		}
		if commented && p.kind != pieceOther {
			p.remarks = []string{"#" + strings.TrimRight(remark, "\r\n")}
		}
		pieces = append(pieces, p)
	}
	return pieces
}

// splitTOML takes a .toml apart, which must be valid.
func splitTOML(text string) []piece {
	var pieces []piece
	s := placeScanner{rest: text, line: 1}
	for s.rest != "" {
		whole, line, said := s.rest, s.line, len(s.said)
		p := piece{line: line}
		s.take(len(s.rest) - len(strings.TrimLeft(s.rest, " \t\r")))
		switch {
		case s.rest == "" || s.rest[0] == '\n' || s.rest[0] == '#':
		case s.skip("["):
			s.skip("[")
			p.kind, p.key = pieceHeader, strings.Join(s.path(), ".")
		default:
			p.kind, p.key = pieceAssign, strings.Join(s.path(), ".")
			s.skip("=")
			s.blank()
			s.value(&place{})
			if after := strings.TrimLeft(s.rest, " \t"); strings.HasPrefix(after, "#") {
				s.blank()
			}
		}
		p.remarks = append(p.remarks, s.said[said:]...)
		s.takeUntil("\n")
		s.skip("\n")
		p.text = whole[:len(whole)-len(s.rest)]
		pieces = append(pieces, p)
	}
	return pieces
}

// parts groups pieces into sections. idOf names a section by its header.
func parts(pieces []piece, idOf func(header string) string) []part {
	all := []part{{}}
	for _, p := range pieces {
		now := &all[len(all)-1]
		if p.kind != pieceHeader {
			now.body = append(now.body, p)
			continue
		}
		from := len(now.body)
		for from > 0 && now.body[from-1].isComment() && !endsPeer(now.body[from-1].text) {
			from--
		}
		lead := slices.Clone(now.body[from:])
		now.body = now.body[:from]
		all = append(all, part{id: idOf(p.key), lead: lead, head: p})
	}
	return all
}

// endsPeer reports whether a comment is one by which generators end a peer.
func endsPeer(comment string) bool {
	words := strings.Fields(strings.Trim(trim(comment), "#"))
	return len(words) > 1 && (words[0] == "END_PEER" || words[0] == "end" || words[len(words)-1] == "end")
}

// numbered returns an idOf that counts the headers of each name, and names the peers by
// their keys.
func numbered(c *Config, shared bool) func(header string) string {
	count := make(map[string]int)
	var peers []string
	for i := range c.Peers {
		if p := &c.Peers[i]; shared || !p.Shared {
			peers = append(peers, p.PublicKey.Base64())
		}
	}
	return func(header string) string {
		n := count[header]
		count[header]++
		if strings.Trim(header, "[]") == "peer" && n < len(peers) {
			return "peer " + peers[n]
		}
		return header + " " + strconv.Itoa(n)
	}
}
