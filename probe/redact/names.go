package redact

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"net"
	"net/netip"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/wgnode/wgnode/probe/key"
)

// Names replaces identities. It is not safe for concurrent use. Nil replaces nothing.
type Names struct {
	secret  [32]byte
	flips   map[netip.Prefix]bool // of a prefix: whether the bit behind it is another
	words   map[string]string
	counted map[string]int // of words, by kind
	keys    map[key.Public]bool
	first   map[string][]string // words by their first, the longest first; nil if it is to be made
}

// NewNames draws a map.
func NewNames() *Names {
	n := &Names{flips: make(map[netip.Prefix]bool), words: make(map[string]string), counted: make(map[string]int),
		keys: make(map[key.Public]bool)}
	_, _ = rand.Read(n.secret[:]) // never fails, as its documentation says
	return n
}

func (n *Names) digest(what string, b []byte) []byte {
	h := hmac.New(sha256.New, n.secret[:])
	h.Write([]byte(what))
	h.Write(b)
	return h.Sum(nil)
}

// ranges have a meaning of their own, and are kept.
var ranges = func() (all []netip.Prefix) {
	for _, p := range []string{
		"0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12", "192.0.2.0/24", "192.168.0.0/16",
		"198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24", "224.0.0.0/4", "240.0.0.0/4", "255.255.255.255/32",
		"::/96", "::ffff:0:0/96", "64:ff9b::/96", "2001:db8::/32", "2002::/16", "fc00::/8", "fd00::/8", "fe80::/64", "ff00::/8",
	} {
		all = append(all, netip.MustParsePrefix(p))
	}
	return all
}()

// kept are ranges whose addresses mean the same everywhere.
var kept = func() (all []netip.Prefix) {
	for _, p := range []string{"0.0.0.0/8", "127.0.0.0/8", "224.0.0.0/4", "240.0.0.0/4", "::/96", "ff00::/8"} {
		all = append(all, netip.MustParsePrefix(p))
	}
	return all
}()

// Addr replaces an address. Which bits are others is decided by those before them, so that
// prefixes stay prefixes (as Crypto-PAn does it); on the way to a range that is kept none is, and
// so no other address becomes one of the range.
func (n *Names) Addr(a netip.Addr) netip.Addr {
	if n == nil || !a.IsValid() || slices.ContainsFunc(kept, func(p netip.Prefix) bool { return p.Contains(a.WithZone("")) }) {
		return a
	}
	if a.Is4In6() {
		return netip.AddrFrom16(n.Addr(a.Unmap()).As16())
	}
	b := a.AsSlice()
	out := slices.Clone(b)
	for i := range a.BitLen() {
		p, err := a.WithZone("").Prefix(i)
		if err == nil && n.flip(p) {
			out[i/8] ^= 0x80 >> (i % 8)
		}
	}
	to, _ := netip.AddrFromSlice(out)
	return to.WithZone(n.zone(a.Zone()))
}

func (n *Names) zone(zone string) string {
	if zone == "" {
		return ""
	}
	return n.word(zone)
}

// flip reports whether the bit behind a prefix is another.
func (n *Names) flip(p netip.Prefix) bool {
	yes, known := n.flips[p]
	if known {
		return yes
	}
	leads := slices.ContainsFunc(ranges, func(r netip.Prefix) bool { return r.Bits() > p.Bits() && p.Contains(r.Addr()) })
	yes = !leads && n.digest("address", []byte(p.String()))[0]&1 != 0
	n.flips[p] = yes
	return yes
}

// Prefix replaces a prefix. One of a network, without bits of a host, stays one.
func (n *Names) Prefix(p netip.Prefix) netip.Prefix {
	if n == nil || !p.IsValid() {
		return p
	}
	to := netip.PrefixFrom(n.Addr(p.Addr()), p.Bits())
	if p == p.Masked() {
		return to.Masked()
	}
	return to
}

// AddrPort replaces the address.
func (n *Names) AddrPort(a netip.AddrPort) netip.AddrPort {
	if n == nil || !a.IsValid() {
		return a
	}
	return netip.AddrPortFrom(n.Addr(a.Addr()), a.Port())
}

// Key replaces a public key, by what has the form of one.
func (n *Names) Key(k key.Public) key.Public {
	if n == nil || k.IsZero() {
		return k
	}
	n.keys[k] = true
	return key.Public(n.digest("key", k[:]))
}

// Meet makes a name known that is to be replaced wherever it stands alone: of a kind such as
// "peer", which the others are counted by.
func (n *Names) Meet(kind, name string) {
	if n == nil || name == "" || n.words[name] != "" {
		return
	}
	if kind == "interface" && plainLink.MatchString(name) {
		return
	}
	n.counted[kind]++
	to := kind + "-" + strconv.Itoa(n.counted[kind])
	switch kind {
	case "interface":
		to = "if" + strconv.Itoa(n.counted[kind])
	case "domain":
		to = "domain-" + strconv.Itoa(n.counted[kind]) + ".example"
	}
	n.words[name], n.first = to, nil
}

// plainLink is what interfaces are called by those who make them, and tells nothing.
var plainLink = regexp.MustCompile(`^(?:lo|(?:wg|eth|wlan|tun|tap|veth|docker|br|bond|dummy|ppp|wwan|usb)[0-9]{0,3}|` +
	`(?:en|wl)[opsx][0-9a-z]{1,12})$`)

// word replaces one that stands by itself.
func (n *Names) word(w string) string {
	if to, ok := n.words[w]; ok {
		return to
	}
	return w
}

