package redact

import (
	"cmp"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"maps"
	"net/netip"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"github.com/wgnode/wgnode/probe/key"
)

// least is how long a secret is that is looked for everywhere, in bytes. A shorter one would be
// found in words that have nothing to do with it; where it stands by itself it is hidden.
const least = 6

// Secrets hides secrets in text. It is not safe for concurrent use.
type Secrets struct {
	salt   [32]byte
	sure   forms // keys and passwords, which are hidden everywhere
	heard  forms // those, and words that may be secrets: hidden in what others wrote
	keys   map[[key.Size]byte]bool
	public map[[key.Size]byte]bool
}

// NewSecrets returns one that knows nothing yet.
func NewSecrets() *Secrets {
	s := &Secrets{sure: newForms(), heard: newForms(), keys: make(map[[key.Size]byte]bool), public: make(map[[key.Size]byte]bool)}
	_, _ = rand.Read(s.salt[:]) // never fails, as its documentation says
	return s
}

// Hidden is what stands in the place of a secret.
func (s *Secrets) Hidden(secret []byte) string {
	h := hmac.New(sha256.New, s.salt[:])
	h.Write(secret)
	return "(hidden #" + hex.EncodeToString(h.Sum(nil)[:4]) + ")"
}

// Public makes known that a key is no secret: a peer's, or the node's own public one.
func (s *Secrets) Public(k key.Public) { s.public[k] = true }

// Key makes a key known that is a secret.
func (s *Secrets) Key(k [key.Size]byte) {
	if k == [key.Size]byte{} {
		return
	}
	s.keys[k] = true
	to := s.Hidden(k[:])
	for _, form := range Forms(k[:]) {
		s.sure.add(form, to)
		s.heard.add(form, to)
	}
}

// Word makes text known that is, or may be, a secret. A key is taken for one.
func (s *Secrets) Word(text string) {
	text = strings.TrimSpace(text)
	if k, ok := parseKey(text); ok {
		s.Key(k)
		return
	}
	to := s.Hidden([]byte(text))
	upper, lower, digits := count(text)
	for _, form := range append(Forms([]byte(text)), text, url.QueryEscape(text), url.PathEscape(text)) {
		s.heard.add(form, to)
		// What this program writes itself has no such words, but it has others, which a poor
		// password may be.
		if len(text) >= 8 && digits > 0 && upper+lower > 0 {
			s.sure.add(form, to)
		}
	}
}

// token is what may be a password in text.
var token = regexp.MustCompile(`[A-Za-z0-9_!$%&*+~^-]{8,}`)

// Heard makes known what may be a secret in text that is given away nowhere, such as a comment:
// keys, and long words with letters and digits. They are hidden everywhere.
func (s *Secrets) Heard(text string) {
	text = run.ReplaceAllStringFunc(text, func(found string) string {
		s.heardKeys(found)
		return " "
	})
	found := token.FindAllString(text, -1)
	for _, w := range found {
		if strings.HasPrefix(w, "-") && len(w) > 2 { // as of mysql -pPASSWORD
			found = append(found, w[2:])
		}
	}
	for _, w := range found {
		upper, lower, digits := count(w)
		if _, err := netip.ParseAddr(w); digits > 0 && upper+lower > 0 && err != nil && !words[strings.ToLower(w)] {
			s.heard.add(w, s.Hidden([]byte(w)))
			s.sure.add(w, s.Hidden([]byte(w)))
		}
	}
}

// mostWindows bounds in how many places of a run a key may begin.
const mostWindows = 64

// heardKeys makes the key known that a run of characters of base64 is, or may hold: where it
// begins is not known if there is more, such as the elements of a path.
func (s *Secrets) heardKeys(found string) {
	if k, ok := parseKey(found); ok {
		if !s.public[k] {
			s.Key(k)
		}
		return
	}
	for _, n := range []int{keyRun, 2 * key.Size} {
		for i := 0; i+n <= len(found) && i < mostWindows; i++ {
			if k, ok := parseKey(found[i : i+n]); ok && !s.public[k] {
				s.Key(k)
			}
		}
	}
}

// forms are ways in which secrets are written.
type forms struct {
	to       map[string]string // what stands in its place
	replacer *strings.Replacer // nil if it is to be made
}

func newForms() forms { return forms{to: make(map[string]string)} }

func (f *forms) add(form, to string) {
	if len(form) >= least {
		f.to[form], f.replacer = to, nil
	}
}

// hide replaces all forms at once, the longest that fits at a place.
func (f *forms) hide(text string) string {
	if len(f.to) == 0 || text == "" {
		return text
	}
	if f.replacer == nil {
		sorted := slices.SortedFunc(maps.Keys(f.to), func(a, b string) int {
			return cmp.Or(len(b)-len(a), strings.Compare(a, b))
		})
		pairs := make([]string, 0, 2*len(sorted))
		for _, form := range sorted {
			pairs = append(pairs, form, f.to[form])
		}
		f.replacer = strings.NewReplacer(pairs...)
	}
	return f.replacer.Replace(text)
}

// Forms are the ways in which bytes are written.
func Forms(b []byte) []string {
	std, web := base64.StdEncoding.EncodeToString(b), base64.URLEncoding.EncodeToString(b)
	low := hex.EncodeToString(b)
	all := []string{std, web, strings.TrimRight(std, "="), strings.TrimRight(web, "="), low, strings.ToUpper(low), string(b),
		url.QueryEscape(std), url.QueryEscape(strings.TrimRight(std, "="))}
	slices.Sort(all)
	return slices.Compact(all)
}

// parseKey reads a key in base64 of either alphabet, padded or not, or in hexadecimal.
func parseKey(text string) (k [key.Size]byte, ok bool) {
	var b []byte
	var err error
	switch trimmed := strings.TrimRight(text, "="); {
	case len(text) == 2*key.Size:
		b, err = hex.DecodeString(text)
	case len(trimmed) == keyRun && len(text)-len(trimmed) <= 1:
		if b, err = lenient.DecodeString(trimmed); err != nil {
			b, err = lenientURL.DecodeString(trimmed)
		}
	default:
		return k, false
	}
	if err != nil || len(b) != key.Size {
		return k, false
	}
	return [key.Size]byte(b), true
}

// keyRun is how long a key is in base64, without padding.
const keyRun = 43

// These take a key also if its last character has stray bits.
var lenient, lenientURL = base64.RawStdEncoding, base64.RawURLEncoding

// known replaces the secrets that are known.
func (s *Secrets) known(text string) string { return s.heard.hide(text) }

// hexRun finds what may be a key in hexadecimal.
var hexRun = regexp.MustCompile(`[0-9a-fA-F]{64,}`)

// Holds reports whether one of the keys and passwords that are known is in b, however it is
// written.
func (s *Secrets) Holds(b []byte) bool {
	text := string(b)
	if s.sure.hide(text) != text {
		return true
	}
	for _, found := range hexRun.FindAllString(text, -1) { // of mixed case
		for i := 0; i+2*key.Size <= len(found); i++ {
			if k, ok := parseKey(found[i : i+2*key.Size]); ok && s.keys[k] {
				return true
			}
		}
	}
	return false
}

// Own hides secrets in text that this program wrote: known ones, what has the form of a key and is
// no public one, and the comments of rules that it quotes.
func (s *Secrets) Own(text string) string { return s.shapes(s.comments(s.sure.hide(text))) }
