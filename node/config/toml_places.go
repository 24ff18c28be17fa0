package config

import (
	"strings"

	"github.com/BurntSushi/toml"
)

// place says where a value of a TOML text stands. The library that decodes the
// text keeps that to itself, so places finds it again.
type place struct {
	line  int
	keys  map[string]*place // of a table
	items []*place          // of an array, also of one of tables
}

// key returns the place of a key in a table. What is not known to be anywhere
// is where the table is.
func (at *place) key(k string) *place {
	if inner, ok := at.keys[k]; ok {
		return inner
	}
	return &place{line: at.line}
}

// item is [place.key] for an item of an array.
func (at *place) item(i int) *place {
	if i < len(at.items) {
		return at.items[i]
	}
	return &place{line: at.line}
}

// child returns the place of a key, and makes it if there is none yet.
func (at *place) child(k string, line int) *place {
	if len(at.items) > 0 { // [a.b] after [[a]] belongs to the last a
		at = at.items[len(at.items)-1]
	}
	if inner, ok := at.keys[k]; ok {
		return inner
	}
	if at.keys == nil {
		at.keys = make(map[string]*place)
	}
	inner := &place{line: line}
	at.keys[k] = inner
	return inner
}

// places finds where everything stands in text, which must be valid TOML, and
// how many comments there are.
func places(text string) (root *place, comments int) {
	root = &place{line: 1}
	s := placeScanner{rest: text, line: 1}
	table := root
	for s.blank(); s.rest != ""; s.blank() {
		before := len(s.rest)
		if s.skip("[") {
			many := s.skip("[")
			line := s.line
			table = root
			path := s.path()
			for i, k := range path {
				table = table.child(k, line)
				if last := i == len(path)-1; last && many {
					table.items = append(table.items, &place{line: line})
				} else if last {
					table.line = line
				}
			}
			s.skip("]")
			s.skip("]")
		} else {
			s.assignment(table)
		}
		if len(s.rest) == before { // not TOML after all: the rest has no places
			break
		}
	}
	return root, len(s.said)
}

// placeScanner walks through a text. What it skips it does not judge.
type placeScanner struct {
	rest string
	line int      // of what begins rest
	said []string // comments
}

// take removes the next n bytes from the rest and returns them.
func (s *placeScanner) take(n int) string {
	taken := s.rest[:n]
	s.line += strings.Count(taken, "\n")
	s.rest = s.rest[n:]
	return taken
}

// skip takes prefix, if it is next.
func (s *placeScanner) skip(prefix string) bool {
	if !strings.HasPrefix(s.rest, prefix) {
		return false
	}
	s.take(len(prefix))
	return true
}

// takeUntil takes what comes before any of chars.
func (s *placeScanner) takeUntil(chars string) string {
	n := strings.IndexAny(s.rest, chars)
	if n < 0 {
		n = len(s.rest)
	}
	return s.take(n)
}

// blank takes white space, line breaks and comments.
func (s *placeScanner) blank() {
	for {
		s.take(len(s.rest) - len(strings.TrimLeft(s.rest, " \t\r\n")))
		if !strings.HasPrefix(s.rest, "#") {
			return
		}
		s.said = append(s.said, strings.TrimRight(s.takeUntil("\n"), "\r"))
	}
}

// path takes a key, which may have dots in it.
func (s *placeScanner) path() []string {
	var path []string
	for {
		s.blank()
		switch {
		case strings.HasPrefix(s.rest, `"`), strings.HasPrefix(s.rest, `'`):
			path = append(path, unquoteKey(s.text()))
		default:
			path = append(path, s.takeUntil(" \t\r\n.=]#"))
		}
		s.blank()
		if !s.skip(".") {
			return path
		}
	}
}

// unquoteKey leaves the rules of escapes to the library.
func unquoteKey(quoted string) string {
	var v struct{ K string }
	if _, err := toml.Decode("K = "+quoted, &v); err != nil {
		return quoted
	}
	return v.K
}

// assignment takes KEY = VALUE.
func (s *placeScanner) assignment(table *place) {
	line := s.line
	at := table
	for _, k := range s.path() {
		at = at.child(k, line)
	}
	s.skip("=")
	s.blank()
	s.value(at)
}

func (s *placeScanner) value(at *place) {
	switch {
	case strings.HasPrefix(s.rest, `"`), strings.HasPrefix(s.rest, `'`):
		s.text()
	case s.skip("["):
		for s.blank(); s.rest != "" && !s.skip("]"); s.blank() {
			item := &place{line: s.line}
			at.items = append(at.items, item)
			before := len(s.rest)
			s.value(item)
			s.blank()
			if !s.skip(",") && len(s.rest) == before {
				return
			}
		}
	case s.skip("{"):
		for s.blank(); s.rest != "" && !s.skip("}"); s.blank() {
			before := len(s.rest)
			s.assignment(at)
			s.blank()
			if !s.skip(",") && len(s.rest) == before {
				return
			}
		}
	default:
		s.takeUntil(",]}#\r\n")
	}
}

// text takes a string of any of the four kinds and returns it with its quotes.
func (s *placeScanner) text() string {
	quote := s.rest[:1]
	if long := strings.Repeat(quote, 3); strings.HasPrefix(s.rest, long) {
		quote = long
	}
	n := len(quote)
	for n < len(s.rest) && !strings.HasPrefix(s.rest[n:], quote) {
		if s.rest[n] == '\\' && quote[0] == '"' {
			n++
		}
		n++
	}
	n += len(quote)
	// Up to two quotes more may stand right before the closing three.
	for len(quote) == 3 && n < len(s.rest) && s.rest[n] == quote[0] {
		n++
	}
	return s.take(min(n, len(s.rest)))
}
