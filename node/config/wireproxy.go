package config

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"
)

// A file of wireproxy's is one of wg-quick's with more sections, or with WGConfig
// in place of [Interface] and [Peer]. As there, a `;` begins a comment too, values
// may be in quotation marks, one that begins with a `$` names a variable of the
// environment (`$$` is a dollar), and a peer without AllowedIPs gets everything.

// wireproxySection is one kind of section that wg-quick does not have.
type wireproxySection struct {
	name string
	keys []string
	// need are those that must be there.
	need []string
	take func(p *parser, s *wireproxyValues)
}

// wireproxyValues are the keys of one section.
type wireproxyValues struct {
	kind *wireproxySection
	line int
	text map[string]string // by the name in kind.keys
	at   map[string]int    // lines
}

var wireproxySections = []wireproxySection{
	{"Socks5", proxyKeys, []string{"BindAddress"}, func(p *parser, s *wireproxyValues) {
		p.cfg.Services.SOCKS5 = append(p.cfg.Services.SOCKS5, p.wireproxyProxy(s))
	}},
	{"http", proxyKeys, []string{"BindAddress"}, func(p *parser, s *wireproxyValues) {
		p.cfg.Services.HTTP = append(p.cfg.Services.HTTP, p.wireproxyProxy(s))
	}},
	{"TCPClientTunnel", []string{"BindAddress", "Target"}, []string{"BindAddress", "Target"}, func(p *parser, s *wireproxyValues) {
		p.cfg.Services.Forwards = append(p.cfg.Services.Forwards,
			Forward{Protocol: "tcp", Listen: p.bindAddress(s), To: p.target(s), line: s.line})
	}},
	{"UDPProxyTunnel", []string{"BindAddress", "Target", "InactivityTimeout"}, []string{"BindAddress", "Target"},
		func(p *parser, s *wireproxyValues) {
			p.cfg.Services.Forwards = append(p.cfg.Services.Forwards,
				Forward{Protocol: "udp", Listen: p.bindAddress(s), To: p.target(s), IdleTime: p.inactivity(s), line: s.line})
		}},
	{"TCPServerTunnel", []string{"ListenPort", "Target"}, []string{"ListenPort", "Target"}, func(p *parser, s *wireproxyValues) {
		port, err := parsePort(s.text["ListenPort"])
		if err != nil {
			p.failAt(s, "ListenPort", err)
		}
		p.cfg.Services.RemoteForwards = append(p.cfg.Services.RemoteForwards,
			Forward{Protocol: "tcp", Listen: joinHostPort("", port), To: p.target(s), line: s.line})
	}},
	{"STDIOTunnel", []string{"Target"}, []string{"Target"}, func(p *parser, s *wireproxyValues) {
		if p.cfg.Services.Stdio != "" {
			p.failAt(s, "Target", errors.New("there is one standard input: keep one [STDIOTunnel]"))
		}
		p.cfg.Services.Stdio = p.target(s)
	}},
	{"Resolve", []string{"ResolveStrategy"}, nil, func(p *parser, s *wireproxyValues) {
		switch v := strings.ToLower(s.text["ResolveStrategy"]); v {
		case "", "auto", "ipv6": // a stack without IPv6 has nothing but IPv4 to try
		case "ipv4":
			p.cfg.Services.PreferIPv4 = true
		default:
			p.failAt(s, "ResolveStrategy", fmt.Errorf("%s is none of auto, ipv4, ipv6", quote(v)))
		}
	}},
}

var proxyKeys = []string{"BindAddress", "Username", "Password"}

// wireproxyOnly are keys of [Interface] that are about wireproxy's own pings.
var wireproxyOnly = []string{"CheckAlive", "CheckAliveInterval"}

// sectionNamed returns the kind of section that a header begins, nil if it is
// not one of wireproxy's.
func sectionNamed(header string) *wireproxySection {
	i := slices.IndexFunc(wireproxySections, func(s wireproxySection) bool {
		return strings.EqualFold(header, "["+s.name+"]")
	})
	if i < 0 {
		return nil
	}
	return &wireproxySections[i]
}

