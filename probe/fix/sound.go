package fix

import (
	"fmt"
	"regexp"
	"strconv"
)

// numbers are those that a step may state, with the least and the greatest that make
// sense to whoever follows it. The MTU is that of a link with IPv4 (RFC 791), the segment
// size what belongs to it.
var numbers = []struct {
	name        string
	key         string         // of a line of a configuration
	in          *regexp.Regexp // finds the number in a command
	least, most int
}{
	{name: "MTU", key: "MTU", in: regexp.MustCompile(`\bmtu (-?\d+)\b`), least: 576, most: 65535},
	{name: "segment size", in: regexp.MustCompile(`\bmaxseg size set (-?\d+)\b`), least: 536, most: 65495},
	{name: "keepalive interval", key: "PersistentKeepalive", in: regexp.MustCompile(`\bpersistent-keepalive (-?\d+)\b`), most: 65535},
	{name: "port", key: "ListenPort", in: regexp.MustCompile(`\b(?:dport|sport|listen-port) (-?\d+)\b`), least: 1, most: 65535},
}

// ownAddresses finds commands that take from the kernel what makes an address this
// host's own: without it the host does not hear what is sent to it.
var ownAddresses = regexp.MustCompile(`\bip (?:-\S+ )*(?:route (?:del|delete|flush)\b.*\btable (?:local|255)\b|` +
	`route (?:del|delete) local |rule (?:del|delete|flush)\b.*\b(?:lookup|table) (?:local|255)\b)`)

// unsound says why nobody should do what a step says, "" if it may be done.
func (s Step) unsound() string {
	if s.Kind == KindCommand && ownAddresses.MatchString(s.Command) {
		return "it would take this host's own addresses out of its routing"
	}
	for _, n := range numbers {
		text := ""
		switch {
		case s.Kind == KindConfig && n.key != "" && s.Key == n.key:
			text = s.Value
		case s.Kind == KindCommand:
			if m := n.in.FindStringSubmatch(s.Command); m != nil {
				text = m[1]
			}
		}
		if v, err := strconv.Atoi(text); err == nil && (v < n.least || v > n.most) {
			return fmt.Sprintf("the %s %d is not within %d to %d", n.name, v, n.least, n.most)
		}
	}
	return ""
}

// sound is the step, or, where it would do harm, a note in its place. Every step is made
// by way of it, so that no rule's mistake becomes a command that somebody types.
func (s Step) sound() Step {
	if why := s.unsound(); why != "" {
		return Note("a step is left out here: " + why)
	}
	return s
}
