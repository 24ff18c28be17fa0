package telemetry

import (
	"cmp"
	"encoding/base64"
	"log/slog"
	"net/url"
	"os"
	"slices"
	"strings"
	"sync"

	"github.com/wgnode/wgnode/node/config"
	"github.com/wgnode/wgnode/probe/redact"
)

// Said logs that a receiver takes nothing, and that it does again: once each, however often it is
// tried. It is safe for concurrent use.
type Said struct {
	mu     sync.Mutex
	log    *slog.Logger
	signal Signal
	hide   *strings.Replacer
	failed bool
}

// NewSaid returns one for a signal of what o says; its log may be nil.
func NewSaid(o *Options, s Signal) *Said {
	log := o.Log
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	return &Said{log: log, signal: s, hide: hider(&o.Config, s, os.Getenv)}
}

const (
	// leastHidden is how long a word of a header is that is hidden, in bytes: a shorter one, as the number
	// of a tenant, stands in other words.
	leastHidden = 4
	mostSaid    = 512 // bytes of what a receiver says
)

// hider takes out of text what the headers hold. Errors have in them what the receiver says, or a proxy before
// it, and some of them repeat the request.
func hider(c *config.Telemetry, s Signal, getenv func(string) string) *strings.Replacer {
	var forms []string
	add := func(secret string) {
		for _, form := range append(redact.Forms([]byte(secret)), secret, url.QueryEscape(secret), url.PathEscape(secret)) {
			if len(form) >= leastHidden {
				forms = append(forms, form)
			}
		}
	}
	for _, headers := range []config.Telemetry{*c, {Headers: config.Password(signalVariable(getenv, s, "HEADERS"))}} {
		for _, value := range headers.HeaderMap() {
			words := strings.Fields(value)
			add(value)
			if len(words) > 1 { // the first is Bearer, or the like
				words = words[1:]
			}
			for _, w := range words {
				add(w)
				if plain, err := base64.StdEncoding.DecodeString(w); err == nil { // USER:PASSWORD
					_, password, _ := strings.Cut(string(plain), ":")
					add(string(plain))
					add(password)
				}
			}
		}
	}
	// Of two that begin at one place, the longer one.
	slices.SortFunc(forms, func(a, b string) int { return cmp.Compare(len(b), len(a)) })
	var pairs []string
	for _, form := range forms {
		pairs = append(pairs, form, "(hidden)")
	}
	return strings.NewReplacer(pairs...)
}

// text is an error as it may be shown.
func (s *Said) text(err error) string {
	text := s.hide.Replace(err.Error())
	if len(text) > mostSaid {
		text = strings.ToValidUTF8(text[:mostSaid], "") + " ..."
	}
	return text
}

// Say takes the outcome of one try.
func (s *Said) Say(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case err != nil && !s.failed:
		s.log.Warn("telemetry is not taken, and is lost beyond what waits", "signal", s.signal, "error", s.text(err))
	case err == nil && s.failed:
		s.log.Info("telemetry is taken again", "signal", s.signal)
	}
	s.failed = err != nil
}
