package config

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"path/filepath"
	"slices"
	"strings"
)

// rewrite returns the text of c's file with what c says by now in it. What the text
// has beside that stays as it was written: comments, the order, the keys that nothing
// but the file knows. A peer that is gone takes the comments along that named it, new
// ones come last. A text without comments is written anew, as wg-quick does.
func (c *Config) rewrite(text string) (string, error) {
	if text == "" {
		return c.text()
	}
	old, err := c.parseAgain(text)
	if err != nil {
		return "", err
	}
	want := *old
	i, now := &want.Interface, &c.Interface
	i.PrivateKey, i.PrivateKeyFrom, i.ListenPort, i.FwMark = now.PrivateKey, now.PrivateKeyFrom, now.ListenPort, now.FwMark
	i.Addresses, i.MTU = now.Addresses, now.MTU
	want.Name, want.Peers = c.Name, c.Peers
	plain, err := want.text()
	if err != nil {
		return "", err
	}
	remarks := remarksOf(want.split(text))
	if len(remarks) == 0 {
		return plain, nil
	}
	if i.PrivateKey.Public() == old.Interface.PrivateKey.Public() {
		i.PrivateKey = old.Interface.PrivateKey // the device has clamped it
		if plain, err = want.text(); err != nil {
			return "", err
		}
	}
	before, err := old.text()
	if err != nil {
		return "", err
	}
	r := rewriter{old: old, want: &want, text: text, peers: make(map[string]*Peer)}
	for i := range old.Peers {
		r.peers["peer "+old.Peers[i].PublicKey.Base64()] = &old.Peers[i]
	}
	if edited, ok := r.edit(before, plain); ok {
		if again, err := c.parseAgain(edited); err == nil && again.saysAs(&want) {
			return edited, nil
		}
	}
	// A file that says one thing in several places. Its comments are kept at least.
	return strings.Join(remarks, "\n") + "\n\n" + plain, nil
}

// parseAgain parses a text as that of c's file.
func (c *Config) parseAgain(text string) (*Config, error) {
	if c.isTOML() {
		return parseTOML(text, c.Path, filepath.Base(c.Path), false)
	}
	return Parse(strings.NewReader(text), c.Path)
}

func (c *Config) isTOML() bool { return filepath.Ext(c.Path) == ".toml" }

// write writes c in the format of its file.
func (c *Config) write(w io.Writer) error {
	if c.isTOML() {
		return c.WriteTOML(w)
	}
	return c.WriteConf(w)
}

func (c *Config) text() (string, error) {
	var b bytes.Buffer
	err := c.write(&b)
	return b.String(), err
}

func (c *Config) split(text string) []piece {
	if c.isTOML() {
		return splitTOML(text)
	}
	return splitConf(text)
}

// saysAs reports whether c says what other does, in whatever order.
func (c *Config) saysAs(other *Config) bool {
	x, err := c.inOrder().text()
	y, oerr := other.inOrder().text()
	return err == nil && oerr == nil && x == y
}

// inOrder is c with what has no order sorted.
func (c *Config) inOrder() *Config {
	s := *c
	s.Interface.Addresses = sorted(s.Interface.Addresses)
	s.Peers = slices.Clone(s.Peers)
	for i := range s.Peers {
		s.Peers[i].AllowedIPs = sorted(s.Peers[i].AllowedIPs)
	}
	slices.SortStableFunc(s.Peers, func(a, b Peer) int { return bytes.Compare(a.PublicKey[:], b.PublicKey[:]) })
	return &s
}

func sorted(prefixes []netip.Prefix) []netip.Prefix {
	s := slices.Clone(prefixes)
	slices.SortFunc(s, func(a, b netip.Prefix) int { return strings.Compare(a.String(), b.String()) })
	return s
}

// remarksOf returns all comments of a text.
func remarksOf(pieces []piece) []string {
	var said []string
	for i := range pieces {
		p := &pieces[i]
		switch {
		case p.isComment():
			said = append(said, trim(p.text))
		default:
			said = append(said, p.remarks...)
		}
	}
	return said
}

// rewriter changes the sections of a text.
type rewriter struct {
	old, want *Config
	text      string
	peers     map[string]*Peer // of old, by what their parts are of
}

// edit changes what differs between two texts, of which the first says what the file
// does and the second what it should. It reports false for a file in which that is not
// clear.
func (r *rewriter) edit(before, after string) (string, bool) {
	file := parts(r.old.split(r.text), numbered(r.old, true))
	was := byID(parts(r.old.split(before), numbered(r.old, false)))
	all := parts(r.old.split(after), numbered(r.want, false))
	is := byID(all)
	if was == nil || is == nil || byID(file) == nil {
		return "", false
	}
	var b strings.Builder
	for i := range file {
		p := &file[i]
		now := is[p.id]
		if now == nil && strings.HasPrefix(p.id, "peer ") {
			r.remove(&b, p)
			continue
		}
		if then := was[p.id]; then != nil && now != nil {
			r.change(p, then.values(), now.values())
		}
		p.write(&b)
	}
	for i := range all {
		p := &all[i]
		if was[p.id] != nil || p.id == "" {
			continue
		}
		text := b.String()
		if text != "" && !strings.HasSuffix(text, "\n") {
			b.WriteString("\n")
		}
		if text != "" && !strings.HasSuffix(text, "\n\n") {
			b.WriteString("\n")
		}
		p.write(&b)
	}
	return b.String(), true
}

