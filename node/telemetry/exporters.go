package telemetry

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"time"
)

// Setters make the options of one signal's exporter: all six exporters have the same, each with a
// type of its own.
type Setters[Option any] struct {
	Gzip    Option
	URL     func(string) Option
	Headers func(map[string]string) Option
	TLS     func(*tls.Config) Option
}

// OptionsTo are the options by which an exporter sends to a destination. What that leaves open is not
// set, so that the SDK's variables decide.
func OptionsTo[Option any](to *Destination, set Setters[Option]) (opts []Option) {
	if to.Gzip {
		opts = append(opts, set.Gzip)
	}
	if to.URL != "" {
		opts = append(opts, set.URL(to.URL))
	}
	if len(to.Headers) > 0 {
		opts = append(opts, set.Headers(to.Headers))
	}
	if to.TLS != nil {
		opts = append(opts, set.TLS(to.TLS))
	}
	return opts
}

// closeTime is for the last batch, when a node ends.
const closeTime = 3 * time.Second

// Shutdown has a provider send what waits, within a bound, and end. That the bound was reached is no
// error: what was not sent is counted.
func Shutdown(what string, shutdown func(context.Context) error) error {
	ctx, stop := context.WithTimeout(context.Background(), closeTime)
	defer stop()
	if err := shutdown(ctx); err != nil && !errors.Is(err, context.DeadlineExceeded) {
		return fmt.Errorf("close %s: %w", what, err)
	}
	return nil
}
