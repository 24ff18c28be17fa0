package config

import (
	"fmt"
	"net/netip"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode"
)

// Error is one problem in a configuration. It prints as
// "wg0.conf:12: PublicKey: not a key: ...", without the parts that it lacks.
type Error struct {
	File string
	Line int    // from 1; 0 if the problem has no line
	Key  string // as the file's format spells it; "" if the problem has no key
	Msg  string // without secrets
}

func (e *Error) Error() string {
	var b strings.Builder
	b.WriteString(e.File)
	if e.Line > 0 {
		if e.File == "" {
			b.WriteString("line ")
		} else {
			b.WriteByte(':')
		}
		b.WriteString(strconv.Itoa(e.Line))
	}
	if b.Len() > 0 {
		b.WriteString(": ")
	}
	if e.Key != "" {
		b.WriteString(e.Key)
		b.WriteString(": ")
	}
	b.WriteString(e.Msg)
	return b.String()
}

// Errors are all the problems of one file in the order of its lines, at least
// one. It prints one problem a line; errors.As finds the first [*Error] in it.
type Errors []*Error

func (es Errors) Error() string {
	msgs := make([]string, len(es))
	for i, e := range es {
		msgs[i] = e.Error()
	}
	return strings.Join(msgs, "\n")
}

// Unwrap lets errors.Is and errors.As look at each problem.
func (es Errors) Unwrap() []error {
	errs := make([]error, len(es))
	for i, e := range es {
		errs[i] = e
	}
	return errs
}

// lines remembers where each key of a section last stood. Prefixes of
// AllowedIPs have entries of their own, see allowedIPsKey, and so have hooks.
type lines map[string]int

func allowedIPsKey(p netip.Prefix) string { return "AllowedIPs " + p.String() }

func hookKey(key string, n int) string { return key + " " + strconv.Itoa(n) }

// HookPlace returns where the nth hook of a key stands, from 0, as "wg0.conf:12",
// or "" if that is not known. The key is spelled as in a .conf.
func (c *Config) HookPlace(key string, n int) string {
	line, ok := c.Interface.lines[hookKey(key, n)]
	if !ok || c.Path == "" {
		return ""
	}
	return c.Path + ":" + strconv.Itoa(line)
}

// secretLooking matches what may be a key of WireGuard, or half of one.
var secretLooking = regexp.MustCompile(`[A-Za-z0-9+/]{20,}=*`)

// hostLabel matches what of that is no key but part of a host's name: it has no
// capital letter, which half a key in base64 has, and a letter that hexadecimal
// digits do not have.
var hostLabel = regexp.MustCompile(`^[a-z0-9]*[g-z][a-z0-9]*$`)

// longestLabel is less than 32 bytes have in hexadecimal or base64.
const longestLabel = 40

// quote shows a value in an error. Values of secret keys never get here, but a
// key that was pasted at the wrong place does.
func quote(v string) string {
	const most = 80
	v = Redact(v)
	if len(v) > most {
		v = v[:most] + "..."
	}
	return fmt.Sprintf("%q", v)
}

// What can be shown of an unknown key: a short word, or several put together, each
// of some small letters. What stands in front of an equals sign may be a piece of a
// secret. If that is long enough to help anybody, capital letters, digits and signs
// are everywhere in it.
var (
	shortWord = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_.-]{0,18}$`)
	longWord  = regexp.MustCompile(`^[A-Z]{0,3}([a-z]{3,}[_.-]?[A-Z]{0,3})+s?[0-9]{0,2}$`)
)

// longestWord is less than a key has in base64.
const longestWord = 40

// Redact replaces in v what may be a key of WireGuard, which people paste at
// the wrong place, so that v can be shown in an error.
func Redact(v string) string {
	return secretLooking.ReplaceAllStringFunc(v, func(s string) string {
		if len(s) < longestLabel && hostLabel.MatchString(s) {
			return s
		}
		return "(hidden)"
	})
}

func unknownKey(k string, known []string) string {
	// What web pages put in place of a space looks like nothing at all.
	visible := strings.TrimFunc(k, func(r rune) bool { return r > unicode.MaxASCII && !unicode.IsLetter(r) })
	if visible != k && slices.ContainsFunc(known, func(s string) bool { return strings.EqualFold(s, visible) }) {
		return fmt.Sprintf("unknown key %+q: remove the invisible character beside %s", k, visible)
	}
	if near := Nearest(k, known); near != "" {
		return fmt.Sprintf("unknown key %q (did you mean %s?)", k, near)
	}
	if canShow(k) {
		return fmt.Sprintf("unknown key %q", k)
	}
	return "unknown key"
}

// canShow reports whether an unknown key is a word, and no piece of a secret.
func canShow(k string) bool {
	capitals := 0
	for _, r := range k {
		if unicode.IsUpper(r) {
			capitals++
		}
	}
	return shortWord.MatchString(k) || len(k) < longestWord && capitals <= len(k)/5 && longWord.MatchString(k)
}

// Nearest returns the word of known that is at most two slips of the keyboard
// away from s, or "".
func Nearest(s string, known []string) string {
	best, bestDist := "", 3
	for _, k := range known {
		if d := distance(strings.ToLower(s), strings.ToLower(k)); d < bestDist && d < len(k)/2 {
			best, bestDist = k, d
		}
	}
	return best
}

// distance is the Levenshtein distance between a and b in bytes.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diagonal
			if a[i] != b[j] {
				cost++
			}
			diagonal = row[j+1]
			row[j+1] = min(cost, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
