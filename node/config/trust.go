package config

import (
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/wgnode/wgnode/node/safefile"
)

// Whoever can change a configuration can have root run commands, and whoever can
// change a file of keys or peers can get into the tunnel. So as root only what
// others cannot change is taken. Other users are warned: only what is theirs is at
// stake, and they may share it.

// openTrusted opens a regular file behind all symbolic links, and names it so. As
// root the error is a [safefile.Untrusted] if it could be others' work; for other
// users that is a warning.
func openTrusted(path string, owners safefile.Owners) (*os.File, []Warning, error) {
	f, err := safefile.Open(path, owners)
	doubt := doubtOf(err)
	if doubt == nil {
		return f, nil, err
	}
	if safefile.AsRoot() {
		return nil, nil, refused(doubt)
	}
	f, err = safefile.OpenAny(path)
	return f, []Warning{{Text: fmt.Sprintf("others can change what is in `%s': %v", path, doubt)}}, err
}

func refused(doubt *safefile.Untrusted) error { return fmt.Errorf("not taken as root: %w", doubt) }

// Inspect is [Read] for a file that may be anybody's, and of which nothing is to
// be done: it cannot be resolved.
func Inspect(path string) (*Config, error) {
	if err := checkName(path); err != nil {
		return nil, err
	}
	f, err := safefile.OpenAny(path)
	if err != nil {
		return nil, fmt.Errorf("load configuration: %w", err)
	}
	defer f.Close() // nothing was written: its error says nothing
	c, err := read(path, f)
	if err == nil {
		c.inspected = true
	}
	return c, err
}

// ReadTrusting is [Read] for a file that may as well be of certain users.
func ReadTrusting(path string, owners safefile.Owners) (*Config, error) {
	if err := checkName(path); err != nil {
		return nil, err
	}
	f, warnings, err := openTrusted(path, owners)
	if err != nil {
		return nil, fmt.Errorf("load configuration: %w", err)
	}
	defer f.Close() // nothing was written: its error says nothing
	c, err := read(path, f)
	if err != nil {
		return nil, err
	}
	c.owners, c.warnings = owners, append(warnings, c.warnings...)
	if err := c.checkHooks(); err != nil {
		return nil, err
	}
	return c, nil
}

// trusted are the users whose files c may point at.
func (c *Config) trusted() safefile.Owners {
	if c.owners == nil {
		return safefile.Mine() // it is from no file
	}
	return c.owners
}

// checkHooks makes sure that as root no hook is a script that others can change.
func (c *Config) checkHooks() error {
	var errs Errors
	var doubts []error
	for _, h := range c.Interface.hooks() {
		for n, command := range h.commands {
			if err := checkCommand(strings.ReplaceAll(command, "%i", c.Name), c.trusted()); err != nil {
				errs = append(errs, &Error{c.Path, c.Interface.lines[hookKey(h.key, n)], c.Spell(h.key), err.Error()})
				doubts = addDoubt(doubts, err)
			}
		}
	}
	if len(errs) > 0 {
		return withDoubts(errs, doubts)
	}
	return nil
}

// mistrust are errors that have to do with what others could have written.
type mistrust struct {
	Errors
	doubts []error // each a safefile.Untrusted
}

func (m *mistrust) Unwrap() []error { return append([]error{m.Errors}, m.doubts...) }

func withDoubts(errs Errors, doubts []error) error {
	if len(doubts) == 0 {
		return errs
	}
	return &mistrust{errs, doubts}
}

// addDoubt adds what of err is about others' files, if anything is.
func addDoubt(doubts []error, err error) []error {
	if doubt := doubtOf(err); doubt != nil {
		return append(doubts, doubt)
	}
	return doubts
}

// doubtOf returns what of err is about others' files, nil if nothing is.
func doubtOf(err error) *safefile.Untrusted {
	doubt, _ := errors.AsType[*safefile.Untrusted](err)
	return doubt
}

// checkCommand makes sure that as root the scripts that a command runs are such that
// others cannot change. What a script itself runs is its own affair.
func checkCommand(command string, owners safefile.Owners) error {
	if !safefile.AsRoot() {
		return nil
	}
	for _, path := range scripts(command) {
		f, err := safefile.Open(path, owners)
		if doubt := doubtOf(err); doubt != nil {
			return refused(doubt)
		}
		if err != nil {
			continue // the shell says what is wrong with it
		}
		_ = f.Close() // nothing was written
	}
	return nil
}
