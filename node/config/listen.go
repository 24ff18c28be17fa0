package config

import (
	"errors"
	"fmt"
	"net/netip"
	"path/filepath"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Listen is where a node can be asked something: an address with a port, or a Unix
// socket. The zero Listen is nowhere.
type Listen struct {
	Network string // "tcp" or "unix", as [net.Listen] takes it
	Address string // ADDRESS:PORT, or an absolute path
}

// unixPrefix begins the text of a Unix socket.
const unixPrefix = "unix:"

// maxSocketPath is the longest path of a socket that the kernel takes, in bytes
// (sun_path less its final zero, unix(7)).
const maxSocketPath = 107

// ParseListen reads "127.0.0.1:9586", "[::1]:9586", or "unix:/run/x.sock": where programs on
// this host can ask, and nobody else.
func ParseListen(text string) (Listen, error) {
	l, err := ParseListenAnywhere(text)
	if err == nil && l.Beyond() {
		return Listen{}, errBeyond(text, "a proxy before it, or a web configuration file, for them")
	}
	return l, err
}

const wantListen = "127.0.0.1:PORT, [::1]:PORT or unix:/PATH"

func errBeyond(text, or string) error {
	return fmt.Errorf("%s is not a loopback address, and others must not ask: want %s, and %s", quote(text), wantListen, or)
}

// ParseListenAnywhere is [ParseListen] for what others may ask, too, if they are guarded against.
func ParseListenAnywhere(text string) (Listen, error) {
	if path, ok := strings.CutPrefix(text, unixPrefix); ok {
		switch {
		case !utf8.ValidString(path) || strings.ContainsFunc(path, unicode.IsControl):
			return Listen{}, fmt.Errorf("%s holds what cannot be printed", quote(path))
		case !filepath.IsAbs(path) || filepath.Clean(path) == "/":
			return Listen{}, fmt.Errorf("%s is not the absolute path of a socket", quote(path))
		case len(filepath.Clean(path)) > maxSocketPath:
			return Listen{}, fmt.Errorf("the path of the socket is %d bytes long: the kernel takes at most %d",
				len(filepath.Clean(path)), maxSocketPath)
		}
		return Listen{"unix", filepath.Clean(path)}, nil
	}
	addr, err := netip.ParseAddrPort(text)
	switch {
	case filepath.IsAbs(text):
		return Listen{}, fmt.Errorf("%s lacks the %s of a socket in front", quote(text), unixPrefix)
	case err != nil || addr.Port() == 0:
		return Listen{}, fmt.Errorf("%s is none of %s", quote(text), wantListen)
	case addr.Addr().Unmap().IsLoopback() && addr.Addr().Zone() != "":
		return Listen{}, fmt.Errorf("%s is a loopback address with a zone: want %s", quote(text), wantListen)
	}
	return Listen{"tcp", addr.String()}, nil
}

// IsZero reports whether l is nowhere.
func (l Listen) IsZero() bool { return l == Listen{} }

// Beyond reports whether other hosts can reach l.
func (l Listen) Beyond() bool {
	addr, err := netip.ParseAddrPort(l.Address)
	return l.Network == "tcp" && (err != nil || !addr.Addr().Unmap().IsLoopback())
}

// String returns l as [ParseListenAnywhere] reads it, "" for nowhere.
func (l Listen) String() string {
	if l.Network == "unix" {
		return unixPrefix + l.Address
	}
	return l.Address
}

// ParseHost reads the name of a host, in one spelling.
func ParseHost(text string) (string, error) {
	if err := checkHost(text); err != nil || !utf8.ValidString(text) || strings.ContainsAny(text, ":=") {
		return "", fmt.Errorf("%s is not the name of a host, without a port", quote(text))
	}
	return strings.ToLower(text), nil
}

func (p *parser) addMetricsHost(v string) error {
	host, err := ParseHost(v)
	if err == nil && !slices.Contains(p.cfg.Metrics.Hosts, host) {
		p.cfg.Metrics.Hosts = append(p.cfg.Metrics.Hosts, host)
	}
	return err
}

func (p *parser) setMetricsListen(v string) error {
	if path, ok := strings.CutPrefix(v, unixPrefix); ok && path != "" {
		v = unixPrefix + p.resolvePath(path)
	}
	p.cfg.Metrics.line = p.lineNo
	var err error
	p.cfg.Metrics.Listen, err = ParseListenAnywhere(v)
	return err
}

func (p *parser) setMetricsWebConfig(v string) error {
	if v == "" {
		return errors.New("names no file")
	}
	p.cfg.Metrics.WebConfig = p.resolvePath(v)
	return nil
}

// endMetrics has others ask only what is guarded.
func (p *parser) endMetrics() {
	if m := &p.cfg.Metrics; m.Listen.Beyond() && m.WebConfig == "" {
		err := errBeyond(m.Listen.String(), "web_config for them")
		p.errs = append(p.errs, &Error{p.cfg.Path, m.line, "listen", err.Error()})
	}
}
