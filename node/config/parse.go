package config

import (
	"fmt"
	"io"
	"net/netip"
	"path/filepath"
	"slices"
	"strings"
	"unicode"

	"github.com/wgnode/wgnode/probe/key"
)

// maxSize bounds a file, in bytes. A hundred thousand peers fit.
const maxSize = 32 << 20

// Parse reads a configuration from r. The path is used for messages and, if it
// ends in NAME.conf, for the interface's name; no file is opened. The error is
// an [Errors] if the text is at fault, and else the error of r.
func Parse(r io.Reader, path string) (*Config, error) { return parse(r, path, false) }

func parse(r io.Reader, path string, wgOnly bool) (*Config, error) {
	text, err := readAll(r, path)
	if err != nil {
		return nil, err
	}

	c := &Config{Path: path, Name: strings.TrimSuffix(filepath.Base(path), ".conf")}
	if path == "" {
		c.Name = ""
	}
	p := parser{cfg: c, wgOnly: wgOnly}
	return p.parse(text)
}

// parse reads a whole .conf.
func (p *parser) parse(text string) (*Config, error) {
	if isUTF16(text) {
		return nil, Errors{{p.cfg.Path, 1, "", "is UTF-16: save it as UTF-8"}}
	}
	// Windows editors put a byte order mark in front of UTF-8.
	body := strings.TrimPrefix(text, "\ufeff")
	if p.imported || !p.wgOnly && !p.peersOnly && isWireproxy(body) {
		p.wireproxyLines(body)
	} else {
		for line := range strings.SplitSeq(body, "\n") {
			p.lineNo++
			p.line(line)
		}
		nameByComments(body, p.cfg)
	}
	p.finish()
	return p.result()
}

// isUTF16 goes by the byte order mark.
func isUTF16(text string) bool {
	return strings.HasPrefix(text, "\xff\xfe") || strings.HasPrefix(text, "\xfe\xff")
}

// result returns what was read, or else all that is wrong with it.
func (p *parser) result() (*Config, error) {
	if len(p.errs) > 0 {
		slices.SortStableFunc(p.errs, func(a, b *Error) int { return a.Line - b.Line })
		return nil, p.errs
	}
	return p.cfg, nil
}

// parser holds the place in the file. Problems are collected in errs.
type parser struct {
	cfg    *Config
	lineNo int
	errs   Errors

	section section
	peer    *Peer // the last of cfg.Peers while section is inPeer
	wgOnly  bool  // wg-quick's own keys are errors

	peersOnly bool // there may be no [Interface]
	imported  bool // a file of wireproxy's points at this one

	interfaces []int            // the lines of [Interface]
	explained  map[section]bool // sections whose keys were listed in an error
	amnezia    amnezia
}

type section int

const (
	beforeAny section = iota
	inInterface
	inPeer
	inUnknown // after a header that was at fault: its keys are not judged
)

func (p *parser) fail(key, format string, args ...any) {
	p.errs = append(p.errs, &Error{p.cfg.Path, p.lineNo, key, fmt.Sprintf(format, args...)})
}

func (p *parser) warn(line int, key, format string, args ...any) {
	e := Error{p.cfg.Path, line, p.cfg.Spell(key), fmt.Sprintf(format, args...)}
	p.cfg.warnings = append(p.cfg.warnings, Warning{Text: e.Error()})
}

// warnOverlap is warn for peers that get in each other's way.
func (p *parser) warnOverlap(line int, key, format string, args ...any) {
	p.warn(line, key, format, args...)
	w := &p.cfg.warnings[len(p.cfg.warnings)-1]
	w.Kind, w.Fix = WarnOverlap, oneOwner
}

// line takes one line, in the two readings that wg-quick has of it: without
// the comment for everything but the value of a hook.
func (p *parser) line(line string) {
	if strings.ContainsRune(line, 0) {
		p.fail("", "holds a zero byte: not a text file")
		return
	}
	stripped, comment, commented := strings.Cut(line, "#")
	stripped = trim(stripped)
	// A comment that has a line of its own waits for the others, see nameByComments.
	if p.section == inPeer && p.peer.Name == "" && stripped != "" {
		p.peer.Name = peerName(comment)
		commented = commented && p.peer.Name == ""
	}
	if commented {
		p.cfg.comments++
	}
	switch {
	case stripped == "":
	case stripped[0] == '[':
		p.header(squeeze(stripped))
	default:
		name, value, ok := strings.Cut(stripped, "=")
		if !ok {
			p.notAnAssignment(trim(name))
			return
		}
		_, whole, _ := strings.Cut(line, "=")
		p.assign(squeeze(name), trim(value), trim(whole))
	}
}

