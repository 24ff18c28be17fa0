package filter

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"github.com/wgnode/wgnode/probe"
)

// Resolver returns the peers that word names. Where it names none, or cannot
// tell which, it returns an error that says so. See [Among].
type Resolver func(word string) ([]probe.PeerID, error)

// term is what the words of one key ask for: one of values, or with not, none
// of them.
type term struct {
	key    termKey
	not    bool
	values []value
}

// Compile compiles the filter given by args, the arguments of a command. No
// arguments make a filter that matches every event. The peers that the filter
// names are looked up by r once, now; with a nil r a filter cannot name peers.
//
// The error says which word is wrong, and what would be right in its place.
func Compile(args []string, r Resolver) (*Filter, error) {
	p := parser{resolve: r}
	return p.compile(args)
}

func (p *parser) compile(args []string) (*Filter, error) {
	var err error
	if p.words, err = split(args); err != nil {
		return nil, fmt.Errorf("filter: %w", err)
	}
	for p.pos < len(p.words) {
		if err := p.term(); err != nil {
			// p.pos is behind the word that was looked at last.
			return nil, fmt.Errorf("filter, word %d: %w", p.pos, err)
		}
	}
	for i := range p.terms {
		p.terms[i].canonicalize()
	}
	slices.SortFunc(p.terms, compareTerms)
	return newFilter(p.terms), nil
}

// split cuts args into words. An argument that follows the word peer is a word
// as it is, so that the shell's quotes are enough for a name with spaces.
func split(args []string) (words []string, err error) {
	for _, arg := range args {
		if len(words) > 0 && words[len(words)-1] == "peer" {
			words = append(words, arg)
			continue
		}
		for rest := strings.TrimSpace(arg); rest != ""; rest = strings.TrimSpace(rest) {
			var word string
			if rest[0] == '"' {
				quoted, err := strconv.QuotedPrefix(rest)
				if err != nil {
					return nil, fmt.Errorf("quote is not closed: %q", rest)
				}
				if word, err = strconv.Unquote(quoted); err != nil {
					return nil, fmt.Errorf("read quoted word %s: %w", quoted, err)
				}
				rest = rest[len(quoted):]
			} else if i := strings.IndexFunc(rest, unicode.IsSpace); i >= 0 {
				word, rest = rest[:i], rest[i:]
			} else {
				word, rest = rest, ""
			}
			words = append(words, word)
		}
	}
	return words, nil
}

type parser struct {
	words   []string
	pos     int // of the next word
	resolve Resolver
	kernel  *kernelReasons // of a filter of the kernel's drops
	parts   *Parts         // of a filter that is taken apart
	begun   int            // the first word of the term
	terms   []term
}

// next returns the next word, or an error that says what should have come.
func (p *parser) next(want string) (string, error) {
	if p.pos == len(p.words) {
		return "", fmt.Errorf("%q wants %s after it", p.words[p.pos-1], want)
	}
	p.pos++
	return p.words[p.pos-1], nil
}

// term reads one term: [not] [outer] [src|dst] KEY VALUE, or a bare value.
func (p *parser) term() error {
	p.begun = p.pos
	word, err := p.next("a term")
	if err != nil {
		return err
	}
	not := word == "not"
	if not {
		if word, err = p.next("a term"); err != nil {
			return err
		}
	}
	var k termKey
	if word == "outer" {
		k.outer = true
		if word, err = p.next("an address, or src, dst, host, net or port"); err != nil {
			return err
		}
	}
	switch word {
	case "src":
		k.side = sideSrc
	case "dst":
		k.side = sideDst
	}
	if k.side != sideBoth {
		if word, err = p.next("an address, or host, net or port"); err != nil {
			return err
		}
	}
	if what, ok := keyNamed(word); ok && (k == (termKey{}) || what.isAddress()) {
		k.what = what
		if word, err = p.next(what.want()); err != nil {
			return err
		}
	} else if k.what, err = p.bareKey(word, k); err != nil {
		return err
	}
	switch {
	case p.parts != nil:
		return p.parts.take(p, k, not, word)
	case p.kernel == nil:
		return p.add(k, not, word)
	}
	if err := p.kernel.takes(k.what); err != nil {
		return err
	}
	if k.what == whatReason {
		return p.kernel.add(not, word)
	}
	return p.add(k, not, word)
}

