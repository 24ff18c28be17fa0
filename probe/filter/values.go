package filter

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/wgnode/wgnode/probe"
)

// protocols are those that have a name in the language.
var protocols = []struct {
	name   string
	number uint8
}{
	{"tcp", probe.ProtoTCP}, {"udp", probe.ProtoUDP}, {"icmp", probe.ProtoICMP}, {"icmp6", probe.ProtoICMPv6},
	{"igmp", 2}, {"gre", 47}, {"esp", 50}, {"ah", 51}, {"sctp", 132},
}

func protoNames() []string {
	names := make([]string, len(protocols))
	for i, p := range protocols {
		names[i] = p.name
	}
	return names
}

// value is one value of a term. Which fields are set depends on the key.
type value struct {
	text   string // canonical form
	order  int    // of values of one key; text decides between equals
	set    set
	peers  []probe.PeerID
	prefix prefix
	ports  portRange
}

func member(text string, order int) value {
	v := value{text: text, order: order}
	v.set.add(uint8(order))
	return v
}

// parse returns the values that s stands for: more than one for handshake,
// one for everything else.
func (w what) parse(s string) ([]value, error) {
	switch w {
	case whatHost, whatNet:
		return w.parseAddr(s)
	case whatPort:
		return parsePorts(s)
	case whatDirection:
		if order := slices.Index(directions, s); order >= 0 {
			v := value{text: s, order: order}
			for n := range 256 {
				if probe.Seam(n).Direction() == s {
					v.set.add(uint8(n))
				}
			}
			return []value{v}, nil
		}
	case whatVerdict:
		v := value{text: s, order: slices.Index(verdicts, s)}
		v.set.add(uint8(probe.ReasonNone))
		switch s {
		case "passed":
			return []value{v}, nil
		case "dropped":
			v.set = v.set.complement()
			return []value{v}, nil
		}
	case whatCheckpoint:
		if c, ok := probe.ParseCheckpoint(s); ok {
			return []value{member(c.String(), int(c))}, nil
		}
	case whatSeam:
		if seam, ok := probe.ParseSeam(s); ok {
			return []value{member(s, int(seam))}, nil
		}
	case whatKind:
		if s == "handshake" {
			var vs []value
			for _, k := range []probe.Kind{probe.KindInitiation, probe.KindResponse, probe.KindCookie} {
				vs = append(vs, member(k.String(), int(k)))
			}
			return vs, nil
		}
		if k, ok := probe.ParseKind(s); ok {
			return []value{member(s, int(k))}, nil
		}
	case whatReason:
		if r, ok := probe.ParseReason(s); ok {
			return []value{member(s, int(r))}, nil
		}
	case whatProto:
		if v, ok := parseProto(s); ok {
			return []value{v}, nil
		}
	}
	return nil, fmt.Errorf("unknown %s %q: %swant %s", w, s, didYouMean(s, w.names()), w.want())
}

func parseProto(s string) (value, bool) {
	for _, p := range protocols {
		if n, err := strconv.ParseUint(s, 10, 8); p.name == s || err == nil && p.number == uint8(n) {
			return member(p.name, int(p.number)), true
		}
	}
	// Protocol 0 is what events without an inner packet have.
	n, err := strconv.ParseUint(s, 10, 8)
	return member(strconv.FormatUint(n, 10), int(n)), err == nil && n > 0
}

// parseAddr parses an address for host and a prefix for net. Bits behind the
// prefix are ignored, as WireGuard ignores them in AllowedIPs.
func (w what) parseAddr(s string) ([]value, error) {
	var p netip.Prefix
	if w == whatHost {
		a, err := netip.ParseAddr(s)
		if err != nil || a.Zone() != "" {
			return nil, fmt.Errorf("host %q: want %s", s, w.want())
		}
		a = a.Unmap()
		p = netip.PrefixFrom(a, a.BitLen())
		return []value{{text: a.String(), prefix: newPrefix(p)}}, nil
	}
	p, err := netip.ParsePrefix(s)
	if err != nil || p.Addr().Is4In6() {
		return nil, fmt.Errorf("net %q: want %s", s, w.want())
	}
	p = p.Masked()
	return []value{{text: p.String(), prefix: newPrefix(p)}}, nil
}

func newPrefix(p netip.Prefix) prefix {
	a, bits := p.Addr().As16(), p.Bits()
	if p.Addr().Is4() {
		bits += 96
	}
	return prefix{
		hi:     binary.BigEndian.Uint64(a[:8]),
		lo:     binary.BigEndian.Uint64(a[8:]),
		hiMask: ^(^uint64(0) >> min(bits, 64)), // a shift by 64 gives 0
		loMask: ^(^uint64(0) >> max(bits-64, 0)),
		is4:    p.Addr().Is4(),
	}
}

func parsePorts(s string) ([]value, error) {
	lo, hi, isRange := strings.Cut(s, "-")
	if !isRange {
		hi = lo
	}
	first, err1 := strconv.ParseUint(lo, 10, 16)
	last, err2 := strconv.ParseUint(hi, 10, 16)
	if err1 != nil || err2 != nil || first == 0 || last < first {
		return nil, fmt.Errorf("port %q: want %s, from 1 to 65535", s, whatPort.want())
	}
	text := strconv.FormatUint(first, 10)
	if first != last {
		text += "-" + strconv.FormatUint(last, 10)
	}
	return []value{{text: text, order: int(first)<<16 | int(last),
		ports: portRange{uint16(first), uint16(last)}}}, nil
}

// canonicalize sorts the values and removes those given twice.
func (t *term) canonicalize() {
	slices.SortStableFunc(t.values, func(a, b value) int {
		return cmp.Or(cmp.Compare(a.order, b.order), cmp.Compare(a.text, b.text))
	})
	t.values = slices.CompactFunc(t.values, func(a, b value) bool { return a.text == b.text })
}
