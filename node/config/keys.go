package config

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/wgnode/wgnode/probe/key"
)

// keyword is one key that a section knows.
type keyword struct {
	name string
	// wg marks the keys of wg(8), where white space never counts and a value
	// must be there. wg-quick's own take an empty value for none.
	wg bool
	// hook marks the keys whose value keeps what looks like a comment.
	hook bool
	// set takes a value into the section at hand. Its error says what is wrong
	// with the value, without the key, and without the value if that is secret.
	set func(p *parser, value string) error
}

var interfaceKeys = []keyword{
	{name: "PrivateKey", wg: true, set: func(p *parser, v string) (err error) {
		p.cfg.Interface.PrivateKey, err = key.ParsePrivate(v)
		return err
	}},
	{name: "ListenPort", wg: true, set: func(p *parser, v string) error {
		port, err := parseServicePort(v)
		if err != nil {
			return fmt.Errorf("port %s %s", quote(v), notPort(v, 0))
		}
		p.cfg.Interface.ListenPort = port
		return nil
	}},
	{name: "FwMark", wg: true, set: (*parser).setFwMark},
	{name: "Address", set: (*parser).setAddress},
	{name: "DNS", set: (*parser).setDNS},
	{name: "MTU", set: (*parser).setMTU},
	{name: "Table", set: (*parser).setTable},
	{name: "PreUp", hook: true, set: func(p *parser, v string) error { return p.addHook("PreUp", &p.cfg.Interface.PreUp, v) }},
	{name: "PostUp", hook: true, set: func(p *parser, v string) error { return p.addHook("PostUp", &p.cfg.Interface.PostUp, v) }},
	{name: "PreDown", hook: true, set: func(p *parser, v string) error { return p.addHook("PreDown", &p.cfg.Interface.PreDown, v) }},
	{name: "PostDown", hook: true, set: func(p *parser, v string) error { return p.addHook("PostDown", &p.cfg.Interface.PostDown, v) }},
	{name: "SaveConfig", set: func(p *parser, v string) (err error) {
		p.cfg.Interface.SaveConfig, err = parseBool(v)
		return err
	}},
}

var peerKeys = []keyword{
	{name: "PublicKey", wg: true, set: func(p *parser, v string) (err error) {
		p.peer.PublicKey, err = key.ParsePublic(v)
		return err
	}},
	{name: "PresharedKey", wg: true, set: func(p *parser, v string) (err error) {
		p.peer.PresharedKey, err = key.ParsePreshared(v)
		return err
	}},
	{name: "AllowedIPs", wg: true, set: (*parser).setAllowedIPs},
	{name: "Endpoint", wg: true, set: func(p *parser, v string) (err error) {
		p.peer.Endpoint, err = parseEndpoint(v)
		return err
	}},
	{name: "PersistentKeepalive", wg: true, set: func(p *parser, v string) error {
		if strings.EqualFold(v, "off") {
			p.peer.PersistentKeepalive = 0
			return nil
		}
		seconds, err := parseUint(v, 16)
		if err != nil {
			return fmt.Errorf("%s is neither off nor 1 to 65535 seconds", quote(v))
		}
		p.peer.PersistentKeepalive = uint16(seconds)
		return nil
	}},
}

var (
	interfaceNames = names(interfaceKeys)
	peerNames      = names(peerKeys)
	allKeys        = slices.Concat(interfaceNames, peerNames)
)

func names(keys []keyword) []string {
	ns := make([]string, len(keys))
	for i, k := range keys {
		ns[i] = k.name
	}
	return ns
}

func (p *parser) addHook(key string, hooks *[]string, command string) error {
	if command != "" {
		p.remember(hookKey(key, len(*hooks)))
		*hooks = append(*hooks, command)
	}
	return nil
}

func (p *parser) setFwMark(v string) error {
	if strings.EqualFold(v, "off") {
		p.cfg.Interface.FwMark = 0
		return nil
	}
	mark, err := parseNumber(v)
	if err != nil {
		return fmt.Errorf("%s is neither off nor 0 to 0xffffffff", quote(v))
	}
	p.cfg.Interface.FwMark = mark
	return nil
}

func (p *parser) setAddress(v string) error {
	var errs []error
	for _, s := range list(v) {
		prefix, err := parsePrefix(s)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		if slices.ContainsFunc(p.cfg.Interface.Addresses, func(a netip.Prefix) bool { return sameAddress(a, prefix) }) {
			errs = append(errs, p.duplicateAddress(prefix))
			continue
		}
		p.cfg.Interface.Addresses = append(p.cfg.Interface.Addresses, prefix)
	}
	return errors.Join(errs...)
}

// duplicateAddress is the error for an address that is there already. As a rule two
// files were put together then.
func (p *parser) duplicateAddress(prefix netip.Prefix) error {
	if len(p.interfaces) > 1 {
		return fmt.Errorf("duplicate address %s: the [Interface] in line %d repeats that in line %d; keep one of the two",
			prefix, p.interfaces[len(p.interfaces)-1], p.interfaces[0])
	}
	return fmt.Errorf("duplicate address %s: leave one out", prefix)
}

// sameAddress reports whether the kernel takes only one of the two: an IPv4
// address with the same length, an IPv6 address with any.
func sameAddress(a, b netip.Prefix) bool {
	return a == b || a.Addr() == b.Addr() && a.Addr().Is6()
}

