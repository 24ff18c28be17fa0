package config

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"strings"
)

// parseEndpoint checks host:port for syntax and returns it in the form that
// net.SplitHostPort understands, with the number of a port that is a service's
// name. Like wg(8) it takes the port from behind the last colon, so that an IPv6
// address need not be in brackets.
func parseEndpoint(s string) (string, error) {
	if strings.Contains(s, "://") {
		return "", fmt.Errorf("%s is a URL: want HOST:PORT", quote(s))
	}
	host, port, ok := s, "", false
	if rest, bracket := strings.CutPrefix(s, "["); bracket {
		host, port, ok = strings.Cut(rest, "]:")
	} else if i := strings.LastIndexByte(s, ':'); i >= 0 {
		host, port, ok = s[:i], s[i+1:], true
	}
	if !ok || port == "" {
		return "", noPort(s)
	}
	number, err := parseServicePort(port)
	if err != nil || number == 0 {
		if _, err := netip.ParseAddr(s); err == nil { // what is behind the colon is the end of it
			return "", noPort(s)
		}
		return "", fmt.Errorf("port %s %s", quote(port), notPort(port, 1))
	}
	if err := checkHost(host); err != nil {
		if _, err := netip.ParseAddr(s); err == nil { // what looked like a port is the end of it
			return "", noPort(s)
		}
		return "", fmt.Errorf("host %s %w", quote(host), err)
	}
	return net.JoinHostPort(host, strconv.Itoa(int(number))), nil
}

// parseServicePort reads a number, or the name of a service, as wg(8) does.
func parseServicePort(s string) (uint16, error) {
	n, err := parseUint(s, 16)
	if err == nil || !isWord(s) {
		return uint16(n), err
	}
	port, err := net.LookupPort("udp", s)
	return uint16(port), err
}

// isWord reports whether s can only be a name where a number may stand, too.
func isWord(s string) bool { return strings.Trim(s, "+-0123456789") != "" }

// notPort says what is wrong with a port that is to be the least or more.
func notPort(s string, least int) string {
	if isWord(s) {
		return "is neither a number nor a UDP service that /etc/services names"
	}
	return fmt.Sprintf("is not %d to 65535", least)
}

// noPort is the error for an endpoint that is only a host.
func noPort(written string) error {
	host := strings.Trim(written, "[]:")
	if Redact(host) != host || checkHost(host) != nil {
		host = "HOST"
	}
	return fmt.Errorf("%s has no port: want HOST:PORT, such as %s", quote(written), net.JoinHostPort(host, "51820"))
}

func checkHost(host string) error {
	addr, err := netip.ParseAddr(host)
	switch {
	case err == nil && (addr.Zone() == "" || interfaceName.MatchString(addr.Zone())):
		return nil
	case host == "":
		return errors.New("is empty")
	case strings.Contains(host, ":"):
		return errors.New("is not an IPv6 address")
	case strings.Trim(host, "0123456789.") == "":
		return errors.New("is not an IPv4 address")
	case len(host) > 253: // RFC 1035, section 2.3.4, without the root label
		return errors.New("is longer than a name can be")
	}
	// Names are for the resolver to judge; only what is in no name stops here.
	if i := strings.IndexFunc(host, func(r rune) bool {
		return r <= ' ' || r == 0x7f || strings.ContainsRune(`/\[]%"'@?,;#`, r)
	}); i >= 0 {
		return errors.New("is not a name")
	}
	return nil
}
