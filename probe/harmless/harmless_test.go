package harmless

import (
	"encoding/xml"
	"net/netip"
	"os/exec"
	"strings"
	"testing"
	"unicode"
)

// hostile are texts that are more than text, on a terminal or elsewhere.
var hostile = []string{
	"\x1b[2J\x1b]0;owned\a", "a\u202egnp.exe", "\u2066isolated\u2069", "\u200f", "two\nlines", "back\rup", "\x9b31m", "\xff\xfe", "nul\x00",
	"eth0; reboot", "$(reboot)", "`reboot`", "it's", "a'b\x1b", "-rf", "a b", `\`, `"`, "</text><script>", "&amp;", "",
	"'; touch x; '", "🙂 ünï",
}

func TestLine(t *testing.T) {
	for in, want := range map[string]string{
		"wg0": "wg0", "\x1b[2J": `\x1b[2J`, "a\u202eb": `a\u202eb`, "a\nb": `a\nb`, "a\tb": `a\x09b`, "\xff": `\xff`, "ü🙂": "ü🙂",
		"\U000e0001": `\U000e0001`, "\u009b": `\u009b`,
	} {
		if got := Line(in); got != want {
			t.Errorf("%q: %s, want %s", in, got, want)
		}
	}
	if got := Lines("a\x1b\n\tb\u202e"); got != "a\\x1b\n\tb\\u202e" {
		t.Errorf("lines: %q", got)
	}
}

func TestShell(t *testing.T) {
	for _, s := range hostile {
		if strings.Contains(s, "\x00") {
			continue // in no word of a command
		}
		out, err := exec.Command("bash", "-c", "printf %s "+Shell(s)).Output()
		// bash writes what \u stands for as the locale has it.
		if utf8Locale := !strings.ContainsFunc(s, func(r rune) bool { return r >= 0x80 && !unicode.IsPrint(r) }); err != nil ||
			utf8Locale && string(out) != s {
			t.Errorf("%q became %q as %s, %v", s, out, Shell(s), err)
		}
		if strings.ContainsFunc(Shell(s), func(r rune) bool { return !unicode.IsPrint(r) }) {
			t.Errorf("%q is shown as %q", s, Shell(s))
		}
	}
	for in, want := range map[string]string{"wg0": "wg0", "eth0; reboot": "'eth0; reboot'", "a\x1b": `$'a\x1b'`,
		"fe80::1%eth0": "fe80::1%eth0"} {
		if got := Shell(in); got != want {
			t.Errorf("%q: %s, want %s", in, got, want)
		}
	}
}

func TestCommand(t *testing.T) {
	got := Command("ip route add %s via %s dev %s metric %d",
		netip.MustParsePrefix("10.0.0.0/8"), netip.MustParseAddr("fe80::1%a;b"), "x; reboot", 5)
	if want := "ip route add 10.0.0.0/8 via 'fe80::1%a;b' dev 'x; reboot' metric 5"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
	got = Command("wg set %s peer %s endpoint %s%s", "wg0", "KEY=", netip.MustParseAddrPort("[2001:db8::1]:5"), Raw(" && true"))
	if want := "wg set wg0 peer KEY= endpoint [2001:db8::1]:5 && true"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
}

// Whatever it is, what comes out is printable, and one word or one text.
func FuzzHarmless(f *testing.F) {
	for _, s := range hostile {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		for name, out := range map[string]string{"line": Line(s), "shell": Shell(s)} {
			if strings.ContainsFunc(out, func(r rune) bool { return !unicode.IsPrint(r) }) {
				t.Errorf("%s of %q is %q", name, s, out)
			}
		}
		if strings.ContainsFunc(Lines(s), func(r rune) bool { return !unicode.IsPrint(r) && r != '\n' && r != '\t' }) {
			t.Errorf("lines of %q are %q", s, Lines(s))
		}
		var v struct {
			Text string `xml:",chardata"`
		}
		if err := xml.Unmarshal([]byte("<a>"+XML(s)+"</a>"), &v); err != nil {
			t.Errorf("%q as XML: %v", s, err)
		}
		if again := Line(Line(s)); again != Line(s) {
			t.Errorf("%q becomes %q, and that %q", s, Line(s), again)
		}
		word := Shell(s)
		if bare := strings.NewReplacer(`'\''`, "").Replace(word); !strings.HasPrefix(word, "$'") && strings.HasPrefix(bare, "'") &&
			strings.Count(bare, "'") != 2 {
			t.Errorf("%q is more than a word: %s", s, word)
		}
	})
}