// bareKey returns the key of a value that stands without it; k is what went
// before it.
func (p *parser) bareKey(word string, k termKey) (what, error) {
	first, _, _ := strings.Cut(word, ",")
	if k == (termKey{}) {
		if p.kernel != nil && p.parts == nil {
			if _, ok := p.kernel.name(first); ok {
				return whatReason, nil
			}
		}
		if w, ok := keyOfName(first); ok {
			return w, nil
		}
		if _, ok := probe.ParseCheckpoint(first); ok {
			return whatCheckpoint, nil // in lower case
		}
		if p.parts != nil {
			if _, ok := p.kernel.name(first); ok {
				return whatReason, nil
			}
		}
	}
	for _, w := range []what{whatHost, whatNet} {
		if _, err := w.parse(first); err == nil {
			return w, nil
		}
	}
	return 0, p.unknownWord(word, k)
}

func (p *parser) unknownWord(word string, k termKey) error {
	if k != (termKey{}) {
		want := []string{"host", "net", "port"}
		if k.side == sideBoth {
			want = append([]string{"src", "dst"}, want...)
		}
		return fmt.Errorf("%q cannot follow %q: %swant %s", word, strings.TrimSpace(k.String()),
			didYouMean(word, want), strings.Join(want, ", "))
	}
	switch word {
	case "and", "&&":
		return errors.New(`there is no "and": terms of different keys must all match, ` +
			`terms of the same key are alternatives`)
	case "or", "||":
		return errors.New(`there is no "or": give the same key twice, or a list as in "port 80,443"`)
	case "not":
		return errors.New(`"not" is given twice`)
	case "!":
		return errors.New(`there is no "!": write "not"`)
	}
	if name, val, ok := strings.Cut(word, "="); ok {
		if _, ok := keyNamed(name); ok {
			return fmt.Errorf("unknown word %q: write %q", word, name+" "+val)
		}
	}
	known := firstWords()
	if p.parts != nil {
		known = append(known, p.kernel.known...)
	} else if p.kernel != nil {
		known = append(slices.DeleteFunc(keyWords(), func(w string) bool { k, ok := keyNamed(w); return ok && !isOfDrops(k) }), p.kernel.known...)
		return fmt.Errorf("unknown word %q: %swant an address, a name such as tcp, data or NETFILTER_DROP, "+
			"or one of src, dst, outer, not, peer, kind, reason, proto, host, net, port", word, didYouMean(word, known))
	}
	return fmt.Errorf("unknown word %q: %swant an address, a name such as tcp, dropped, in or A4, "+
		"or one of %s", word, didYouMean(word, known), strings.Join(keyWords(), ", "))
}

// add adds the values of word to the term of key k.
func (p *parser) add(k termKey, not bool, word string) error {
	i := slices.IndexFunc(p.terms, func(t term) bool { return t.key == k && t.not == not })
	if i < 0 {
		i = len(p.terms)
		p.terms = append(p.terms, term{key: k, not: not})
	}
	for _, s := range strings.Split(word, ",") {
		var vs []value
		var err error
		if k.what == whatPeer {
			vs, err = p.peer(s)
		} else {
			vs, err = k.what.parse(s)
		}
		if err != nil {
			return err
		}
		p.terms[i].values = append(p.terms[i].values, vs...)
	}
	return nil
}

func (p *parser) peer(s string) ([]value, error) {
	if s == "" {
		return nil, errors.New("the name of the peer is empty")
	}
	if p.resolve == nil {
		return nil, fmt.Errorf("peer %q: the peers are not known here", s)
	}
	ids, err := p.resolve(s)
	if err != nil {
		return nil, fmt.Errorf("peer %q: %w", s, err)
	}
	if len(ids) == 0 {
		return nil, fmt.Errorf("peer %q: no such peer", s)
	}
	return []value{{text: s, peers: ids}}, nil
}

// quote returns s as a word for split.
func quote(s string) string {
	q := strconv.Quote(s)
	if s == "" || strings.ContainsFunc(s, unicode.IsSpace) || q != `"`+s+`"` {
		return q
	}
	return s
}
