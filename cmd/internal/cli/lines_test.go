package cli

import (
	"fmt"
	"strings"
	"testing"
)

// Of many routes in a row there is one line; all else is told as it comes.
func TestFoldedLines(t *testing.T) {
	routes := func(n int, verb string) (lines string) {
		for i := range n {
			lines += fmt.Sprintf("[#] ip -4 route %s 10.0.%d.0/24 dev wg0\n", verb, i)
		}
		return lines
	}
	const before, after = "[#] ip link set mtu 1420 up dev wg0\n", "[!] skipped: ip -4 route add 10.9.0.0/16 dev wg0: it is there\n"
	folded := func(n int, verb string) string {
		return fmt.Sprintf("[#] ip -4 route %s PREFIX dev wg0  # %d prefixes, from 10.0.0.0/24 to 10.0.%d.0/24; --verbose prints each\n",
			verb, n, n-1)
	}
	explained := strings.ReplaceAll(routes(30, "add"), "wg0\n", "wg0  # AllowedIPs of office\n")
	for _, c := range []struct{ in, want string }{
		{before + routes(20, "add") + after, before + routes(20, "add") + after},
		{before + routes(21, "add") + after, before + folded(21, "add") + after},
		{routes(30, "add") + routes(25, "delete"), folded(30, "add") + folded(25, "delete")},
		{routes(15, "add") + after + routes(15, "add"), routes(15, "add") + after + routes(15, "add")},
		{explained, explained},
	} {
		for _, whole := range []bool{true, false} {
			var b strings.Builder
			f := FoldedLines{To: &b}
			lines := []string{c.in}
			if !whole {
				lines = strings.SplitAfter(c.in, "\n")
			}
			for _, line := range lines {
				if n, err := f.Write([]byte(line)); n != len(line) || err != nil {
					t.Fatal(n, err)
				}
			}
			if err := f.Flush(); err != nil || b.String() != c.want {
				t.Errorf("%v\n%s\nwant\n%s", err, b.String(), c.want)
			}
		}
	}
}
