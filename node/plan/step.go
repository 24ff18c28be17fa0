package plan

import (
	"fmt"
	"net/netip"

	"github.com/wgnode/wgnode/node/hook"
	"github.com/wgnode/wgnode/node/internal/nftables"
	"github.com/wgnode/wgnode/node/resolver"
)

// Op is what a step does.
type Op string

const (
	OpLink      Op = "link"      // create the link
	OpConfigure Op = "configure" // give the device its keys, peers and Mark
	OpAddress   Op = "address"   // add Prefix as an address
	OpUp        Op = "up"        // set MTU and bring the link up
	OpRoute     Op = "route"     // route Prefix to the link, in Table
	OpHook      Op = "hook"      // run Command, one of the Phase's
	OpDNS       Op = "dns"       // have names resolved as DNS says

	// What a default route needs besides. Prefix is that route's: it tells the
	// family.
	OpValidMark Op = "valid-mark" // set src_valid_mark
	OpMarked    Op = "marked"     // rule at Priority: what lacks Mark asks Table
	OpSuppress  Op = "suppress"   // rule at Priority: main table, but not its default route
	OpFirewall  Op = "firewall"   // add the table of the firewall, for Mark

	OpKillSwitch Op = "kill-switch" // add or change the table KillSwitch
	OpThrow      Op = "throw"       // leave Prefix to other tables than Table
	OpSysctl     Op = "sysctl"      // set Sysctl to Value; Before is what it was
	OpGateway    Op = "gateway"     // add the table Gateway
)

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

	Phase hook.Phase `json:"phase,omitempty"`
	// Command is a hook's, with %i replaced. It may hold a secret, and undoing
	// does not need it.
	Command string `json:"-"`
	// At is where the hook stands, as "wg0.conf:12".
	At string `json:"-"`

	DNS *resolver.Change `json:"dns,omitempty"`

	Sysctl string `json:"sysctl,omitempty"`
	Value  string `json:"value,omitempty"`
	Before string `json:"before,omitempty"`
	// For is another parameter that the step is there for: setting that one, or
	// restoring it, changes this one, or what this one is about.
	For string `json:"for,omitempty"`

	// The tables of the firewall are known by the link's name, which is all that
	// undoing needs.
	KillSwitch *nftables.KillSwitch `json:"-"`
	Gateway    *nftables.Gateway    `json:"-"`

	// Why is for people: the reason that this step is there.
	Why string `json:"-"`
	// Skip, if not empty, is why this host cannot do the step and is well
	// without it.
	Skip string `json:"-"`
	// Note, if not empty, is what people should know of a step that is done.
	Note string `json:"-"`
}

// String returns the command that would do the same, as wg-quick prints it.
func (s Step) String() string {
	if o, ok := operations[s.Op]; ok {
		return o.command(s)
	}
	return fmt.Sprintf("unknown step %q", string(s.Op))
}

// Line returns what is printed as the step is done, or skipped: the command,
// and with explain why it is there. A note gets a line of its own.
func (s Step) Line(explain bool) string {
	if s.Skip != "" {
		return fmt.Sprintf("[!] skipped: %s: %s", s, s.Skip)
	}
	line := fmt.Sprintf("[#] %s", s)
	if explain && s.Why != "" {
		line += "  # " + s.Why
	}
	if s.Note != "" {
		line += "\n[!] " + s.Note
	}
	return line
}

// UndoString returns the command that would undo the step, or "" for a step
// that needs no undoing because it goes with the link.
func (s Step) UndoString() string {
	if o, ok := operations[s.Op]; ok && o.undoCommand != nil {
		return o.undoCommand(s)
	}
	return ""
}

func (s Step) inTable() string {
	if s.Table == 0 {
		return ""
	}
	return fmt.Sprintf(" table %d", s.Table)
}

func family(p netip.Prefix) string {
	if p.Addr().Is4() {
		return "-4"
	}
	return "-6"
}
