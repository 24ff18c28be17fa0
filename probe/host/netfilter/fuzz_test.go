//go:build linux

package netfilter

import (
	"strings"
	"testing"
)

// Whatever nft and iptables-save print, it is read as rules or passed over: no rule is
// made of nothing, and none is what no line says.
func FuzzRuleText(f *testing.F) {
	f.Add("table inet filter {\n\tchain input { # handle 1\n\t\ttype filter hook input priority 0; policy drop;\n" +
		"\t\tct state { established,\n\t\t\t related } accept # handle 4\n\t}\n}\n")
	f.Add("table ip x {\n\tset s { # handle 2\n\t\ttype ipv4_addr\n\t\telements = { 1.1.1.1 }\n\t}\n\tchain a {\n" +
		"\t\tcomment \"b # handle 3\" # handle 5\n")
	f.Add("*filter\n:INPUT ACCEPT [0:0]\n-A INPUT -s 10.0.0.0/8 -j DROP\n-A  x\n-A\nCOMMIT\n")
	f.Add("x # handle 99999999999999999999\n # handle 1\n")
	f.Fuzz(func(t *testing.T, out string) {
		for handle, text := range parseNFT([]byte(out)) {
			if strings.Contains(text, "\n") || handle == 0 && !strings.Contains(out, "handle 0") {
				t.Errorf("rule %d is %q", handle, text)
			}
		}
		count := 0
		for chain, rules := range parseIPTables([]byte(out)) {
			for _, r := range rules {
				if !strings.HasPrefix(r, "-A "+chain) || !strings.Contains(out, r) {
					t.Errorf("chain %q has %q", chain, r)
				}
				count++
			}
		}
		if want := strings.Count("\n"+out, "\n-A "); count != want {
			t.Errorf("%d rules of %d", count, want)
		}
	})
}
