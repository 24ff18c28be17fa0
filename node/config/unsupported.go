package config

import (
	"cmp"
	"slices"
)

// Unsupported returns, in the order of the file, what c asks for beyond what
// wg-quick's files can say. To bring c up regardless would leave the host in a
// state that the file does not describe: without the kill switch that it relies
// on, say. So if the list is not empty, nothing may be changed.
func (c *Config) Unsupported() []*Error {
	var errs []*Error
	i := &c.Interface
	not := func(line int, key, msg string) {
		errs = append(errs, &Error{c.Path, line, c.spell(key), msg})
	}
	for _, u := range []struct {
		key  string
		used bool
	}{
		{"kill_switch", i.KillSwitch},
		{"exclude", len(i.Exclude) > 0},
		{"forward", i.Forward},
		{"masquerade", len(i.Masquerade) > 0},
		{"port_forward", len(i.PortForwards) > 0},
	} {
		if u.used {
			not(i.lines[u.key], u.key, "is not supported yet")
		}
	}
	slices.SortStableFunc(errs, func(a, b *Error) int { return cmp.Compare(a.Line, b.Line) })
	return errs
}
