package config

import (
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
)

// PeerRoute allows peers to reach hosts beyond a node without an interface.
type PeerRoute struct {
	Protocol string // "tcp" or "udp"; "" for all, ICMP echo included
	Prefix   netip.Prefix
	// First and Last are the ports that are allowed, both 0 for all. With ports
	// there is no echo.
	First, Last uint16
}

// ParsePeerRoute reads [tcp:|udp:]PREFIX[:PORT[-PORT]], of which an IPv6 prefix with a
// port is in brackets. An address is a prefix of one.
func ParsePeerRoute(text string) (PeerRoute, error) {
	var r PeerRoute
	var rest string
	r.Protocol, rest = cutProtocol(text)
	prefix, ports, hasPorts := rest, "", false
	if inside, after, ok := strings.Cut(strings.TrimPrefix(rest, "["), "]"); ok && strings.HasPrefix(rest, "[") {
		prefix = inside
		if ports, hasPorts = strings.CutPrefix(after, ":"); !hasPorts && after != "" {
			prefix = rest // which is no prefix
		}
	} else if strings.Count(rest, ":") == 1 {
		prefix, ports, hasPorts = strings.Cut(rest, ":")
	}
	var err error
	if r.Prefix, err = parsePrefix(prefix); err != nil || r.Prefix.Addr().Is4In6() {
		return PeerRoute{}, fmt.Errorf("%s is not [tcp:|udp:]PREFIX[:PORT[-PORT]], an IPv6 prefix with a port in brackets", quote(text))
	}
	r.Prefix = r.Prefix.Masked()
	if !hasPorts {
		return r, nil
	}
	if r.First, r.Last, err = parsePorts(ports); err != nil {
		return PeerRoute{}, fmt.Errorf("%s: %w", quote(text), err)
	}
	return r, nil
}

// parsePorts reads PORT[-PORT].
func parsePorts(text string) (first, last uint16, err error) {
	from, to, isRange := strings.Cut(text, "-")
	if first, err = parsePort(from); err != nil {
		return 0, 0, err
	}
	if !isRange {
		return first, first, nil
	}
	if last, err = parsePort(to); err != nil {
		return 0, 0, err
	}
	if first > last {
		return 0, 0, fmt.Errorf("%d to %d is not a range of ports: it ends before it begins", first, last)
	}
	return first, last, nil
}

// String is what ParsePeerRoute reads.
func (r PeerRoute) String() string {
	s := r.Prefix.String()
	if r.First != 0 {
		if r.Prefix.Addr().Is6() {
			s = "[" + s + "]"
		}
		s += ":" + strconv.Itoa(int(r.First))
		if r.Last != r.First {
			s += "-" + strconv.Itoa(int(r.Last))
		}
	}
	if r.Protocol != "" {
		s = r.Protocol + ":" + s
	}
	return s
}

var routeTable = tomlTable{
	name: "route", stack: StackOnly, reload: ReloadService,
	begin: func(p *parser) {
		p.section = inUnknown
		p.cfg.Services.routeLine = p.lineNo
	},
	keys: []tomlKey{
		{name: "allow", kind: aList, set: func(p *parser, v string) error {
			r, err := ParsePeerRoute(v)
			if err == nil && !slices.Contains(p.cfg.Services.Routes, r) {
				p.cfg.Services.Routes = append(p.cfg.Services.Routes, r)
			}
			return err
		}},
	},
}

// routeTexts are the routes as a file has them.
func routeTexts(rs []PeerRoute) []string {
	var all []string
	for _, r := range rs {
		all = append(all, r.String())
	}
	return all
}
