// Package resolver makes this host ask a tunnel's name servers while the tunnel
// is up, and puts everything back afterwards.
//
// A Linux host has one of three places where name servers are set, and they are
// the [Kind]s of this package:
//
//   - systemd-resolved keeps them for each link, and forgets them with the link.
//     It is spoken to over D-Bus.
//   - The program resolvconf, Debian's or openresolv, keeps a record for each
//     link and writes /etc/resolv.conf from all of them. It is called as
//     wg-quick calls it.
//   - Else there is the file /etc/resolv.conf itself. It is replaced.
//
// [Host.Choose] finds out which one a host has and says why, changing nothing.
// With [Settings] the [Choice] becomes a [Change]: plain data, which a journal
// can hold. [Host.Do] does the change, and [Host.Undo] undoes it, also in
// another process after the first one was killed at whatever moment.
//
// # The file
//
// A replaced /etc/resolv.conf carries in its comments, readable for people, all
// that was there before: it may outlast what is kept under /run, when the power
// fails. It also carries the name servers of each tunnel that is up, the last
// one's in effect. So tunnels may go down in any order: each takes out what is
// its own, and the last one puts the original back. Tunnels whose link is gone
// are taken out on the way.
//
// The file changes by a rename, so that no program ever reads half of it. Where
// it is a mount point, as in containers, or its folder is read-only, it is
// written in place. If somebody else writes it meanwhile it is theirs from then
// on: Undo leaves it as it is and returns [ErrChanged].
package resolver

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"regexp"
	"strings"
	"unicode"
)

// Kind is a place where name servers are set.
type Kind string

const (
	Auto       Kind = ""                 // the one that the host has, see [Host.Choose]
	Resolved   Kind = "systemd-resolved" // by D-Bus
	Resolvconf Kind = "resolvconf"       // the program
	File       Kind = "file"             // /etc/resolv.conf itself
	Off        Kind = "off"              // nowhere
)

// Name is what people call the kind.
func (k Kind) Name() string {
	if k == File {
		return "replacing " + resolvConf
	}
	return string(k)
}

// ParseKind reads a kind as a configuration has it; "" and "auto" are [Auto].
func ParseKind(s string) (Kind, error) {
	switch k := Kind(s); k {
	case "auto":
		return Auto, nil
	case Auto, Resolved, Resolvconf, File, Off:
		return k, nil
	}
	return "", fmt.Errorf("unknown resolver %q: there are auto, %s, %s, %s and %s", s, Resolved, Resolvconf, File, Off)
}

// Settings is what a tunnel wants of the resolver.
type Settings struct {
	Link    string       `json:"link"`
	Servers []netip.Addr `json:"servers"`
	// Search are search domains. One that begins with "~" is, for
	// systemd-resolved, not searched: it only leads names to these servers.
	Search []string `json:"search,omitempty"`
	// AllNames asks these servers for all names, and no others. Without it
	// systemd-resolved asks them only for names in the search domains, and
	// resolvconf asks them among others; the file knows nothing but all names.
	AllNames bool `json:"all_names,omitempty"`
}

// check finds what could not be written down as what it is.
func (s Settings) check() error {
	if len(s.Servers) == 0 {
		return errors.New("no name servers")
	}
	odd := func(r rune) bool { return unicode.IsSpace(r) || !unicode.IsPrint(r) }
	for _, d := range s.Search {
		if d == "" || strings.ContainsFunc(d, odd) {
			return fmt.Errorf("%q is not a search domain", d)
		}
	}
	for _, a := range s.Servers {
		if !a.IsValid() || strings.ContainsFunc(a.Zone(), odd) {
			return fmt.Errorf("%q is not the address of a name server", a)
		}
	}
	return nil
}

// lines are the settings in the language of resolv.conf(5), byte for byte as
// wg-quick writes them.
func (s Settings) lines() string {
	var b strings.Builder
	for _, a := range s.Servers {
		fmt.Fprintf(&b, "nameserver %s\n", a)
	}
	if len(s.Search) > 0 {
		fmt.Fprintf(&b, "search %s\n", strings.Join(s.Search, " "))
	}
	return b.String()
}