func (p *parser) header(h string) {
	switch {
	case strings.EqualFold(h, "[Interface]") && p.peersOnly:
		p.section = inUnknown
		p.fail("", "[Interface] belongs in the file of a node; this one is for [Peer] alone")
	case strings.EqualFold(h, "[Interface]"):
		p.section, p.cfg.headed = inInterface, true
		if p.interfaces = append(p.interfaces, p.lineNo); len(p.interfaces) > 1 {
			p.warn(p.lineNo, "", "a second [Interface]: its keys are added to those of the first, in line %d; one file describes one interface",
				p.interfaces[0])
		}
	case strings.EqualFold(h, "[Peer]"):
		p.beginPeer()
	default:
		p.section = inUnknown
		p.fail("", "unknown section %s: there are [Interface] and [Peer]", quote(h))
	}
}

func (p *parser) beginPeer() {
	p.section = inPeer
	p.cfg.Peers = append(p.cfg.Peers, Peer{Line: p.lineNo})
	p.peer = &p.cfg.Peers[len(p.cfg.Peers)-1]
}

func (p *parser) notAnAssignment(s string) {
	if i := slices.IndexFunc(allKeys, func(k string) bool { return strings.EqualFold(k, s) }); i >= 0 {
		p.fail(allKeys[i], "has no value: write %s = VALUE", allKeys[i])
		return
	}
	// "Address: 10.0.0.1" or "Address 10.0.0.1"
	first := strings.FieldsFunc(s, func(r rune) bool { return r == ':' || isSpace(r) })
	if i := slices.IndexFunc(allKeys, func(k string) bool { return len(first) > 0 && strings.EqualFold(k, first[0]) }); i >= 0 {
		p.fail(allKeys[i], "has no equals sign: write %s = VALUE", allKeys[i])
		return
	}
	// What the line holds is not shown: it may be a piece of a key.
	p.fail("", "is not a section, nor KEY = VALUE: if it is a comment, begin it with #")
}

// assign takes one "name = value". The value is without comment, whole is with
// what looks like one.
func (p *parser) assign(name, value, whole string) {
	in, known := interfaceKeys, interfaceNames
	switch p.section {
	case beforeAny:
		p.fail("", "a key before the first section: put [Interface] above it")
		p.section = inUnknown // once is enough
		return
	case inUnknown:
		return
	case inPeer:
		in, known = peerKeys, peerNames
	}
	i := indexOf(in, name)
	if i < 0 && p.amneziaKey(name, value) {
		return
	}
	if i < 0 {
		if value == "" && Nearest(name, known) == "" {
			name = "" // which may be the end of a key, up to its equals sign
		}
		p.misplaced(name, known)
		return
	}
	k := in[i]
	p.remember(k.name) // also if it is malformed: it is not missing then
	switch {
	case p.wgOnly && !k.wg:
		p.fail(k.name, "is a key of wg-quick, not of wg")
		return
	case k.hook:
		if value != whole {
			p.cfg.comments-- // it is not one
		}
		value = whole
	case k.wg:
		value = squeeze(value)
		if value == "" {
			p.fail(k.name, "has no value: write %s = VALUE, or leave the line out", k.name)
			return
		}
	}
	if !k.hook && isQuoted(value) {
		p.fail(k.name, "is in quotation marks: leave them out")
		return
	}
	err := k.set(p, value)
	if several, ok := err.(interface{ Unwrap() []error }); ok {
		for _, err := range several.Unwrap() {
			p.fail(k.name, "%v", err)
		}
	} else if err != nil {
		p.fail(k.name, "%v", err)
	}
}

func isQuoted(v string) bool {
	return len(v) > 1 && v[0] == v[len(v)-1] && (v[0] == '"' || v[0] == '\'')
}

