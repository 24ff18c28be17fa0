package control

import (
	"errors"
	"fmt"
	"testing"
)

// An error that a client tells apart comes over the socket as what it is; others, and those of an
// earlier release, as their text alone.
func TestAnsweredErrors(t *testing.T) {
	wrapped := fmt.Errorf("record wg0: %w", ErrNoSessionKeys)
	for _, c := range []struct {
		name   string
		answer errorAnswer
		text   string
		is     bool
	}{
		{name: "known", answer: answerOf(wrapped), text: wrapped.Error(), is: true},
		{name: "other", answer: answerOf(errors.New("no")), text: "no"},
		{name: "of an earlier release", answer: errorAnswer{Error: wrapped.Error()}, text: wrapped.Error()},
		{name: "of a later release", answer: errorAnswer{Error: "no", Kind: "not-known-yet"}, text: "no"},
	} {
		t.Run(c.name, func(t *testing.T) {
			err := c.answer.err()
			if err.Error() != c.text || errors.Is(err, ErrNoSessionKeys) != c.is {
				t.Errorf("%q, which is ErrNoSessionKeys: %v; want %q, %v", err, errors.Is(err, ErrNoSessionKeys), c.text, c.is)
			}
		})
	}
}