// inText finds keys, addresses of links, addresses and prefixes, and the folders of users.
var inText = regexp.MustCompile(`([A-Za-z0-9+/]{43}=|\b[0-9a-f]{64}\b)|` +
	`(\b[0-9a-fA-F]{2}(?::[0-9a-fA-F]{2}){5}\b)|` +
	`([0-9a-fA-F:]*:[0-9a-fA-F:]*:[0-9a-fA-F:.]*(?:/[0-9]{1,3})?|[0-9]{1,3}(?:\.[0-9]{1,3}){3}(?:/[0-9]{1,2})?)|` +
	`/home/([^/\s"':]+)`)

// Text replaces whatever is known, and all addresses and keys, in text.
func (n *Names) Text(text string) string {
	if n == nil {
		return text
	}
	if to, ok := n.words[text]; ok {
		return to
	}
	var b strings.Builder
	end := 0
	for _, at := range inText.FindAllStringSubmatchIndex(text, -1) {
		found := text[at[0]:at[1]]
		to := found
		switch {
		case at[2] >= 0:
			to = n.keyText(found)
		case at[4] >= 0:
			to = n.mac(found)
		case at[6] >= 0 && alone(text, at[0], at[1]):
			to = n.addressText(found)
		case at[8] >= 0:
			n.Meet("user", text[at[8]:at[9]])
			to = text[at[0]:at[8]] + n.word(text[at[8]:at[9]])
		}
		if to != found {
			b.WriteString(n.known(text[end:at[0]]))
			b.WriteString(to)
			end = at[1]
		}
	}
	b.WriteString(n.known(text[end:]))
	return b.String()
}

// alone reports whether no letter, digit or dot stands beside what may be an address: a version
// has them.
func alone(text string, from, to int) bool {
	if from > 0 && (wordByte(text[from-1]) || text[from-1] == '.') {
		return false
	}
	return to == len(text) || !wordByte(text[to]) && (text[to] != '.' || to+1 == len(text) || !wordByte(text[to+1]))
}

func (n *Names) addressText(found string) string {
	// A colon or a dot behind it may end a sentence.
	bare := found
	for len(bare) > 2 && strings.HasSuffix(bare, ":") && !strings.HasSuffix(bare, "::") || strings.HasSuffix(bare, ".") {
		bare = bare[:len(bare)-1]
	}
	rest := found[len(bare):]
	if p, err := netip.ParsePrefix(bare); err == nil {
		return n.Prefix(p).String() + rest
	}
	if a, err := netip.ParseAddr(bare); err == nil {
		return n.Addr(a).String() + rest
	}
	return found
}

func (n *Names) keyText(found string) string {
	if k, err := key.ParsePublic(found); err == nil {
		return n.Key(k).Base64()
	}
	if k, ok := parseKey(found); ok {
		return n.Key(k).Hex()
	}
	return found
}

// mac replaces the address of a link, but for none and all.
func (n *Names) mac(found string) string {
	hw, err := net.ParseMAC(found)
	if err != nil || strings.Trim(found, "0:") == "" || strings.Trim(found, "fF:") == "" {
		return found
	}
	to := net.HardwareAddr(n.digest("link", hw)[:6])
	to[0] = to[0]&^1 | 2 // of a single link, and made up
	return to.String()
}

// known replaces the names that are known, where they stand alone. A single letter does so too
// often.
func (n *Names) known(text string) string {
	if len(n.words) == 0 {
		return text
	}
	if n.first == nil {
		n.first = make(map[string][]string)
		for w := range n.words {
			if len(w) > 1 {
				n.first[firstWord(w)] = append(n.first[firstWord(w)], w)
			}
		}
		for _, all := range n.first {
			slices.SortFunc(all, func(a, b string) int { return len(b) - len(a) })
		}
	}
	var b strings.Builder
	for i := 0; i < len(text); {
		word := firstWord(text[i:])
		names := n.first[word]
		j := slices.IndexFunc(names, func(w string) bool {
			end := i + len(w)
			return strings.HasPrefix(text[i:], w) && (end == len(text) || !wordByte(text[end]) || !wordByte(w[len(w)-1]))
		})
		if j >= 0 {
			b.WriteString(n.words[names[j]])
			i += len(names[j])
			continue
		}
		step := max(len(word), 1)
		b.WriteString(text[i : i+step])
		i += step
	}
	return b.String()
}

// firstWord is the word that text begins with, "" if it begins with none.
func firstWord(text string) string {
	i := 0
	for i < len(text) && wordByte(text[i]) {
		i++
	}
	return text[:i]
}

func wordByte(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || c == '_'
}

// hostName is the host of HOST:PORT, and whether that is a name.
func hostName(written string) (host string, ok bool) {
	host, _, err := net.SplitHostPort(written)
	if err != nil {
		host = written
	}
	_, err = netip.ParseAddr(host)
	return host, err != nil && host != ""
}

var (
	domain = regexp.MustCompile(`\b(?:[a-zA-Z0-9_](?:[a-zA-Z0-9_-]{0,61}[a-zA-Z0-9])?\.)+[a-zA-Z][a-zA-Z0-9-]{1,61}\b`)
	// noDomain ends names of files and units, and begins those of kernel parameters.
	noDomain = regexp.MustCompile(`\.(?:conf|toml|service|socket|target|scope|slice|mount|timer|device|path|go|so|sh|json|sock|txt|log|` +
		`pcapng|gz|d|md|c|h)$|` +
		`^(?:net|kernel|vm|user)\.|\.example$`)
)

// Foreign is Text for what others wrote: in it also what has the form of a host's name is one.
func (n *Names) Foreign(text string) string {
	if n == nil {
		return text
	}
	for _, name := range domain.FindAllString(text, -1) {
		if !noDomain.MatchString(name) {
			n.Meet("domain", name)
		}
	}
	return n.Text(text)
}
