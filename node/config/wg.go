package config

import (
	"io"
	"strings"
)

// ParseWG is [Parse] for a file of wg(8) alone: wg-quick's own keys are errors,
// as they are for `wg setconf`. [Strip] makes such a file of another.
func ParseWG(r io.Reader, path string) (*Config, error) { return parse(r, path, true) }

// Given reports whether a key was there, with whatever value: PersistentKeepalive
// = off is not the same as none when a device that runs is changed. The key is
// spelled as in wg(8).
func (i *Interface) Given(key string) bool { _, ok := i.lines[key]; return ok }

// Given is described at [Interface.Given].
func (p *Peer) Given(key string) bool { _, ok := p.lines[key]; return ok }

// Builder makes a Config of single values, for those who get them from
// elsewhere than a file, with a file's notation and checks.
type Builder struct{ p parser }

// NewBuilder begins in the section of the interface.
func NewBuilder() *Builder {
	return &Builder{parser{cfg: &Config{}, section: inInterface, wgOnly: true}}
}

// BeginPeer makes what is set next belong to one more peer.
func (b *Builder) BeginPeer() { b.p.beginPeer() }

// Set takes a value for one of wg(8)'s keys. Its error says what is wrong with
// the value and holds no secret. Unlike in a file, a peer's AllowedIPs may be
// empty, for none.
func (b *Builder) Set(key, value string) error {
	if value == "" && key == "AllowedIPs" && b.p.section == inPeer {
		b.p.remember(key)
		b.p.peer.Incremental = false
		return nil
	}
	if strings.ContainsFunc(value, isSpace) {
		// In a file it does not count, but an argument that holds some is another thing.
		return &Error{Key: key, Msg: "holds white space"}
	}
	b.p.errs = nil
	b.p.assign(key, value, value)
	if len(b.p.errs) > 0 {
		return b.p.errs[0]
	}
	return nil
}

// Config returns what was set so far.
func (b *Builder) Config() *Config { return b.p.cfg }