// byID returns the parts by what they are of, nil if two are of the same.
func byID(all []part) map[string]*part {
	m := make(map[string]*part, len(all))
	for i := range all {
		if m[all[i].id] != nil {
			return nil
		}
		m[all[i].id] = &all[i]
	}
	return m
}

// remove leaves a peer's section out, and the comments that named it. What stands
// apart from it, behind a blank line, stays, and so do comments above it that say
// something else.
func (r *rewriter) remove(b *strings.Builder, p *part) {
	peer := r.peers[p.id]
	if !slices.ContainsFunc(p.lead, func(x piece) bool { return isAbout(peer, &x) }) && len(p.lead) > 0 {
		for _, x := range p.lead {
			b.WriteString(x.text)
		}
		b.WriteString("\n")
	}
	last := -1
	for i := range p.body {
		if p.body[i].kind == pieceAssign {
			last = i
		}
	}
	rest := p.body[last+1:]
	for len(rest) > 0 && !rest[0].isBlank() {
		rest = rest[1:]
	}
	for len(rest) > 0 && rest[0].isBlank() && strings.HasSuffix(b.String(), "\n\n") {
		rest = rest[1:]
	}
	for _, x := range rest {
		b.WriteString(x.text)
	}
}

// isAbout reports whether a comment is about a peer by name.
func isAbout(peer *Peer, comment *piece) bool {
	return slices.Contains(peer.nameLines, comment.line) ||
		peer.Name != "" && strings.Contains(strings.ToLower(comment.text), strings.ToLower(peer.Name))
}

// change gives the keys of a section, which has said what was says, the values of is.
func (r *rewriter) change(p *part, was, is map[string][]piece) {
	keys := make([]string, 0, len(was)+len(is))
	for _, pieces := range []map[string][]piece{was, is} {
		for k := range pieces {
			keys = append(keys, k)
		}
	}
	slices.Sort(keys)
	for _, k := range slices.Compact(keys) {
		if slices.EqualFunc(was[k], is[k], func(a, b piece) bool { return a.text == b.text }) {
			continue
		}
		if r.want.isTOML() || !slices.Contains([]string{"address", "allowedips"}, k) || !r.changeList(p, k, is[k]) {
			r.changeKey(p, k, is[k])
		}
	}
}

// changeKey replaces all that a section says of a key.
func (r *rewriter) changeKey(p *part, key string, is []piece) {
	var body []piece
	done := len(is) == 0
	lastAssigned := -1
	for _, x := range p.body {
		if x.kind != pieceAssign || x.key != key {
			if x.kind == pieceAssign {
				lastAssigned = len(body)
			}
			body = append(body, x)
			continue
		}
		if !done {
			body = append(body, withRemarks(is, &x)...)
			done = true
		}
		lastAssigned = len(body) - 1
	}
	if !done {
		body = slices.Insert(body, lastAssigned+1, is...)
	}
	p.body = body
	r.endLine(p)
}

// endLine ends the lines of a section to which something was added.
func (r *rewriter) endLine(p *part) {
	if !strings.HasSuffix(p.head.text, "\n") {
		p.head.text += "\n"
	}
	for i := range p.body[:max(0, len(p.body)-1)] {
		if !strings.HasSuffix(p.body[i].text, "\n") {
			p.body[i].text += "\n"
		}
	}
}

// withRemarks are the pieces that take the place of x, with its comments: one on the
// same line stays there.
func withRemarks(is []piece, x *piece) []piece {
	if len(x.remarks) == 0 {
		return is
	}
	is = slices.Clone(is)
	if len(x.remarks) == 1 && strings.Count(trim(x.text), "\n") == 0 && !strings.Contains(trim(is[0].text), "\n") {
		is[0].text = trim(is[0].text) + " " + x.remarks[0] + "\n"
		return is
	}
	return append([]piece{{text: strings.Join(x.remarks, "\n") + "\n"}}, is...)
}

var errNoFormat = errors.New("its name ends neither in .conf nor in .toml")

// saved is what Save writes in place of a text.
func (c *Config) saved(text string) (string, error) {
	if ext := filepath.Ext(c.Path); ext != ".conf" && ext != ".toml" {
		return "", errNoFormat
	}
	s, err := c.rewrite(text)
	if err != nil {
		return "", fmt.Errorf("it has changed: %w", err)
	}
	return s, nil
}
