// Package harmless makes text safe that others have written: names of hosts and
// interfaces in a recording, comments of peers, answers of name servers, errors of
// other hosts, rules of a firewall, names of processes. On a terminal such text could
// move the cursor or turn the direction of what stands beside it, in a command to be
// pasted it could be a command of its own, in a drawing it could be markup.
//
// Everything that this program shows goes through here at the last moment, so that it
// does not matter where it came from.
package harmless

import (
	"bytes"
	"encoding/xml"
	"fmt"
	"net/netip"
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Append appends s with everything that is not printable in the form of a Go string:
// \n, \x1b, \u202e. With ascii that is also every other rune.
func Append(dst []byte, s string, ascii bool) []byte {
	for i := 0; i < len(s); {
		r, size := utf8.DecodeRuneInString(s[i:])
		switch {
		case r == utf8.RuneError && size == 1:
			dst = fmt.Appendf(dst, `\x%02x`, s[i])
		case unicode.IsPrint(r) && (r < utf8.RuneSelf || !ascii):
			dst = append(dst, s[i:i+size]...)
		case r == '\n':
			dst = append(dst, `\n`...)
		case r < utf8.RuneSelf:
			dst = fmt.Appendf(dst, `\x%02x`, r)
		case r <= 0xffff:
			dst = fmt.Appendf(dst, `\u%04x`, r)
		default:
			dst = fmt.Appendf(dst, `\U%08x`, r)
		}
		i += size
	}
	return dst
}

// Line returns s as [Append] writes it: one line.
func Line(s string) string { return string(Append(nil, s, false)) }

// Lines is Line for each line of s. Tabs stay.
func Lines(s string) string {
	var b []byte
	for {
		i := strings.IndexAny(s, "\n\t")
		if i < 0 {
			return string(Append(b, s, false))
		}
		b = append(Append(b, s[:i], false), s[i])
		s = s[i+1:]
	}
}

// XML returns s as text of an XML document. What is not printable is a replacement
// character, line breaks apart.
func XML(s string) string {
	clean := strings.Map(func(r rune) rune {
		if r == '\n' || unicode.IsPrint(r) && r != utf8.RuneError {
			return r
		}
		return '�'
	}, s)
	var b bytes.Buffer
	_ = xml.EscapeText(&b, []byte(clean)) // a buffer takes everything
	return b.String()
}

// unquoted matches what a shell takes as it is.
var unquoted = regexp.MustCompile(`^[a-zA-Z0-9/._+=@:,%-]+$`)

// Shell returns s as bash takes it for one word. What is not printable is escaped, so
// that it is seen before it is pasted.
func Shell(s string) string {
	switch {
	case unquoted.MatchString(s):
		return s
	case strings.ContainsFunc(s, func(r rune) bool { return !unicode.IsPrint(r) }) || !utf8.ValidString(s):
		s = strings.NewReplacer(`\`, `\\`, `'`, `\'`).Replace(s)
		return "$'" + Line(s) + "'"
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}

// Command formats a command to be pasted. Each argument that is text becomes one word
// of it; those that are numbers or addresses stay as they are.
func Command(format string, args ...any) string {
	safe := make([]any, len(args))
	for i, arg := range args {
		safe[i] = word(arg)
	}
	return fmt.Sprintf(format, safe...)
}

// Raw is text that is part of a command already, made by this program.
type Raw string

func word(arg any) any {
	switch arg := arg.(type) {
	case int, int64, uint8, uint16, uint32, uint64, Raw:
		return arg
	case netip.AddrPort: // an IPv6 address is in brackets
		return bracketed(arg.String(), arg.Addr())
	case netip.Addr:
		return Shell(arg.String())
	}
	return Shell(fmt.Sprint(arg))
}

func bracketed(s string, a netip.Addr) string {
	if a.Zone() == "" || unquoted.MatchString(a.Zone()) {
		return s
	}
	return Shell(s)
}
