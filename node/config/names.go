package config

import (
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"
)

// Names of peers stand in comments: wg-quick has no key for them. What generators
// write can be told for certain. A bare comment is taken for a name only where
// nothing speaks against it, for a wrong name is worse than none: in the same places
// stand descriptions of a key, settings that were commented out, and sentences.

// generated are the forms that generators write, above a [Peer] or in it. The first
// group is the name.
var generated = []struct {
	form *regexp.Regexp
	end  string // the comment that must follow somewhere, with the name for %; "" for none
	sure bool   // no sentence looks like it
}{
	{form: regexp.MustCompile(`^#+ *Client: +(.+) +\([0-9a-fA-F-]{8,36}\)$`), sure: true}, // wg-easy
	{form: regexp.MustCompile(`^#+ *Name: +(.+)$`)},                                       // wireguard-ui
	{form: regexp.MustCompile(`^### +Client +(\S+)$`)},                                    // angristan/wireguard-install
	{form: regexp.MustCompile(`^# *BEGIN_PEER +(\S+)$`), end: "END_PEER %", sure: true},   // hwdsl2/wireguard-install
	{form: regexp.MustCompile(`^### +begin +(\S+) +###$`), end: "end %", sure: true},      // PiVPN
	{form: regexp.MustCompile(`^# *(\S(?:.*\S)?) +begin$`), end: "% end", sure: true},     // by hand, as PiVPN's
	{form: regexp.MustCompile(`^# *Peer [Cc]onfiguration for +(\S+(?: +\S+){0,2})$`)},     // by hand
}

// notInName are words of comments that describe what follows, and names of settings:
// none of them is the whole of a name, and a name of several words has none of them.
var notInName = regexp.MustCompile(`(?i)^(?:` + strings.Join([]string{
	`public|private|preshared|pre-?shared|psk|keys?|pubkey|privkey|peers?|clients?|servers?|users?|devices?|hosts?|endpoints?`,
	`interface|tunnels?|wireguard|wg|vpn|config(?:uration)?|settings?|options?|section|allowed|ips?|ipv[46]|address(?:es)?|port|dns|mtu`,
	`keepalive|persistent|traffic|routes?|routing|nat|network|subnet|gateway|internet|optional|required|replace|change|edit|add|remove`,
	`insert|paste|generated?|created?|automatically|example|sample|template|default|local|remote|todo|note|fixme|warning|important`,
	`begin|end|start|stop|comment|uncomment|enabled?|disabled?|old|new|unused|here|below|above|see|name`,
	`the|this|that|these|your|my|our|its|an?|of|for|to|from|and|or|is|are|be|was|will|must|should|not|no|all|only|with|without`,
	`by|on|off|in|at|as|if|true|false|none|null|yes`,
	// The same in other languages, as far as a word of theirs looks like a name.
	`schl(?:ü|ue)ssel|(?:ö|oe)ffentlicher?|cl(?:é|e)|publique|priv(?:é|e)e|serveur|clave|p(?:ú|u)blica|servidor|cliente|chave|chiave`,
	`pubblica|klucz|publiczny|kl(?:í|i)(?:č|c)|ve(?:ř|r)ejn(?:ý|y)|sleutel|publieke|nyckel|n(?:ø|o)gle|avain|kunci|anahtar`,
}, "|") + `)$`)

// bareWord is a word of a bare comment that may be a name.
var bareWord = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._@'#+-]*$`)

const (
	// longestInName is below the length of a key, which is no name even where it was
	// commented out.
	longestInName = 30
	mostWords     = 3
)

// namer reads the comments of a .conf for names.
type namer struct {
	cfg  *Config
	said map[string]int // the last lines of all comments, without their signs

	peer   int     // index of the peer that the lines belong to, -1 for none
	key    bool    // it has had a key
	block  []noted // comments that nothing stands between and the present line
	before above   // what stands before the block
	ahead  []noted // of generators, about the next peer
	bare   []bare
	spoken map[int]int // comments in a peer's section, by its index
}

// above is what stands above a block of comments.
type above int

const (
	aboveBlank above = iota // or nothing
	aboveKey
	aboveHeader
)

// noted is a comment and its line.
type noted struct {
	text string
	line int
}

// bare is a comment that may be the name of a peer.
type bare struct {
	noted
	peer   int
	inside bool // after the header, not above it
}

// nameByComments gives names to the peers that have none yet, as the comments of the
// text say from which they were read.
func nameByComments(text string, cfg *Config) {
	if len(cfg.Peers) == 0 || !strings.Contains(text, "#") {
		return
	}
	n := namer{cfg: cfg, said: make(map[string]int), peer: -1, spoken: make(map[int]int)}
	lines := strings.Split(text, "\n")
	for i := range lines {
		if lines[i] = trim(lines[i]); strings.HasPrefix(lines[i], "#") {
			n.said[trim(strings.Trim(lines[i], "#"))] = i + 1
		}
	}
	next := 0
	for i, line := range lines {
		switch {
		case line == "":
			n.endBlock(aboveBlank)
		case line[0] == '#':
			n.comment(noted{line, i + 1})
		case line[0] == '[' && next < len(cfg.Peers) && cfg.Peers[next].Line == i+1:
			n.header(next)
			next++
		case line[0] == '[':
			n.endBlock(aboveHeader)
			n.peer, n.ahead = -1, nil
		default:
			n.endBlock(aboveKey)
			n.key, n.ahead = true, nil
		}
	}
	n.endBlock(aboveBlank)
	n.settleBare()
}

