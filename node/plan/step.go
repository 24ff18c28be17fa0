package plan

import (
	"fmt"
	"net/netip"

	"github.com/wgnode/wgnode/node/nftables"
	"github.com/wgnode/wgnode/node/rule"
)

// Op is what a step does.
type Op string

const (
	OpLink      Op = "link"      // create the link
	OpConfigure Op = "configure" // give the device its keys, peers and Mark
	OpAddress   Op = "address"   // add Prefix as an address
	OpUp        Op = "up"        // set MTU and bring the link up
	OpRoute     Op = "route"     // route Prefix to the link, in Table

	// What a default route needs besides. Prefix is that route's: it tells the
	// family.
	OpValidMark Op = "valid-mark" // set src_valid_mark
	OpMarked    Op = "marked"     // rule at Priority: what lacks Mark asks Table
	OpSuppress  Op = "suppress"   // rule at Priority: main table, but not its default route
	OpFirewall  Op = "firewall"   // add the table of the firewall, for Mark
)

// srcValidMark makes the check of source addresses heed a packet's mark.
const srcValidMark = "net.ipv4.conf.all.src_valid_mark"

// onLink reports whether what the step makes goes with the link.
func (o Op) onLink() bool {
	switch o {
	case OpValidMark, OpMarked, OpSuppress, OpFirewall:
		return false
	}
	return true
}

// Step is one change to the host. Its JSON form is what the journal holds: all
// that undoing needs, and no secret.
type Step struct {
	Op     Op           `json:"op"`
	Link   string       `json:"link"`
	Prefix netip.Prefix `json:"prefix,omitzero"`
	MTU    int          `json:"mtu,omitempty"` // bytes

	Table    int    `json:"table,omitempty"` // 0: main
	Mark     uint32 `json:"mark,omitempty"`  // of the encrypted packets, 0: none
	Priority int    `json:"priority,omitempty"`

	// Why is for people: the reason that this step is there.
	Why string `json:"-"`
	// Skip, if not empty, is why this host cannot do the step and is well
	// without it.
	Skip string `json:"-"`
}

// String returns the command that would do the same, as wg-quick prints it.
func (s Step) String() string {
	switch s.Op {
	case OpLink:
		return fmt.Sprintf("ip link add dev %s type wireguard", s.Link)
	case OpConfigure:
		return fmt.Sprintf("wg setconf %s /dev/fd/63", s.Link)
	case OpAddress:
		return fmt.Sprintf("ip %s address add %s dev %s", family(s.Prefix), s.Prefix, s.Link)
	case OpUp:
		return fmt.Sprintf("ip link set mtu %d up dev %s", s.MTU, s.Link)
	case OpRoute:
		return fmt.Sprintf("ip %s route add %s dev %s%s", family(s.Prefix), s.Prefix, s.Link, s.inTable())
	case OpValidMark:
		return "sysctl -q " + srcValidMark + "=1"
	case OpMarked, OpSuppress:
		return fmt.Sprintf("ip %s rule add %s", family(s.Prefix), s.rule())
	case OpFirewall:
		return "nft -f /dev/fd/63"
	}
	return fmt.Sprintf("unknown step %q", string(s.Op))
}

// UndoString returns the command that would undo the step, or "" for a step
// that needs no undoing because it goes with the link.
func (s Step) UndoString() string {
	switch s.Op {
	case OpLink:
		return fmt.Sprintf("ip link delete dev %s", s.Link)
	case OpAddress:
		return fmt.Sprintf("ip %s address delete %s dev %s", family(s.Prefix), s.Prefix, s.Link)
	case OpRoute:
		return fmt.Sprintf("ip %s route delete %s dev %s%s", family(s.Prefix), s.Prefix, s.Link, s.inTable())
	case OpValidMark:
		return "sysctl -q " + srcValidMark + "=0"
	case OpMarked, OpSuppress:
		return fmt.Sprintf("ip %s rule delete %s", family(s.Prefix), s.rule())
	case OpFirewall:
		t := s.firewall()
		return fmt.Sprintf("nft delete table %s %s", t.Family(), t.Name())
	}
	return ""
}

func (s Step) inTable() string {
	if s.Table == 0 {
		return ""
	}
	return fmt.Sprintf(" table %d", s.Table)
}

// rule is what an OpMarked or OpSuppress step adds.
func (s Step) rule() rule.Rule {
	if s.Op == OpSuppress {
		return rule.Suppress(s.Prefix.Addr().Is6(), s.Priority)
	}
	return rule.Marked(s.Prefix.Addr().Is6(), s.Priority, s.Mark, s.Table)
}

// firewall is what an OpFirewall step adds, but for the addresses: those of the
// link are known once it is up.
func (s Step) firewall() nftables.Table {
	return nftables.Table{Link: s.Link, IPv6: s.Prefix.Addr().Is6(), Mark: s.Mark}
}

func family(p netip.Prefix) string {
	if p.Addr().Is4() {
		return "-4"
	}
	return "-6"
}
