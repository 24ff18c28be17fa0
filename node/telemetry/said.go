package telemetry

import (
	"log/slog"
	"sync"
)

// Said logs that a receiver takes nothing, and that it does again: once each, however often it is
// tried. It is safe for concurrent use.
type Said struct {
	mu     sync.Mutex
	log    *slog.Logger
	signal Signal
	failed bool
}

// NewSaid returns one for a signal; log may be nil.
func NewSaid(log *slog.Logger, s Signal) *Said {
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	return &Said{log: log, signal: s}
}

// Say takes the outcome of one try.
func (s *Said) Say(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case err != nil && !s.failed:
		s.log.Warn("telemetry is not taken, and is lost beyond what waits", "signal", s.signal, "error", err)
	case err == nil && s.failed:
		s.log.Info("telemetry is taken again", "signal", s.signal)
	}
	s.failed = err != nil
}