// isWireproxy reports whether a .conf has something in it that wireproxy knows
// and wg-quick does not.
func isWireproxy(text string) bool {
	before := true // any section
	for line := range strings.SplitSeq(text, "\n") {
		line = trim(iniValue(line))
		if strings.HasPrefix(line, "[") {
			before = false
			if sectionNamed(squeeze(line)) != nil {
				return true
			}
		}
		if name, _, ok := strings.Cut(line, "="); ok && before && strings.EqualFold(trim(name), "WGConfig") {
			return true
		}
	}
	return false
}

var everything = []netip.Prefix{netip.MustParsePrefix("0.0.0.0/0"), netip.MustParsePrefix("::/0")}

// iniValue cuts a comment off.
func iniValue(line string) string {
	if i := strings.IndexAny(line, "#;"); i >= 0 {
		return line[:i]
	}
	return line
}

// wireproxyLines takes a whole file.
func (p *parser) wireproxyLines(text string) {
	p.cfg.ForStack = true
	var open *wireproxyValues
	finish := func() {
		if open != nil {
			p.finishSection(open)
		}
		open = nil
	}
	for line := range strings.SplitSeq(text, "\n") {
		p.lineNo++
		if strings.ContainsRune(line, 0) {
			p.fail("", "holds a zero byte: not a text file")
			continue
		}
		p.wireproxyComment(line)
		stripped := trim(iniValue(line))
		switch {
		case stripped == "":
		case stripped[0] == '[':
			finish()
			if kind := sectionNamed(squeeze(stripped)); kind != nil {
				p.section = inUnknown // whose keys are not the parser's
				open = &wireproxyValues{kind, p.lineNo, make(map[string]string), make(map[string]int)}
				continue
			}
			p.header(squeeze(stripped))
		default:
			p.wireproxyKey(open, line)
		}
	}
	finish()
	for i := range p.cfg.Peers {
		if peer := &p.cfg.Peers[i]; !peer.Given("AllowedIPs") {
			peer.AllowedIPs = slices.Clone(everything)
		}
	}
	if p.cfg.Import != "" && (p.cfg.Interface.lines != nil || len(p.cfg.Peers) > 0) {
		p.lineNo = p.cfg.importLine
		p.fail("WGConfig", "names the file of [Interface] and [Peer], which are here as well: keep one of them")
	}
}

// wireproxyComment takes the name of a peer out of a comment.
func (p *parser) wireproxyComment(line string) {
	_, comment, commented := strings.Cut(line, "#")
	if p.section == inPeer && p.peer.Name == "" {
		p.peer.Name = peerName(comment)
		commented = commented && p.peer.Name == ""
	}
	if commented {
		p.cfg.comments++
	}
}

// wireproxyKey takes a line KEY = VALUE of a section, which is open if it is one
// that only wireproxy knows.
func (p *parser) wireproxyKey(open *wireproxyValues, line string) {
	name, value, ok := strings.Cut(line, "=")
	if name = trim(name); !ok {
		p.notAnAssignment(trim(iniValue(name)))
		return
	}
	value, err := substitute(trim(value))
	if err != nil {
		p.fail(name, "%v", err)
		return
	}
	switch {
	case open != nil:
		p.sectionKey(open, name, value)
	case p.section == beforeAny && strings.EqualFold(name, "WGConfig"):
		p.cfg.Import, p.cfg.importLine = p.importPath(value), p.lineNo
	case p.section == inInterface && slices.ContainsFunc(wireproxyOnly, func(k string) bool { return strings.EqualFold(k, name) }):
		p.warn(p.lineNo, name, "is ignored: `wgnode doctor` says how peers fare")
	default:
		p.assign(squeeze(name), value, value)
	}
}

// variableName is one as they are commonly written.
var variableName = regexp.MustCompile(`^[A-Z_][A-Z0-9_]*$`)