// Change is one tunnel's change to the resolver, with all that is needed to
// undo it. It is plain data.
type Change struct {
	Kind Kind `json:"kind"`
	Settings
	// Record is resolvconf's name for the settings.
	Record string `json:"record,omitempty"`
	// Before is what the file was.
	Before *Snapshot `json:"before,omitempty"`
}

// Change is what s means on this host. The error says what in s is malformed.
func (c Choice) Change(s Settings) (Change, error) {
	if err := s.check(); err != nil {
		return Change{}, fmt.Errorf("set name servers for %s: %w", s.Link, err)
	}
	ch := Change{Kind: c.Kind, Settings: s}
	switch c.Kind {
	case Resolvconf, Off: // the latter only to say what is not done
		ch.Record = c.Prefix + s.Link
	case File:
		ch.Before = c.Before
	}
	return ch, nil
}

// maxServers is how many servers C libraries heed in the file (MAXNS in glibc's
// and musl's resolv.h).
const maxServers = 3

// rewriters are programs that write the file whenever they see fit, and say in
// it that they did. Docker also says so, but writes it only once.
var rewriters = regexp.MustCompile(`(?im)^[#;] *generated by (NetworkManager|dhcpcd|Connection Manager)`)

// Note is what people should know of a change that will be done all the same,
// or "".
func (c Change) Note() string {
	if c.Kind != File {
		return ""
	}
	var notes []string
	if n := len(c.Servers); n > maxServers {
		notes = append(notes, fmt.Sprintf("most programs ask only the first %d of the %d name servers in %s", maxServers, n, resolvConf))
	}
	if m := rewriters.FindSubmatch(c.Before.Content); m != nil {
		notes = append(notes, fmt.Sprintf("%s was written by %s: when that writes it again, the tunnel's name servers are "+
			"gone from it", resolvConf, m[1]))
	}
	return strings.Join(notes, "; ")
}

// Command is the command that would do the change.
func (c Change) Command() string {
	switch c.Kind {
	case Resolved:
		return c.resolvectl()
	case Resolvconf, Off:
		return "resolvconf " + strings.Join(c.addArgs(), " ")
	case File:
		return fmt.Sprintf("printf '%s' > %s", strings.ReplaceAll(c.lines(), "\n", `\n`), resolvConf)
	}
	return fmt.Sprintf("unknown resolver %q", string(c.Kind))
}

// UndoCommand is the command that would undo the change.
func (c Change) UndoCommand() string {
	switch c.Kind {
	case Resolved:
		return "resolvectl revert " + c.Link
	case Resolvconf:
		return "resolvconf " + strings.Join(c.deleteArgs(), " ")
	case File:
		return c.Before.command()
	}
	return fmt.Sprintf("unknown resolver %q", string(c.Kind))
}

// Errors of [Host.Undo] that say that there is nothing more to be done.
var (
	// ErrNotSet: the change was never done, or is undone already.
	ErrNotSet = errors.New("there is nothing to put back")
	// ErrChanged: what is there now is somebody else's.
	ErrChanged = errors.New("another program has changed it meanwhile")
)

// Do does a change. The index is that of its link. If it fails it leaves
// nothing behind.
func (h Host) Do(ctx context.Context, c Change, index int) error {
	switch c.Kind {
	case Resolved:
		return doResolved(ctx, c, index)
	case Resolvconf:
		return doResolvconf(ctx, c)
	case File:
		return h.doFile(c)
	}
	return errors.New(c.Command())
}

// Undo undoes a change, also one that another process has begun and perhaps not
// finished. The index is that of its link, which may be gone. The error wraps
// [ErrNotSet] or [ErrChanged] if there is nothing more to be done. It has time
// limits of its own, as has Choose.
func (h Host) Undo(c Change, index int) error {
	switch c.Kind {
	case Resolved:
		return undoResolved(c.Link, index)
	case Resolvconf:
		return undoResolvconf(c)
	case File:
		return h.undoFile(c)
	}
	return errors.New(c.UndoCommand())
}
