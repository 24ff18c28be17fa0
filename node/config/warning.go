package config

import (
	"fmt"
	"os"
	"regexp"
	"slices"

	"github.com/wgnode/wgnode/probe/fix"
	"github.com/wgnode/wgnode/probe/harmless"
	"github.com/wgnode/wgnode/probe/key"
)

// Warning is something in a configuration that is accepted but likely not
// meant.
type Warning struct {
	Kind WarningKind
	Text string // one sentence, with file and line where there is one
	Fix  fix.Steps
}

// WarningKind tells those warnings from the rest that are also findings of a
// running node.
type WarningKind string

const (
	WarnOther         WarningKind = ""
	WarnOverlap       WarningKind = "overlap"        // two peers claim one prefix
	WarnOwnKey        WarningKind = "own-key"        // a peer has the interface's own key
	WarnWorldReadable WarningKind = "world-readable" // anybody can read a secret
)

// Missing returns what c needs to be of any use and does not have, one sentence
// each. A device takes it all the same, and so does wg-quick. It is for a c that is
// resolved.
func (c *Config) Missing() []string {
	say := func(key, text string) []string {
		return []string{(&Error{File: c.Path, Key: key, Msg: text}).Error()}
	}
	i := &c.Interface
	switch {
	case c.headed && len(i.lines) == 0 && i.PrivateKey.IsZero() && len(c.Peers) == 0:
		return say("", "[Interface] is empty: the tunnel has no key, no address and no peer")
	case len(i.lines) == 0 && i.PrivateKey.IsZero() && len(c.Peers) == 0 && c.comments == 0:
		return say("", "the file is empty: the tunnel has no key, no address and no peer")
	case len(i.lines) == 0 && i.PrivateKey.IsZero() && len(c.Peers) == 0:
		return say("", "the file holds nothing but comments: the tunnel has no key, no address and no peer")
	case i.PrivateKey.IsZero() && i.PrivateKeyFrom == Source{} &&
		!slices.ContainsFunc(slices.Concat(i.PreUp, i.PostUp), keySetter.MatchString):
		return say(c.Spell("PrivateKey"), "missing: without it no peer can be reached; `wgnode genkey` makes one")
	}
	return nil
}

// keySetter matches what in a hook may give the device its key.
var keySetter = regexp.MustCompile(`private-key|(set|add|sync)conf`)

// oneOwner is the cure for peers that claim the same.
var oneOwner = fix.Steps{fix.Note("remove it from one of the two sections; a longer prefix inside of the other's is not an overlap")}

// Warnings returns what is accepted but likely not meant, one sentence each,
// with file and line where there is one.
func (c *Config) Warnings() []string {
	var texts []string
	for _, w := range c.allWarnings() {
		texts = append(texts, w.Text)
	}
	return texts
}

// WarningsNow are the [Config.Warnings] as they are by now: the rights to the
// files with secrets in them may have changed since these were read. What
// cannot be looked at any more is left out.
func (c *Config) WarningsNow() []Warning {
	ws := slices.DeleteFunc(c.allWarnings(), func(w Warning) bool { return w.Kind == WarnWorldReadable })
	var open []Warning
	for _, path := range c.secretFiles {
		open = append(open, warnIfOpen(path)...)
	}
	return append(open, ws...)
}

func (c *Config) allWarnings() []Warning {
	ws := append(slices.Clone(c.warnings), c.ownKey()...)
	for _, text := range c.Services.Warnings() {
		ws = append(ws, Warning{Text: text})
	}
	return ws
}

// ownPublic returns the interface's own public key, nil while there is no private one.
func (c *Config) ownPublic() *key.Public {
	if c.Interface.PrivateKey.IsZero() {
		return nil
	}
	public := c.Interface.PrivateKey.Public()
	return &public
}

// ownKey tells of peers that have the interface's own key. A device leaves them
// out without a word.
func (c *Config) ownKey() []Warning {
	own := c.ownPublic()
	var ws []Warning
	for i := range c.Peers {
		p := &c.Peers[i]
		if own == nil || p.PublicKey != *own {
			continue
		}
		line := p.lines["PublicKey"]
		if line == 0 {
			line = p.Line
		}
		e := Error{c.Path, line, c.Spell("PublicKey"), "is this interface's own key: the peer is ignored"}
		ws = append(ws, Warning{WarnOwnKey, e.Error(), fix.Steps{
			fix.Note("on the host that the peer is meant to be, its public key is shown by:"), fix.Check("wg show all public-key")}})
	}
	return ws
}

// secretIn returns the name of f, which has secrets in it, for
// Config.secretFiles, and a warning if anybody can read them.
func secretIn(f *os.File) (path string, ws []Warning, err error) {
	path = f.Name()
	open, err := WorldAccessible(f)
	if open {
		ws = []Warning{{WarnWorldReadable, fmt.Sprintf("`%s' is world accessible", path), fix.Steps{fix.Command("chmod o= %s", path)}}}
	}
	return path, ws, err
}

func warnIfOpen(path string) []Warning {
	f, err := os.Open(path)
	if err != nil {
		return nil
	}
	defer f.Close() // nothing was written: its error says nothing
	_, ws, err := secretIn(f)
	if err != nil {
		return nil
	}
	return ws
}

// ShellQuote returns s as a shell takes it for one word.
func ShellQuote(s string) string { return harmless.Shell(s) }
