package config

import (
	"cmp"
	"slices"
)

// Unsupported returns, in the order of the file, what c asks for beyond the
// link, addresses, MTU, peers and plain routes. To bring c up regardless would
// leave the host in a state that the file does not describe: without a hook
// that opens the firewall, say, or with a default route that leaks. So if the
// list is not empty, nothing may be changed.
func (c *Config) Unsupported() []*Error {
	var errs []*Error
	i := &c.Interface
	not := func(line int, key, msg string) {
		errs = append(errs, &Error{c.Path, line, key, msg})
	}
	for _, u := range []struct {
		key  string
		used bool
	}{
		{"DNS", len(i.DNS)+len(i.Search) > 0},
		{"PreUp", len(i.PreUp) > 0},
		{"PostUp", len(i.PostUp) > 0},
		{"PreDown", len(i.PreDown) > 0},
		{"PostDown", len(i.PostDown) > 0},
		{"SaveConfig", i.SaveConfig},
		{"Table", i.Table != TableAuto},
	} {
		if u.used {
			not(i.lines[u.key], u.key, "is not supported yet")
		}
	}
	if i.Table == TableAuto {
		for _, r := range c.AllowedRoutes() {
			if r.Prefix.Bits() == 0 {
				not(c.Peers[r.Peer].AllowedIPsLine(r.Prefix), "AllowedIPs", "a default route ("+r.Prefix.String()+") is not supported yet")
			}
		}
	}
	slices.SortStableFunc(errs, func(a, b *Error) int { return cmp.Compare(a.Line, b.Line) })
	return errs
}
