package control

import "errors"

// ErrNoSessionKeys: a recording was to have keys, and who is asked keeps none.
var ErrNoSessionKeys = errors.New("this node does not keep session keys, and nothing can be decrypted without them")

// kinds are the errors that a client tells apart, by their word in an answer. A word never
// changes; an answer of an earlier release has none.
var kinds = map[string]error{
	"no-session-keys": ErrNoSessionKeys,
}

// errorAnswer is the body of every answer that is not 200.
type errorAnswer struct {
	Error string `json:"error"`
	Kind  string `json:"kind,omitempty"` // a word for it, of those that a client tells apart
}

func answerOf(err error) errorAnswer {
	a := errorAnswer{Error: err.Error()}
	for kind, is := range kinds {
		if errors.Is(err, is) {
			a.Kind = kind
		}
	}
	return a
}

// err is the error that was answered: its text, and what it is as far as that is known.
func (a *errorAnswer) err() error {
	if is := kinds[a.Kind]; is != nil {
		return &answeredError{a.Error, is}
	}
	return errors.New(a.Error)
}

// answeredError is an error of who was asked, in its words.
type answeredError struct {
	text string
	is   error
}

func (e *answeredError) Error() string { return e.text }
func (e *answeredError) Unwrap() error { return e.is }
