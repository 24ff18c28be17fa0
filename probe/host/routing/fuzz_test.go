//go:build linux

package routing

import "testing"

// FuzzParse: whatever the kernel sends, the parsers and texts take it.
func FuzzParse(f *testing.F) {
	// A rule with each attribute, empty and too short, and a route with two ways.
	var empty, short message = make(message, 12), make(message, 12)
	for kind := range uint16(64) {
		empty, short = empty.with(kind, nil), short.with(kind, []byte{1})
	}
	f.Add([]byte(empty))
	f.Add([]byte(short))
	f.Add([]byte(append(message{2, 16, 0, 0, 254, 3, 0, 1, 0, 0, 0, 0}.with(1, []byte{10, 1, 0, 0}),
		message{}.with(9, []byte{8, 0, 0, 1, 2, 0, 0, 0, 8, 0, 0, 1, 3, 0, 0, 0})...)))
	f.Fuzz(func(t *testing.T, msg []byte) {
		s := &Snapshot{}
		var r Route
		var arena []Hop
		if parseRoute(msg, &r, &arena) {
			_ = r.String() + r.Delete()
		}
		if len(msg) >= 12 {
			rule := s.parseRule(msg)
			_ = rule.String()
			s.match(&rule, &key{dst: addr("10.0.0.1"), src: addr("10.0.0.2")})
		}
		parseLink(msg)
	})
}