// setDNS tells servers from search domains by wg-quick's rule: only digits and
// dots, or a colon somewhere, is a server.
func (p *parser) setDNS(v string) error {
	for _, s := range list(v) {
		if !isServer(s) {
			p.cfg.Interface.Search = append(p.cfg.Interface.Search, s)
			continue
		}
		addr, err := parseServer(s)
		if err != nil {
			return err
		}
		p.cfg.Interface.DNS = append(p.cfg.Interface.DNS, addr)
	}
	return nil
}

func isServer(s string) bool { return strings.Trim(s, "0123456789.") == "" || strings.Contains(s, ":") }

func parseServer(s string) (netip.Addr, error) {
	addr, err := netip.ParseAddr(s)
	if err != nil || addr.Zone() != "" && !interfaceName.MatchString(addr.Zone()) {
		return netip.Addr{}, fmt.Errorf("%s is not an IP address", quote(s))
	}
	return addr, nil
}

func (p *parser) setMTU(v string) error {
	if v == "" {
		p.cfg.Interface.MTU = 0
		return nil
	}
	// 68 is IPv4's minimum (RFC 791), and the least that Linux takes.
	mtu, err := parseUint(v, 16)
	if err != nil || mtu < 68 {
		return fmt.Errorf("%s is not an MTU: want 68 to 65535 bytes", quote(v))
	}
	p.cfg.Interface.MTU = int(mtu)
	return nil
}

// setAllowedIPs takes one line of prefixes, each perhaps with a '+' or '-'.
func (p *parser) setAllowedIPs(v string) error {
	incremental := false
	var errs []error
	for s := range strings.SplitSeq(v, ",") {
		signed, err := p.addAllowedIP(s)
		incremental = incremental || signed
		errs = append(errs, err)
	}
	p.peer.Incremental = incremental
	return errors.Join(errs...)
}

// addAllowedIP takes one prefix and says whether it had a '+' or '-'.
func (p *parser) addAllowedIP(s string) (signed bool, err error) {
	bare, remove := strings.CutPrefix(s, "-")
	bare, add := strings.CutPrefix(bare, "+")
	if remove && add {
		bare = s
	}
	prefix, err := parsePrefix(bare)
	if err != nil {
		return remove || add, err
	}
	prefix = p.mask(prefix, "AllowedIPs")
	peer := p.peer
	_, seen := peer.lines[allowedIPsKey(prefix)]
	p.remember(allowedIPsKey(prefix))
	from, to := &peer.Removed, &peer.AllowedIPs
	if remove {
		from, to = to, from
	}
	if seen { // which keeps the search out of the common case, a long list
		*from = slices.DeleteFunc(*from, func(q netip.Prefix) bool { return q == prefix })
		*to = slices.DeleteFunc(*to, func(q netip.Prefix) bool { return q == prefix })
	}
	*to = append(*to, prefix)
	return remove || add, nil
}

// mask returns prefix without host bits, and warns if it had some.
func (p *parser) mask(prefix netip.Prefix, key string) netip.Prefix {
	masked := prefix.Masked()
	if masked != prefix {
		p.warn(p.lineNo, key, "%s has a nonzero host part, %s is used", prefix, masked)
	}
	return masked
}

// list splits as wg-quick does: at commas and white space, empty items dropped.
func list(v string) []string {
	return strings.FieldsFunc(v, func(r rune) bool { return r == ',' || isSpace(r) })
}

// parsePrefix reads ADDRESS or ADDRESS/BITS and keeps the host bits.
func parsePrefix(s string) (netip.Prefix, error) {
	var prefix netip.Prefix
	var err error
	if strings.Contains(s, "/") {
		prefix, err = netip.ParsePrefix(s)
	} else {
		var addr netip.Addr
		addr, err = netip.ParseAddr(s)
		prefix = netip.PrefixFrom(addr.WithZone(""), addr.BitLen())
	}
	switch {
	case err != nil && strings.Contains(s, "/255."):
		return prefix, fmt.Errorf("%s has a mask: write the length of the prefix, such as /24 for /255.255.255.0", quote(s))
	case err != nil || strings.Contains(s, "%"):
		return prefix, fmt.Errorf("%s is not an IP address with an optional /LENGTH", quote(s))
	case prefix.Addr().Is4In6():
		return prefix, fmt.Errorf("%s is an IPv4 address in IPv6 notation: write it as IPv4", quote(s))
	}
	return prefix, nil
}

func parseBool(v string) (bool, error) {
	yes := strings.EqualFold(v, "true")
	if !yes && !strings.EqualFold(v, "false") {
		return false, fmt.Errorf("%s is neither true nor false", quote(v))
	}
	return yes, nil
}

// parseNumber reads decimal or 0x hexadecimal digits of up to 32 bits.
func parseNumber(s string) (uint32, error) {
	base := 10
	if hex, ok := strings.CutPrefix(s, "0x"); ok {
		s, base = hex, 16
	}
	n, err := strconv.ParseUint(s, base, 32)
	return uint32(n), err
}

func parseUint(s string, bits int) (uint64, error) { return strconv.ParseUint(s, 10, bits) }