// misplaced reports a key that its section does not have.
func (p *parser) misplaced(name string, known []string) {
	if i := slices.IndexFunc(allKeys, func(k string) bool { return strings.EqualFold(k, name) }); i >= 0 {
		here, there := "[Interface]", "[Peer]"
		if p.section == inPeer {
			here, there = there, here
		}
		p.fail(allKeys[i], "belongs in %s, not in %s", there, here)
		return
	}
	text := unknownKey(name, known)
	if Nearest(name, known) == "" && !p.explained[p.section] {
		if p.explained == nil {
			p.explained = make(map[section]bool)
		}
		p.explained[p.section] = true // once is enough
		if p.wgOnly && p.section == inInterface {
			known = known[:slices.IndexFunc(interfaceKeys, func(k keyword) bool { return !k.wg })]
		}
		text += ": there are " + strings.Join(known, ", ")
	}
	p.fail("", "%s", text)
}

// remember notes the current line for a key of the current section.
func (p *parser) remember(key string) {
	at := &p.cfg.Interface.lines
	switch p.section {
	case inPeer:
		at = &p.peer.lines
	case inUnknown:
		return
	}
	if *at == nil {
		*at = make(lines)
	}
	(*at)[key] = p.lineNo
}

// finish checks what only the whole file can show.
func (p *parser) finish() {
	if i := &p.cfg.Interface; len(i.Search) > 0 && len(i.DNS) == 0 {
		p.warn(i.lines["DNS"], "DNS", "holds only search domains: without a name server they do nothing, as with wg-quick")
	}
	for i := range p.cfg.Peers {
		peer := &p.cfg.Peers[i]
		if _, given := peer.lines["PublicKey"]; !given {
			p.errs = append(p.errs, &Error{p.cfg.Path, peer.Line, "PublicKey", "missing in this [Peer]"})
		}
	}
	p.judgeAmnezia()
	p.warnOverlaps()
}

// warnOverlaps tells of peers that are there twice, and of prefixes that two
// peers claim.
func (p *parser) warnOverlaps() {
	firstWith := make(map[key.Public]*Peer)
	owner := make(map[netip.Prefix]*Peer)
	for i := range p.cfg.Peers {
		peer := &p.cfg.Peers[i]
		if _, given := peer.lines["PublicKey"]; !given {
			continue
		}
		if first, ok := firstWith[peer.PublicKey]; ok {
			p.warn(peer.Line, "PublicKey", "the same as in line %d: they are one peer, and the later %s count", first.Line,
				p.cfg.Spell("AllowedIPs"))
		} else {
			firstWith[peer.PublicKey] = peer
		}
		for _, prefix := range peer.AllowedIPs {
			if prev, ok := owner[prefix]; ok && prev.PublicKey != peer.PublicKey {
				p.warnOverlap(peer.AllowedIPsLine(prefix), "AllowedIPs", "%s was given to %s before; only %s gets it", prefix, prev, peer)
			}
			owner[prefix] = peer
		}
	}
}

// peerName takes a name out of the text of a comment, or returns "".
func peerName(comment string) string {
	k, v, ok := strings.Cut(strings.TrimLeft(comment, "#"), "=")
	if k = trim(k); !ok || !strings.EqualFold(k, "Name") && !strings.EqualFold(k, "friendly_name") {
		return ""
	}
	return printable(v)
}

// printable leaves in v what can be shown. Names reach terminals: nothing that
// could steer one gets in.
func printable(v string) string {
	v = strings.Map(func(r rune) rune {
		if r == unicode.ReplacementChar || !unicode.IsPrint(r) {
			return -1
		}
		return r
	}, v)
	return strings.TrimSpace(v)
}

// isSpace is C's isspace in the C locale, which is what wg and bash use.
func isSpace(r rune) bool { return r == ' ' || r >= '\t' && r <= '\r' }

func trim(s string) string { return strings.TrimFunc(s, isSpace) }

// squeeze removes all white space, as wg(8) does with every line.
func squeeze(s string) string {
	return strings.Map(func(r rune) rune {
		if isSpace(r) {
			return -1
		}
		return r
	}, s)
}
