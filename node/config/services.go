package config

import (
	"cmp"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// Services are what a node without an interface does for the programs of its
// host, and for its peers. Addresses are HOST:PORT, an IPv6 address in brackets.
type Services struct {
	SOCKS5 []Proxy
	HTTP   []Proxy
	// Forwards lead from this host into the tunnel, RemoteForwards from the
	// tunnel to this host, or what it reaches.
	Forwards, RemoteForwards []Forward
	// Routes are the hosts beyond the node that peers may reach through it.
	Routes []PeerRoute
	// DNS are addresses at which the tunnel's name servers are to be had.
	DNS []string
	// PreferIPv4 has names that have addresses of both families tried at the
	// IPv4 ones first.
	PreferIPv4 bool
	// Stdio is where standard input and output lead, HOST:PORT, "" for nowhere.
	// Only a file of wireproxy's says so.
	Stdio string

	dnsLine, routeLine int
}

// Proxy is a proxy that this host's programs are served by.
type Proxy struct {
	Listen string
	// User and Password are what a client must know, both "" if nothing.
	User     string
	Password Password
	// PasswordFrom is where Password is kept, if not in the file.
	PasswordFrom Source

	line int
}

// Password is text that does not get into messages by accident.
type Password string

// String shows nothing.
func (p Password) String() string { return "(hidden)" }

// GoString shows nothing.
func (p Password) GoString() string { return "(hidden)" }

// Forward leads from one address to another.
type Forward struct {
	Protocol string // "tcp" or "udp"
	Listen   string // of a RemoteForward the host may be empty: any address of the tunnel
	To       string
	// IdleTime is how long a session of UDP lasts without a packet; 0 for a good
	// value.
	IdleTime time.Duration

	line int
}

// ParseForward reads [tcp:|udp:]LISTEN=TO, as it is given on a command line.
// LISTEN is an address or a port: of 127.0.0.1, or for a remote forward of every
// address of the tunnel.
func ParseForward(text string, remote bool) (Forward, error) {
	protocol, rest := cutProtocol(text)
	f := Forward{Protocol: cmp.Or(protocol, "tcp")}
	listen, to, ok := strings.Cut(rest, "=")
	if !ok {
		return Forward{}, fmt.Errorf("%s is not [tcp:|udp:]LISTEN=HOST:PORT", quote(text))
	}
	var err error
	if f.Listen, err = parseListen(listen, remote); err != nil {
		return Forward{}, err
	}
	if f.To, err = parseTarget(to); err != nil {
		return Forward{}, err
	}
	return f, nil
}

// String is what ParseForward reads. It does not say IdleTime.
func (f Forward) String() string { return f.Protocol + ":" + f.Listen + "=" + f.To }

// cutProtocol takes "tcp:" or "udp:" off, "" if neither is there.
func cutProtocol(text string) (protocol, rest string) {
	for _, p := range protocols {
		if rest, ok := strings.CutPrefix(text, p+":"); ok {
			return p, rest
		}
	}
	return "", text
}

// ParseServiceListen reads the address that a service listens at: HOST:PORT, or a port
// of 127.0.0.1.
func ParseServiceListen(text string) (string, error) { return parseListen(text, false) }

var protocols = []string{"tcp", "udp"}

// Any reports whether s asks for something.
func (s *Services) Any() bool { return s.first() != "" }

// first is the name of what s asks for in a file, "" if it asks for nothing.
func (s *Services) first() string {
	for _, u := range s.uses() {
		if u.used {
			return u.table
		}
	}
	return ""
}

// First names one thing that s asks for, as the files do, "" if there is none.
func (s *Services) First() string { return s.first() }

type serviceUse struct {
	table string
	used  bool
	line  int
}

func (s *Services) uses() []serviceUse {
	line := func(n int, at func(int) int) int {
		if n == 0 {
			return 0
		}
		return at(0)
	}
	return []serviceUse{
		{"socks5", len(s.SOCKS5) > 0, line(len(s.SOCKS5), func(i int) int { return s.SOCKS5[i].line })},
		{"http_proxy", len(s.HTTP) > 0, line(len(s.HTTP), func(i int) int { return s.HTTP[i].line })},
		{"forward", len(s.Forwards) > 0, line(len(s.Forwards), func(i int) int { return s.Forwards[i].line })},
		{"remote_forward", len(s.RemoteForwards) > 0, line(len(s.RemoteForwards), func(i int) int { return s.RemoteForwards[i].line })},
		{"route", len(s.Routes) > 0, s.routeLine},
		{"dns", len(s.DNS) > 0 || s.PreferIPv4, s.dnsLine},
		{"STDIOTunnel", s.Stdio != "", 0},
	}
}

// Join returns what either asks for.
func (s Services) Join(more Services) Services {
	s.SOCKS5 = slices.Concat(s.SOCKS5, more.SOCKS5)
	s.HTTP = slices.Concat(s.HTTP, more.HTTP)
	s.Forwards = slices.Concat(s.Forwards, more.Forwards)
	s.RemoteForwards = slices.Concat(s.RemoteForwards, more.RemoteForwards)
	s.Routes = slices.Concat(s.Routes, more.Routes)
	s.DNS = slices.Concat(s.DNS, more.DNS)
	s.PreferIPv4 = s.PreferIPv4 || more.PreferIPv4
	if s.Stdio == "" {
		s.Stdio = more.Stdio
	}
	return s
}

// Warnings returns what would let others in who were perhaps not meant: services
// for everybody who reaches this host, and this host's networks for all peers.
func (s *Services) Warnings() []string {
	var ws []string
	open := func(what, listen string) {
		if !isLoopback(listen) {
			ws = append(ws, fmt.Sprintf("%s at %s is open to everybody who reaches this host, without a password", what, listen))
		}
	}
	for _, p := range s.SOCKS5 {
		if !p.guarded() {
			open("the SOCKS5 proxy", p.Listen)
		}
	}
	for _, p := range s.HTTP {
		if !p.guarded() {
			open("the HTTP proxy", p.Listen)
		}
	}
	for _, listen := range s.DNS {
		open("the DNS forwarder", listen)
	}
	for _, r := range s.Routes {
		if r.Prefix.Bits() == 0 {
			ws = append(ws, fmt.Sprintf("route: %s lets peers reach also this host's own addresses, and the networks that it is in", r))
		}
	}
	return ws
}

func (p *Proxy) guarded() bool {
	return p.User != "" || p.Password != "" || p.PasswordFrom != Source{}
}

// Same reports whether p and other ask for the same, wherever they are written.
func (p Proxy) Same(other Proxy) bool {
	p.line, other.line = 0, 0
	return p == other
}

// Same reports whether f and other ask for the same, wherever they are written.
func (f Forward) Same(other Forward) bool {
	f.line, other.line = 0, 0
	return f == other
}

func isLoopback(listen string) bool {
	host, _, err := net.SplitHostPort(listen)
	if err != nil {
		return false
	}
	addr, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && addr.IsLoopback()
}

// parseListen reads an address to listen at, or a port, and returns it in one
// spelling. A host that is left out is any of the tunnel's for what listens there,
// and else no host.
func parseListen(v string, inside bool) (string, error) {
	if port, err := parsePort(v); err == nil {
		host := "127.0.0.1"
		if inside {
			host = ""
		}
		return joinHostPort(host, port), nil
	}
	host, text, err := net.SplitHostPort(v)
	var port uint64
	if err == nil {
		port, err = parseUint(text, 16) // 0 lets the kernel choose
	}
	addr, aerr := netip.ParseAddr(host)
	switch {
	case err != nil:
		return "", fmt.Errorf("%s is neither ADDRESS:PORT, an IPv6 address in brackets, nor a port", quote(v))
	case inside && host == "", !inside && host == "localhost":
		return joinHostPort(host, uint16(port)), nil
	case host == "":
		return "", fmt.Errorf("%s has no address: 127.0.0.1 is for this host alone, 0.0.0.0 or [::] for everybody", quote(v))
	case aerr != nil, addr.Zone() != "" && !interfaceName.MatchString(addr.Zone()):
		return "", fmt.Errorf("%s is not an address of this node", quote(host))
	case addr.Is4In6():
		return "", fmt.Errorf("%s is an IPv4 address in IPv6 notation: write it as IPv4", quote(host))
	}
	return joinHostPort(addr.String(), uint16(port)), nil
}

// parseTarget reads HOST:PORT, of which the host may be a name, and returns it in one
// spelling.
func parseTarget(v string) (string, error) {
	host, text, err := net.SplitHostPort(v)
	if err != nil {
		return "", fmt.Errorf("%s is not HOST:PORT, an IPv6 address in brackets", quote(v))
	}
	port, err := parsePort(text)
	if err != nil {
		return "", fmt.Errorf("%s: %w", quote(v), err)
	}
	err = checkHost(host)
	if err == nil && (strings.Contains(host, "=") || !utf8.ValidString(host)) {
		err = errors.New("is not a name")
	}
	if err != nil {
		return "", fmt.Errorf("%s: the host %w", quote(v), err)
	}
	return joinHostPort(host, port), nil
}

func joinHostPort(host string, port uint16) string {
	return net.JoinHostPort(host, strconv.Itoa(int(port)))
}

// parsePort reads the number of a port that something can be sent to.
func parsePort(v string) (uint16, error) {
	port, err := parseUint(v, 16)
	if err != nil || port == 0 {
		return 0, fmt.Errorf("%s is not a port: want 1 to 65535", quote(v))
	}
	return uint16(port), nil
}
