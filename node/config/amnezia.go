package config

import (
	"slices"
	"strconv"
	"strings"
)

// AmneziaWG is WireGuard with its messages disguised. Its programs write files of
// wg-quick's with more keys, and people try these with WireGuard.

// amneziaKeys are those of [Interface], as its manual spells them.
var amneziaKeys = []string{"Jc", "Jmin", "Jmax", "S1", "S2", "S3", "S4", "H1", "H2", "H3", "H4",
	"I1", "I2", "I3", "I4", "I5", "J1", "J2", "J3", "Itime"}

// amneziaPeerKey is the one of [Peer].
const amneziaPeerKey = "AdvancedSecurity"

// amnezia is what a file holds of AmneziaWG.
type amnezia struct {
	keys []string
	line int // of the first
	// changed says that the messages themselves are other ones, which only a server
	// of AmneziaWG takes. All else is packets that come before, which any server
	// drops.
	changed bool
}

// amneziaKey takes note of a key of AmneziaWG, and says whether it is one.
func (p *parser) amneziaKey(name, value string) bool {
	known := amneziaKeys
	if p.section == inPeer {
		known = []string{amneziaPeerKey}
	}
	i := slices.IndexFunc(known, func(k string) bool { return strings.EqualFold(k, name) })
	if i < 0 {
		return false
	}
	a := &p.amnezia
	if len(a.keys) == 0 {
		a.line = p.lineNo
	}
	if !slices.Contains(a.keys, known[i]) {
		a.keys = append(a.keys, known[i])
	}
	a.changed = a.changed || !plainWireGuard(known[i], value)
	return true
}

// plainWireGuard reports whether a key of AmneziaWG leaves WireGuard's messages as
// they are: S is by how much one grows, H what its first number becomes.
func plainWireGuard(name, value string) bool {
	want := "0"
	switch name[0] {
	case 'S':
	case 'H':
		want = name[1:]
	default:
		return true
	}
	n, err := strconv.ParseUint(value, 0, 32)
	return err == nil && strconv.FormatUint(n, 10) == want
}

// judgeAmnezia says once, for all of its keys, whose the file is.
func (p *parser) judgeAmnezia() {
	a := &p.amnezia
	if len(a.keys) == 0 {
		return
	}
	p.lineNo = a.line
	keys := strings.Join(a.keys, ", ")
	if a.changed {
		p.fail("", "this is a file for AmneziaWG (%s): its server expects messages that WireGuard does not send; use AmneziaWG, or ask for a "+
			"plain WireGuard file", keys)
		return
	}
	p.fail("", "this is a file for AmneziaWG (%s), with values that a WireGuard server accepts: leave these keys out", keys)
}