// substitute returns what a value stands for.
func substitute(v string) (string, error) {
	if n := len(v); n > 1 && strings.ContainsRune("\"'`", rune(v[0])) && strings.IndexByte(v[1:], v[0]) >= 0 {
		v = v[1 : 1+strings.IndexByte(v[1:], v[0])]
	} else {
		v = trim(iniValue(v))
	}
	variable, ok := strings.CutPrefix(v, "$")
	switch {
	case !ok:
		return v, nil
	case strings.HasPrefix(variable, "$"):
		return variable, nil
	}
	value, ok := os.LookupEnv(variable)
	switch {
	case ok:
		return value, nil
	case variableName.MatchString(variable):
		return "", fmt.Errorf("the environment has no $%s", variable)
	}
	return "", errors.New("begins with a dollar, but names no variable: write $$ for a dollar") // it may be a password
}

// importPath is relative to the folder of the file, or else, as wireproxy has
// it, to the current one.
func (p *parser) importPath(v string) string {
	path := p.resolvePath(v)
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) && !filepath.IsAbs(v) {
		if abs, err := filepath.Abs(v); err == nil && exists(abs) {
			return abs
		}
	}
	return path
}

func (p *parser) sectionKey(s *wireproxyValues, name, value string) {
	i := slices.IndexFunc(s.kind.keys, func(k string) bool { return strings.EqualFold(k, name) })
	if i < 0 {
		p.fail("", "%s in [%s]: there are %s", unknownKey(name, s.kind.keys), s.kind.name, strings.Join(s.kind.keys, ", "))
		return
	}
	s.text[s.kind.keys[i]], s.at[s.kind.keys[i]] = value, p.lineNo
}

func (p *parser) finishSection(s *wireproxyValues) {
	for _, name := range s.kind.need {
		if s.text[name] == "" {
			p.failAt(s, name, fmt.Errorf("missing in this [%s]", s.kind.name))
			return
		}
	}
	s.kind.take(p, s)
}

// failAt is fail at the line of a key, or at that of its section.
func (p *parser) failAt(s *wireproxyValues, name string, err error) {
	line := s.line
	if at, ok := s.at[name]; ok {
		line = at
	}
	p.errs = append(p.errs, &Error{p.cfg.Path, line, name, err.Error()})
}

func (p *parser) wireproxyProxy(s *wireproxyValues) Proxy {
	_, hasUser := s.at["Username"]
	_, hasPassword := s.at["Password"]
	for _, name := range []string{"Username", "Password"} {
		if _, given := s.at[name]; !given {
			continue
		}
		if err := checkWord(s.text[name]); err != nil {
			p.failAt(s, name, err)
		}
	}
	user := s.text["Username"]
	if hasUser != hasPassword {
		p.failAt(s, "Username", errPair)
	} else if hasUser && s.kind.name == "http" {
		if err := checkBasicUser(user); err != nil {
			p.failAt(s, "Username", err)
		}
	}
	return Proxy{Listen: p.bindAddress(s), User: user, Password: Password(s.text["Password"]), line: s.line}
}

// bindAddress may leave the host out, for every address of this host.
func (p *parser) bindAddress(s *wireproxyValues) string {
	v := s.text["BindAddress"]
	if host, port, err := net.SplitHostPort(v); err == nil && host == "" {
		v = net.JoinHostPort("::", port)
	}
	listen, err := parseListen(v, false)
	if err != nil {
		p.failAt(s, "BindAddress", err)
	}
	return listen
}

func (p *parser) target(s *wireproxyValues) string {
	to, err := parseTarget(s.text["Target"])
	if err != nil {
		p.failAt(s, "Target", err)
	}
	return to
}

// noEnd stands for a session that never ends by itself.
const noEnd = 24 * time.Hour

func (p *parser) inactivity(s *wireproxyValues) time.Duration {
	v, given := s.text["InactivityTimeout"]
	if !given {
		return noEnd
	}
	seconds, err := parseUint(v, 31)
	if err != nil {
		p.failAt(s, "InactivityTimeout", fmt.Errorf("%s is not a number of seconds", quote(v)))
	}
	if seconds == 0 {
		return noEnd
	}
	return time.Duration(seconds) * time.Second
}
