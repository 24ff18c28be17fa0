package schematest

import (
	"strings"
	"testing"
)

// A document is held strictly: what it does not have is an error.
func TestValidate(t *testing.T) {
	const good = `{"schema": 1, "interface": "wg0", "target": "10.0.0.2", "peer": "", "notes": [],
		"steps": [{"number": 1, "leg": "out", "zone": "tunnel", "place": "wire", "title": "wire", "status": "pass",
			"time": "2026-01-02T03:04:05Z", "result": "", "evidence": ["a"]}],
		"outcome": {"answered": true, "summary": ""}}`
	for _, c := range []struct {
		name     string
		old, new string // in good
		ok       bool
	}{
		{name: "good", ok: true},
		{name: "another number", old: `"schema": 1`, new: `"schema": 2`},
		{name: "no number", old: `"schema": 1, `, new: ``},
		{name: "a key more", old: `"answered": true`, new: `"answered": true, "late": 1`},
		{name: "a key less", old: `"peer": "", `, new: ``},
		{name: "another type", old: `"number": 1`, new: `"number": "1"`},
		{name: "another value", old: `"status": "pass"`, new: `"status": "passed"`},
		{name: "null for a list", old: `"notes": []`, new: `"notes": null`},
		{name: "no JSON", old: `{"schema"`, new: `"schema"`},
	} {
		if err := Validate("trace", []byte(strings.Replace(good, c.old, c.new, 1))); (err == nil) != c.ok {
			t.Errorf("%s: %v", c.name, err)
		}
	}
}
