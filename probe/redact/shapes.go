package redact

import (
	"regexp"
	"strings"
	"unicode"
)

// run finds what may be a key: as many characters of base64 as one has, or more.
var run = regexp.MustCompile(`[A-Za-z0-9+/_-]{43,}={0,2}`)

// shapes hides what has the form of a key and is no public one that is known.
func (s *Secrets) shapes(text string) string {
	if len(text) < keyRun {
		return text
	}
	text = hexRun.ReplaceAllStringFunc(text, func(found string) string {
		k, ok := parseKey(found)
		if ok && s.public[k] {
			return found
		}
		if ok {
			return s.Hidden(k[:])
		}
		return s.Hidden([]byte(found))
	})
	return run.ReplaceAllStringFunc(text, func(found string) string {
		if k, ok := parseKey(found); ok {
			if s.public[k] {
				return found
			}
			return s.Hidden(k[:])
		}
		// A path has a leading slash, and a name may be in front: of a longer run it is not known
		// where a key begins.
		if s.holdsPublic(found) {
			return found
		}
		if strings.ContainsRune(found, '=') || mixed(found) {
			return s.Hidden([]byte(found))
		}
		return found
	})
}

// holdsPublic reports whether a run is a public key, with something before it that is no part
// of one, as in "peer-KEY" or "/KEY".
func (s *Secrets) holdsPublic(found string) bool {
	body := strings.TrimRight(found, "=")
	if len(body) <= keyRun || len(body) > keyRun+16 {
		return false
	}
	k, ok := parseKey(body[len(body)-keyRun:])
	return ok && s.public[k]
}

// mixed reports whether text has letters of both cases, as the words of a path as a rule have
// not: of 43 random characters of base64 fewer than one in 10,000 has not so many.
func mixed(text string) bool {
	upper, lower, _ := count(text)
	return upper >= 5 && lower >= 5
}

func count(text string) (upper, lower, digits int) {
	for _, c := range text {
		switch {
		case unicode.IsUpper(c):
			upper++
		case unicode.IsLower(c):
			lower++
		case unicode.IsDigit(c):
			digits++
		}
	}
	return upper, lower, digits
}

var (
	// inURL is a URL: what stands before the host, and what behind it.
	inURL = regexp.MustCompile(`\b([a-zA-Z][a-zA-Z0-9+.-]*://)(?:([^\s/@"']*)@)?([^\s/?#"'@]+)([/?#][^\s"']*)?`)
	// behindWord is a word that a secret stands behind, with what joins it to that.
	behindWord = regexp.MustCompile(`(?i)((?:pass(?:word|wd|phrase|code)?|pwd|secret|token|api[-_ ]?key|credential|psk|` +
		`pre-?shared[-_ ]?key|private[-_ ]?key|auth(?:entication|orization)?|session[-_ ]?key|cookie|otp|\bpin)s?["']?\s*[:=]\s*)` +
		`("[^"]*"|'[^']*'|[^\s"',;]+(?:\s+[^\s"',;]+)?)`)
	// behindName is the same where the name of a scheme or an option tells it.
	behindName = regexp.MustCompile(`(?i)(\b(?:bearer|basic|password|passwd|passphrase|secret|token)\s+|` +
		`(?:^|\s)--?(?:pass(?:word|wd|phrase)?|pwd|secret|token|user|proxy-user|api-?key|key|psk)[\s=]+)("[^"]*"|'[^']*'|[^\s"',;]+)`)
	// long is what is long, and may be a token.
	long = regexp.MustCompile(`[A-Za-z0-9_+/=.-]{20,}`)
)

// Foreign hides secrets in text that others wrote, such as a line of a log: known ones, what has
// the form of a key or of a token, what stands behind a word such as "password", and what a URL
// has beside its host.
func (s *Secrets) Foreign(text string) string {
	text = s.known(text)
	text = inURL.ReplaceAllStringFunc(text, s.bareURL)
	for _, pattern := range []*regexp.Regexp{behindWord, behindName} {
		text = pattern.ReplaceAllStringFunc(text, func(found string) string {
			m := pattern.FindStringSubmatch(found)
			value := strings.Trim(m[2], `"'`)
			if value == "" || strings.HasPrefix(value, "(hidden") {
				return found
			}
			return m[1] + s.Hidden([]byte(value))
		})
	}
	text = s.shapes(text)
	return long.ReplaceAllStringFunc(text, func(found string) string {
		if k, ok := parseKey(found); ok && s.public[k] || s.holdsPublic(found) {
			return found
		}
		if upper, lower, digits := count(found); upper >= 3 && lower >= 3 && digits >= 3 {
			return s.Hidden([]byte(found))
		}
		return found
	})
}

// bareURL leaves of a URL what says where it leads.
func (s *Secrets) bareURL(found string) string {
	m := inURL.FindStringSubmatch(found)
	out := m[1]
	if m[2] != "" {
		out += s.Hidden([]byte(m[2])) + "@"
	}
	out += m[3]
	if len(m[4]) > 1 {
		return out + "/" + s.Hidden([]byte(m[4]))
	}
	return out + m[4]
}
