package config

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// reference is the configuration that explains every key.
const reference = "../../examples/wgnode.toml"

// setting is a line that gives a key, or would without the # in front.
var setting = regexp.MustCompile(`^(#?)([a-z_]+) = `)

// The reference names every key in its table and nothing else, and each line
// in it is right, also those that are switched off.
func TestReference(t *testing.T) {
	text, err := os.ReadFile(reference)
	if err != nil {
		t.Fatal(err)
	}
	c := mustParseTOML(t, string(text))
	if w := c.Warnings(); w != nil {
		t.Errorf("warns: %v", w)
	}
	lines := strings.Split(string(text), "\n")
	told := make(map[string][]string)
	table, begin := "", 0
	for n, line := range lines {
		if strings.HasPrefix(line, "[") {
			table, begin = strings.Trim(line, "[]"), n
			if told[table] == nil { // another of its kind adds to it
				told[table] = []string{}
			}
			continue
		}
		m := setting.FindStringSubmatch(line)
		if m == nil {
			continue
		}
		off, name := m[1] != "", m[2]
		told[table] = append(told[table], name)
		if !off {
			continue
		}
		// Switch it on, and off what says the same in another way.
		on := slices.Clone(lines)
		on[n] = strings.TrimPrefix(line, "#")
		for other := begin + 1; other < len(on) && !strings.HasPrefix(on[other], "["); other++ {
			if m := setting.FindStringSubmatch(on[other]); other != n && m != nil && sameSecret(m[2], name) {
				on[other] = ""
			}
		}
		if _, err := ParseTOML(strings.NewReader(strings.Join(on, "\n")), "wgnode.toml"); err != nil {
			t.Errorf("line %d switched on: %v", n+1, err)
		}
	}
	for _, table := range tomlTables[1:] {
		var known []string
		for _, k := range table.keys {
			known = append(known, k.name)
		}
		got := told[table.name]
		slices.Sort(known)
		slices.Sort(got)
		if got = slices.Compact(got); !slices.Equal(got, known) {
			t.Errorf("%s tells of\n%v, the parser knows\n%v", table.header(), got, known)
		}
		delete(told, table.name)
	}
	if len(told) > 0 {
		t.Errorf("tables that there are not: %v", told)
	}
}

func sameSecret(a, b string) bool {
	return slices.ContainsFunc([]string{"private_key", "preshared_key", "password", "headers"}, func(s string) bool {
		return slices.Contains(secretKeys(s), a) && slices.Contains(secretKeys(s), b)
	})
}
