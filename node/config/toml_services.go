package config

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// serviceTables are the tables of [Services].
var serviceTables = []tomlTable{
	proxyTable("socks5", func(s *Services) *[]Proxy { return &s.SOCKS5 }),
	proxyTable("http_proxy", func(s *Services) *[]Proxy { return &s.HTTP }),
	forwardTable("forward", false, func(s *Services) *[]Forward { return &s.Forwards }),
	forwardTable("remote_forward", true, func(s *Services) *[]Forward { return &s.RemoteForwards }),
	routeTable,
	{
		name: "dns", stack: StackOnly, reload: ReloadService,
		begin: func(p *parser) {
			p.section = inUnknown
			p.cfg.Services.dnsLine = p.lineNo
		},
		keys: []tomlKey{
			{name: "listen", kind: intOrStr, set: func(p *parser, v string) error {
				listen, err := parseListen(v, false)
				p.cfg.Services.DNS = append(p.cfg.Services.DNS, listen)
				return err
			}},
			{name: "prefer", kind: aString, set: (*parser).setPrefer},
		},
	},
}

func (p *parser) setPrefer(v string) error {
	if v != "ipv4" && v != "ipv6" {
		return fmt.Errorf("%s is neither ipv4 nor ipv6", quote(v))
	}
	p.cfg.Services.PreferIPv4 = v == "ipv4"
	return nil
}

func proxyTable(name string, all func(*Services) *[]Proxy) tomlTable {
	last := func(p *parser) *Proxy {
		list := *all(&p.cfg.Services)
		return &list[len(list)-1]
	}
	from := func(kind SourceKind) func(*parser, string) error {
		return func(p *parser, v string) (err error) {
			last(p).PasswordFrom, err = p.source(kind, v)
			return err
		}
	}
	return tomlTable{
		name: name, many: true, alone: true, stack: StackOnly, reload: ReloadService,
		begin: func(p *parser) {
			p.section = inUnknown
			list := all(&p.cfg.Services)
			*list = append(*list, Proxy{line: p.lineNo})
		},
		keys: []tomlKey{
			{name: "listen", kind: intOrStr, set: func(p *parser, v string) (err error) {
				last(p).Listen, err = parseListen(v, false)
				return err
			}},
			{name: "user", kind: aString, set: func(p *parser, v string) error {
				last(p).User = v
				return checkWord(v)
			}},
			{name: "password", kind: aString, set: func(p *parser, v string) error {
				last(p).Password = Password(v)
				return checkWord(v)
			}},
			{name: "password_file", kind: aString, set: from(SourceFile)},
			{name: "password_command", kind: aString, set: from(SourceCommand)},
			{name: "password_credential", kind: aString, set: from(SourceCredential)},
		},
		required: []string{"listen"},
		oneOf:    [][]string{secretKeys("password")},
		end: func(p *parser) {
			one := last(p)
			hasPassword := one.Password != "" || one.PasswordFrom != Source{}
			if hasPassword != (one.User != "") {
				p.fail("user", "%v", errPair)
			}
			if name == "http_proxy" {
				if err := checkBasicUser(one.User); err != nil {
					p.fail("user", "%v", err)
				}
			}
			p.listensTwice(one.Listen, "tcp")
		},
	}
}

// maxWord is how long SOCKS lets a user and a password be, in bytes (RFC 1929).
const maxWord = 255

// errPair is for a user without a password, or the reverse.
var errPair = errors.New("needs a password, and a password needs a user")

// checkWord is for a user or a password, which is not shown. An empty one is no
// wish for a proxy that is open: a variable may have been empty.
func checkWord(v string) error {
	switch {
	case v == "":
		return errEmpty
	case len(v) > maxWord:
		return fmt.Errorf("is longer than %d bytes", maxWord)
	}
	return nil
}

// checkBasicUser refuses a user that HTTP cannot say: there it ends at the first
// colon (RFC 7617).
func checkBasicUser(v string) error {
	if strings.Contains(v, ":") {
		return errors.New("contains a colon, which HTTP does not allow in a user name")
	}
	return nil
}

