package config

import (
	"fmt"
	"net/netip"
	"regexp"
	"strconv"
	"strings"
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
// AllowedIPs have entries of their own, see allowedIPsKey.
type lines map[string]int

func allowedIPsKey(p netip.Prefix) string { return "AllowedIPs " + p.String() }

// secretLooking matches what may be a key of WireGuard, or half of one.
var secretLooking = regexp.MustCompile(`[A-Za-z0-9+/]{20,}=*`)

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

// word matches what can be shown of an unknown key. A line that is not
// "key = value" at all may be a piece of a secret: those have digits and signs
// in them, or are longer than any word.
var word = regexp.MustCompile(`^[A-Za-z_]{1,20}$`)

// Redact replaces in v what may be a key of WireGuard, which people paste at
// the wrong place, so that v can be shown in an error.
func Redact(v string) string { return secretLooking.ReplaceAllString(v, "(hidden)") }

func unknownKey(k string, known []string) string {
	if near := Nearest(k, known); near != "" {
		return fmt.Sprintf("unknown key %s (did you mean %s?)", quote(k), near)
	}
	if word.MatchString(k) {
		return fmt.Sprintf("unknown key %s", quote(k))
	}
	return "unknown key"
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
