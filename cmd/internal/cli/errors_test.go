package cli

import (
	"errors"
	"strings"
	"testing"
)

func TestReport(t *testing.T) {
	cause := errors.New("no route to 192.0.2.1\nno route to 192.0.2.2")
	for name, test := range map[string]struct {
		err    error
		status int
		text   string
	}{
		"nil":         {err: nil, status: 0, text: ""},
		"quiet":       {err: ExitStatus(2), status: 2, text: ""},
		"plain":       {err: cause, status: 1, text: "wgnode: no route to 192.0.2.1\nwgnode: no route to 192.0.2.2\n"},
		"hint of nil": {err: WithHint(nil, "x"), status: 0, text: ""},
		"hints, the nearest to the cause first": {
			err: WithHint(WithHint(errors.New("a"), "b", "c"), "d"), status: 1,
			text: "wgnode: a\nwgnode: hint: b\nwgnode: hint: c\nwgnode: hint: d\n",
		},
		"usage": {err: &usageError{errors.New("a")}, status: 2, text: "wgnode: a\n"},
		"words of others": {
			err: WithHint(errors.New("a\x1b[2J\u202eb\r\n\tc"), "d\x1b\ne"), status: 1,
			text: "wgnode: a\\x1b[2J\\u202eb\\x0d\nwgnode: \tc\nwgnode: hint: d\\x1b\\ne\n",
		},
	} {
		t.Run(name, func(t *testing.T) {
			var b strings.Builder
			if got := Report(&b, test.err); got != test.status {
				t.Errorf("status %d, want %d", got, test.status)
			}
			if b.String() != test.text {
				t.Errorf("text %q, want %q", b.String(), test.text)
			}
		})
	}
}
