// Package fix holds what to do about a fault, as data: a list of steps in the order
// in which a person does them. A step is a command, a line of a configuration, or a
// note that explains the steps below it:
//
//	note     if 10.0.0.7 is behind bob, in [Peer] of bob (/etc/wireguard/wg0.conf):
//	config   AllowedIPs = 10.0.0.0/24, 10.0.0.7/32
//	note     or at once:
//	command  wg set wg0 peer KEY allowed-ips 10.0.0.0/24,10.0.0.7/32
//
// A step is kept apart from its text. [Step.Line] is the text of one, in the language
// of the file that it belongs into; the lines of all steps, one below the other, can
// be copied as they are, because notes are comments.
package fix

import (
	"fmt"
	"strings"

	"github.com/wgnode/wgnode/probe/harmless"
)

// Kind says what a step is.
type Kind string

// The kinds.
const (
	KindCommand Kind = "command" // a command for a shell, which changes something
	KindCheck   Kind = "check"   // a command that shows something and changes nothing
	KindConfig  Kind = "config"  // a line of a configuration, or the heading of a section
	KindNote    Kind = "note"    // one sentence for people, about the steps below
)

// Step is one thing to do. Its JSON form is a public contract.
type Step struct {
	Kind  Kind   `json:"kind"`
	Where Where  `json:"where,omitzero"`
	Note  string `json:"note,omitempty"` // of a note
	// Command is what to type into a shell. Words that come from elsewhere are quoted
	// in it; what only the user can know is in capitals: "via GATEWAY".
	Command string `json:"command,omitempty"`
	// Key and Value are those of a line of a configuration, as wg-quick spells them
	// whatever language the file has: "AllowedIPs", "10.0.0.0/8, fd00::/8". Without
	// a key it is the heading of the section; a key that begins with "--" is a flag of
	// wgnode in place of a line.
	Key   string `json:"key,omitempty"`
	Value string `json:"value,omitempty"`
}

// Steps are what to do about one fault, in order.
type Steps []Step

// Note is a note.
func Note(text string) Step { return Step{Kind: KindNote, Note: text} }

// Notef is a note, formatted as fmt.Sprintf does.
func Notef(format string, args ...any) Step { return Note(fmt.Sprintf(format, args...)) }

// Command is a command. Its arguments become words of it, quoted where that is
// necessary, as [harmless.Command] does.
func Command(format string, args ...any) Step {
	return Step{Kind: KindCommand, Command: harmless.Command(format, args...)}.sound()
}

// Commands are commands that are whole already.
func Commands(lines ...string) Steps {
	steps := make(Steps, len(lines))
	for i, line := range lines {
		steps[i] = Step{Kind: KindCommand, Command: line}.sound()
	}
	return steps
}

// Check is a command that changes nothing, with arguments as those of [Command].
func Check(format string, args ...any) Step {
	s := Command(format, args...)
	s.Kind = KindCheck
	return s
}

// Config is the line "key = value" of a configuration.
func Config(where Where, key, value string) Step {
	return Step{Kind: KindConfig, Where: where, Key: key, Value: value}.sound()
}

// Heading is the line that begins a section.
func Heading(where Where) Step { return Step{Kind: KindConfig, Where: where} }

// On returns the step as one to be done on another host than this one.
func (s Step) On(host string) Step {
	s.Where.Host = host
	return s
}

// On returns the steps with all that is to be done on this host to be done on host,
// and a note that says so.
func (ss Steps) On(host string) Steps {
	if len(ss) == 0 {
		return ss
	}
	there := make(Steps, 0, len(ss)+1)
	there = append(there, Note("on "+host+":"))
	for _, s := range ss {
		if s.Where.Host == "" && s.Kind != KindNote {
			s = s.On(host)
		}
		there = append(there, s)
	}
	return there
}

// Comment begins the line of a note: a shell, wg-quick and TOML all skip what follows.
const Comment = "# "

// Line is the step as text: what to type, or a comment.
func (s Step) Line() string {
	switch s.Kind {
	case KindNote:
		return Comment + s.Note
	case KindConfig:
		return s.Where.line(s.Key, s.Value)
	}
	return s.Command
}

// Lines are the lines of all steps.
func (ss Steps) Lines() []string {
	lines := make([]string, len(ss))
	for i, s := range ss {
		lines[i] = s.Line()
	}
	return lines
}

// FromLines reads the lines of steps as far as they say what they are: a note, or
// something to type. It is for reports of a version that had lines only.
func FromLines(lines []string) Steps {
	steps := Commands(lines...)
	for i, line := range lines {
		if note, ok := strings.CutPrefix(line, Comment); ok {
			steps[i] = Note(note)
		}
	}
	return steps
}
