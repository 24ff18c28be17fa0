package plan

import (
	"fmt"
	"net/netip"
)

// Op is what a step does.
type Op string

const (
	OpLink      Op = "link"      // create the link
	OpConfigure Op = "configure" // give the device its keys and peers
	OpAddress   Op = "address"   // add Prefix as an address
	OpUp        Op = "up"        // set MTU and bring the link up
	OpRoute     Op = "route"     // route Prefix to the link, in the main table
)

// Step is one change to the host. Its JSON form is what the journal holds: all
// that undoing needs, and no secret.
type Step struct {
	Op     Op           `json:"op"`
	Link   string       `json:"link"`
	Prefix netip.Prefix `json:"prefix,omitzero"`
	MTU    int          `json:"mtu,omitempty"` // bytes

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
		return fmt.Sprintf("ip %s route add %s dev %s", family(s.Prefix), s.Prefix, s.Link)
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
		return fmt.Sprintf("ip %s route delete %s dev %s", family(s.Prefix), s.Prefix, s.Link)
	}
	return ""
}

func family(p netip.Prefix) string {
	if p.Addr().Is4() {
		return "-4"
	}
	return "-6"
}