// endBlock ends the present block of comments, which is about the present peer.
func (n *namer) endBlock(by above) {
	for _, c := range n.block {
		if n.peer >= 0 {
			n.give(n.peer, peerName(c.text), c.line)
		}
	}
	n.block, n.before = nil, by
}

// comment takes a line that is a comment.
func (n *namer) comment(c noted) {
	n.block = append(n.block, c)
	if n.peer >= 0 {
		n.spoken[n.peer]++
	}
	inHead := n.peer >= 0 && !n.key
	name, _ := n.generatorName(c.text)
	switch {
	case name != "" && inHead:
		n.generated(n.peer, c)
	case name != "":
		n.ahead = append(n.ahead, c)
	case inHead && n.cfg.Peers[n.peer].Line == c.line-1 && peerName(c.text) == "":
		n.bare = append(n.bare, bare{c, n.peer, true})
	}
}

// header begins a peer.
func (n *namer) header(peer int) {
	block, before, was := n.block, n.before, n.peer
	if was >= 0 { // what stands above this one is not said in that one
		n.spoken[was] -= len(block)
	}
	for _, c := range n.ahead {
		n.generated(peer, c)
	}
	for _, c := range block {
		name := peerName(c.text)
		switch {
		case before == aboveBlank:
			n.give(peer, name, c.line)
		case was >= 0 && n.cfg.Peers[was].Name == "": // its place is in the section
			n.give(was, name, c.line)
		case was >= 0:
			n.give(peer, name, c.line)
		}
	}
	// Between two peers without a blank line it may be about either.
	if len(block) == 1 && (before == aboveBlank || before == aboveKey && was < 0) {
		n.bare = append(n.bare, bare{block[0], peer, false})
	}
	n.peer, n.key, n.block, n.before, n.ahead = peer, false, nil, aboveHeader, nil
}

// generated gives a peer the name that a generator's comment says, and the comment
// that goes with it.
func (n *namer) generated(peer int, c noted) {
	name, end := n.generatorName(c.text)
	n.give(peer, name, c.line)
	if end != 0 {
		n.give(peer, name, end)
	}
}

// give names a peer, unless it has another name.
func (n *namer) give(peer int, name string, line int) {
	p := &n.cfg.Peers[peer]
	if name == "" || p.Name != "" && p.Name != name || slices.Contains(p.nameLines, line) {
		return
	}
	p.Name = name
	p.nameLines = append(p.nameLines, line)
	n.cfg.comments--
}

// generatorName takes the name out of a comment that a generator writes above a peer,
// and returns the line of the comment that ends it, 0 for none.
func (n *namer) generatorName(comment string) (name string, end int) {
	for _, g := range generated {
		m := g.form.FindStringSubmatch(comment)
		if m == nil {
			continue
		}
		if g.end != "" {
			if end = n.said[strings.Replace(g.end, "%", m[1], 1)]; end == 0 {
				continue
			}
		}
		if name = printable(m[1]); strings.ContainsAny(name, "<>{}$=") || len(name) > 4*longestInName {
			return "", 0 // the template's own
		}
		if first, _, _ := strings.Cut(name, " "); !g.sure && notInName.MatchString(first) {
			return "", 0 // "Client settings"
		}
		return name, end
	}
	return "", 0
}

// settleBare decides about the bare comments. One word names the only peer of a file.
// Of several most must be named so, each otherwise: else they are headings, or describe
// what follows.
func (n *namer) settleBare() {
	times := make(map[string]int)
	of := make(map[int]int)
	var candidates []bare
	for _, b := range n.bare {
		if n.cfg.Peers[b.peer].Name == "" && n.mayName(b) {
			candidates = append(candidates, b)
			times[b.name()]++
			of[b.peer]++
		}
	}
	candidates = slices.DeleteFunc(candidates, func(b bare) bool { return times[b.name()] > 1 || of[b.peer] > 1 })
	several := len(n.cfg.Peers) > 1
	if several && (len(candidates) < 2 || 2*len(candidates) <= len(n.cfg.Peers)) {
		return
	}
	for _, b := range candidates {
		if several || len(strings.Fields(b.name())) == 1 {
			n.give(b.peer, b.name(), b.line)
		}
	}
}

// name is what the comment says.
func (b bare) name() string { return trim(strings.TrimLeft(b.text, "#")) }

// mayName reports whether a bare comment reads like a name.
func (n *namer) mayName(b bare) bool {
	text := b.name()
	words := strings.Fields(text)
	if len(words) == 0 || len(words) > mostWords || !utf8.ValidString(text) || strings.HasSuffix(text, ".") {
		return false
	}
	// Where other keys have comments, too, this is one of them.
	if b.inside && n.spoken[b.peer] > 1 {
		return false
	}
	letters := false
	for i, w := range words {
		if !bareWord.MatchString(w) || len(w) > longestInName || notInName.MatchString(w) && !(i > 0 && len(w) == 1) {
			return false
		}
		if slices.ContainsFunc(allKeys, func(k string) bool { return strings.EqualFold(k, w) }) {
			return false
		}
		letters = letters || strings.ContainsFunc(w, func(r rune) bool { return r >= 'A' && r <= 'Z' || r >= 'a' && r <= 'z' })
	}
	return letters
}
