package cli

import (
	"testing"
)

func TestFill(t *testing.T) {
	const text = "One\ntwo three.\n\n  as it\n  is\n\nState:\n  up  yes\n"
	const want = "One two three.\n\n  as it\n  is\n\nState:\n  up  yes\n"
	if got := fill(text); got != want {
		t.Errorf("%q, want %q", got, want)
	}
}
