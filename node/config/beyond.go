package config

import (
	"cmp"
	"slices"
	"strings"
	"unicode/utf8"
)

// BeyondConf returns, in the order of the file, what c says and a .conf cannot.
func (c *Config) BeyondConf() []*Error {
	var errs []*Error
	not := func(line int, key, why string) {
		errs = append(errs, &Error{c.Path, line, c.Spell(key), why})
	}
	const (
		unknown = "is not known to wg-quick"
		inKey   = "a .conf holds the key itself"
	)
	i := &c.Interface
	for _, u := range []struct {
		key  string
		used bool
	}{
		{"resolver", i.Resolver != ""},
		{"kill_switch", i.KillSwitch},
		{"kill_switch_lan", i.KillSwitchLAN},
		{"exclude", len(i.Exclude) > 0},
		{"forward", i.Forward},
		{"masquerade", len(i.Masquerade) > 0},
		{"port_forward", len(i.PortForwards) > 0},
	} {
		if u.used {
			not(i.lines[u.key], u.key, unknown)
		}
	}
	if m := &c.Metrics; !m.Listen.IsZero() {
		not(m.line, "metrics", unknown)
	}
	if t := &c.Telemetry; t.Endpoint != "" {
		not(t.line, "telemetry", unknown)
	}
	if from := i.PrivateKeyFrom; from != (Source{}) {
		not(i.lines["PrivateKey"], "private_key_"+string(from.Kind), inKey)
	}
	for _, u := range c.Services.uses() {
		if u.used {
			not(u.line, u.table, unknown)
		}
	}
	if c.Import != "" {
		not(c.importLine, "WGConfig", "is not known to wg-quick, whose files hold all themselves")
	}
	if i.PeersFile != "" {
		not(i.lines["peers_file"], "peers_file", "a .conf holds its peers itself")
	}
	for _, h := range i.hooks() {
		if slices.ContainsFunc(h.commands, func(s string) bool { return strings.Contains(s, "\n") }) {
			not(i.lines[h.key], h.key, "a command of several lines; a .conf has one line for each")
		}
	}
	for n := range c.Peers {
		if p := &c.Peers[n]; p.PresharedKeyFrom != (Source{}) && !p.Shared {
			not(p.lines["PresharedKey"], "preshared_key_"+string(p.PresharedKeyFrom.Kind), inKey)
		}
	}
	slices.SortStableFunc(errs, func(a, b *Error) int { return cmp.Compare(a.Line, b.Line) })
	return errs
}

// beyondTOML returns what c says and a TOML file cannot: what is not UTF-8.
func (c *Config) beyondTOML() Errors {
	var errs Errors
	check := func(line int, key string, values ...string) {
		if slices.ContainsFunc(values, func(v string) bool { return !utf8.ValidString(v) }) {
			errs = append(errs, &Error{c.Path, line, c.Spell(key), "is not UTF-8, which a .toml is"})
		}
	}
	i := &c.Interface
	check(i.lines["DNS"], "DNS", i.Search...)
	for _, h := range i.hooks() {
		check(i.lines[h.key], h.key, h.commands...)
	}
	for n := range c.Peers {
		p := &c.Peers[n]
		check(p.lines["Endpoint"], "Endpoint", p.Endpoint)
	}
	if c.Import != "" {
		errs = append(errs, &Error{c.Path, c.importLine, "WGConfig", "is a file of its own, which a .toml does not point at"})
	}
	if c.Services.Stdio != "" {
		errs = append(errs, &Error{c.Path, 0, "STDIOTunnel", "is not known to a .toml: `wgnode connect` does it"})
	}
	if len(c.Services.DNS) > 1 {
		errs = append(errs, &Error{c.Path, 0, "dns", "is there more than once"})
	}
	check(c.Telemetry.line, "headers", string(c.Telemetry.Headers))
	for _, one := range slices.Concat(c.Services.SOCKS5, c.Services.HTTP) {
		check(one.line, "password", one.User, string(one.Password))
	}
	return errs
}

// hookList are the commands for one occasion.
type hookList struct {
	key      string
	commands []string
}

func (i *Interface) hooks() []hookList {
	return []hookList{{"PreUp", i.PreUp}, {"PostUp", i.PostUp}, {"PreDown", i.PreDown}, {"PostDown", i.PostDown}}
}

// WG returns a copy of c with what is wg(8)'s alone, for `strip`. It is for a c
// that is resolved.
func (c *Config) WG() *Config {
	i := &c.Interface
	wg := &Config{Path: c.Path, Name: c.Name, Peers: slices.Clone(c.Peers),
		Interface: Interface{PrivateKey: i.PrivateKey, ListenPort: i.ListenPort, FwMark: i.FwMark}}
	wg.Inline()
	return wg
}