func forwardTable(name string, inside bool, all func(*Services) *[]Forward) tomlTable {
	last := func(p *parser) *Forward {
		list := *all(&p.cfg.Services)
		return &list[len(list)-1]
	}
	return tomlTable{
		name: name, many: true, stack: StackOnly, reload: ReloadService,
		begin: func(p *parser) {
			p.section = inUnknown
			list := all(&p.cfg.Services)
			*list = append(*list, Forward{line: p.lineNo})
		},
		keys: []tomlKey{
			{name: "protocol", kind: aString, set: func(p *parser, v string) error {
				last(p).Protocol = v
				if !slices.Contains(protocols, v) {
					return fmt.Errorf("%s is neither tcp nor udp", quote(v))
				}
				return nil
			}},
			{name: "listen", kind: intOrStr, set: func(p *parser, v string) (err error) {
				last(p).Listen, err = parseListen(v, inside)
				return err
			}},
			{name: "to", kind: aString, set: func(p *parser, v string) (err error) {
				last(p).To, err = parseTarget(v)
				return err
			}},
			{name: "idle_timeout", kind: anInt, set: func(p *parser, v string) error {
				seconds, err := parseUint(v, 31)
				if err != nil || seconds == 0 {
					return errors.New("want a number of seconds, 1 or more")
				}
				last(p).IdleTime = time.Duration(seconds) * time.Second
				return nil
			}},
		},
		required: []string{"protocol", "listen", "to"},
		end: func(p *parser) {
			f := last(p)
			if f.IdleTime != 0 && f.Protocol == "tcp" {
				p.fail("idle_timeout", "is for udp: a connection of tcp ends by itself")
			}
			if !inside {
				p.listensTwice(f.Listen, f.Protocol)
				return
			}
			others := p.cfg.Services.RemoteForwards
			for _, o := range others[:len(others)-1] {
				if o.Listen == f.Listen && o.Protocol == f.Protocol && f.Listen != "" {
					p.fail("listen", "line %d listens at %s already", o.line, f.Listen)
				}
			}
		},
	}
}

// listensTwice refuses a second service at an address. The present one is among
// those that are there already.
func (p *parser) listensTwice(listen, protocol string) {
	s := &p.cfg.Services
	count := 0
	if protocol == "tcp" {
		for _, one := range slices.Concat(s.SOCKS5, s.HTTP) {
			if one.Listen == listen {
				count++
			}
		}
	}
	for _, f := range s.Forwards {
		if f.Listen == listen && f.Protocol == protocol {
			count++
		}
	}
	if count > 1 && listen != "" {
		p.fail("listen", "something else listens at %s already", listen)
	}
}

// services writes the tables of s.
func (t tomlWriter) services(s *Services) {
	for _, kind := range []struct {
		table   string
		proxies []Proxy
	}{{"socks5", s.SOCKS5}, {"http_proxy", s.HTTP}} {
		header := "[" + kind.table + "]"
		if len(kind.proxies) > 1 {
			header = "[" + header + "]"
		}
		for _, one := range kind.proxies {
			t.line("\n%s", header)
			t.text("listen", one.Listen)
			t.text("user", one.User)
			t.secret("password", one.PasswordFrom, one.Password == "", func() string { return string(one.Password) })
		}
	}
	for _, kind := range []struct {
		table    string
		forwards []Forward
	}{{"forward", s.Forwards}, {"remote_forward", s.RemoteForwards}} {
		for _, f := range kind.forwards {
			t.line("\n[[%s]]", kind.table)
			t.text("protocol", f.Protocol)
			t.text("listen", f.Listen)
			t.text("to", f.To)
			t.number("idle_timeout", int64(f.IdleTime/time.Second))
		}
	}
	if len(s.Routes) > 0 {
		t.line("\n[route]")
		t.list("allow", routeTexts(s.Routes))
	}
	if len(s.DNS) == 0 && !s.PreferIPv4 {
		return
	}
	t.line("\n[dns]")
	if len(s.DNS) > 0 {
		t.text("listen", s.DNS[0])
	}
	if s.PreferIPv4 {
		t.text("prefer", "ipv4")
	}
}
