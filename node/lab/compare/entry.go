package compare

import (
	"fmt"
	"strings"
)

// Entry is a contestant.
type Entry struct {
	Name string `json:"name"`
	// Daemon makes the interface whose name it is given, unconfigured, and
	// serves WireGuard's configuration protocol in /var/run/wireguard. It may
	// stay in the foreground or not.
	Daemon Command `json:"daemon"`
	// Alongside, if not empty, runs on both ends during the measurements. Its
	// CPU time is not counted as the daemon's.
	Alongside Command `json:"alongside,omitempty"`
	// Against is the name of an earlier entry that this one is compared to; empty
	// means the first.
	Against string `json:"against,omitempty"`
}

// Command is a program with its arguments, in which "{}" stands for the name of
// the interface.
type Command []string

// For returns the arguments of the command for an interface.
func (c Command) For(name string) []string {
	args := make([]string, len(c))
	for i, a := range c {
		args[i] = strings.ReplaceAll(a, "{}", name)
	}
	return args
}

// ParseEntry reads "name=daemon" or "name=daemon & alongside". Commands are
// split at spaces; there is no quoting. A daemon that does not say where the
// name of the interface goes gets it as its last argument.
func ParseEntry(text string) (Entry, error) {
	name, commands, found := strings.Cut(text, "=")
	daemon, alongside, two := strings.Cut(commands, " & ")
	e := Entry{Name: name, Daemon: strings.Fields(daemon), Alongside: strings.Fields(alongside)}
	switch {
	case !found || name == "":
		return Entry{}, fmt.Errorf("entry %q: want name=command", text)
	case len(e.Daemon) == 0:
		return Entry{}, fmt.Errorf("entry %q: no command", text)
	case two && len(e.Alongside) == 0:
		return Entry{}, fmt.Errorf("entry %q: no command after &", text)
	}
	if !strings.Contains(daemon, "{}") {
		e.Daemon = append(e.Daemon, "{}")
	}
	return e, nil
}
