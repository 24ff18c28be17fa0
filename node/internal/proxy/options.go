package proxy

import (
	"cmp"
	"crypto/sha256"
	"crypto/subtle"
	"log/slog"
	"time"
)

// Options are what every service can be told. The zero value is a good one.
type Options struct {
	// MaxConns is how many connections, or sessions of UDP, a service has at a
	// time; 4096, or 1024, if 0. Further connections wait to be accepted; a further session
	// takes the place of the one that was silent for longest.
	MaxConns int
	// HandshakeTime is how long a client may take to say what it wants; 10 s if 0.
	HandshakeTime time.Duration
	// DialTime is how long an attempt to connect may take; 30 s if 0.
	DialTime time.Duration
	// IdleTime is how long a session of UDP lasts without a packet; 60 s if 0.
	IdleTime time.Duration
	// Logger gets what goes wrong with a connection. Nil is for none.
	Logger *slog.Logger
}

// WithDefaults returns o with what is good in place of zeros.
func (o Options) WithDefaults() Options {
	o.MaxConns = cmp.Or(o.MaxConns, 4096)
	o.HandshakeTime = cmp.Or(o.HandshakeTime, 10*time.Second)
	o.DialTime = cmp.Or(o.DialTime, 30*time.Second)
	o.IdleTime = cmp.Or(o.IdleTime, time.Minute)
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	return o
}

// Credentials are what a client must know. The zero value is for none.
type Credentials struct{ User, Password string }

// Required reports whether a client must know something.
func (c Credentials) Required() bool { return c != Credentials{} }

// Match reports whether a client knows what it must. The time that it takes
// tells nothing about how much of it was right.
func (c Credentials) Match(user, password string) bool {
	return same(c.User, user)&same(c.Password, password) == 1
}

// same compares sums, so that not even lengths are told.
func same(a, b string) int {
	x, y := sha256.Sum256([]byte(a)), sha256.Sum256([]byte(b))
	return subtle.ConstantTimeCompare(x[:], y[:])
}

// String shows nothing.
func (c Credentials) String() string { return "(hidden)" }

// GoString shows nothing.
func (c Credentials) GoString() string { return "(hidden)" }
