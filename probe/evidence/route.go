package evidence

import "net/netip"

// RouteKind is what a route lookup came to.
type RouteKind string

// The kinds. RouteUnknown: it was not asked for, or could not be found out.
const (
	RouteUnknown     RouteKind = ""
	RouteFound       RouteKind = "found"
	RouteNone        RouteKind = "none"
	RouteUnreachable RouteKind = "unreachable"
	RouteProhibited  RouteKind = "prohibit"
	RouteBlackhole   RouteKind = "blackhole"
)

// String says it for a sentence: "an unreachable route".
func (k RouteKind) String() string {
	switch k {
	case RouteFound:
		return "found"
	case RouteNone:
		return "network is unreachable"
	case RouteUnreachable:
		return "an unreachable route"
	case RouteProhibited:
		return "a prohibit route"
	case RouteBlackhole:
		return "a blackhole route"
	}
	return "not known"
}

// RouteDecision is the kernel's answer to where a packet would go.
type RouteDecision struct {
	Kind      RouteKind  `json:"kind,omitempty"`
	Interface string     `json:"interface,omitempty"` // if found; "" if it may take several
	Gateway   netip.Addr `json:"gateway,omitzero"`
	Source    netip.Addr `json:"source,omitzero"`
	Local     bool       `json:"local,omitempty"` // the address is this host's own
	Broadcast bool       `json:"broadcast,omitempty"`
	Mark      uint32     `json:"mark,omitempty"` // the firewall mark that it was looked up with
	Text      string     `json:"text,omitempty"` // as "ip route get" words it, for evidence

	// By is the rule that led there, and Remove the command that would remove
	// what decided; "" where that is not known.
	By     string `json:"by,omitempty"`
	Remove string `json:"remove,omitempty"`
	// Beatable: a more specific route in the main table would win.
	Beatable bool `json:"beatable,omitempty"`
	// Ahead are rules for this destination alone that would be asked before the one that
	// decided, and lead elsewhere; none where that was by a rule or table of the kernel's own.
	Ahead []RuleAhead `json:"ahead,omitempty"`
	// Around is the command that would lead past the tunnel.
	Around string `json:"around,omitempty"`

	// Overruled is the route of table local that says that the address is this host's own,
	// where By is asked before that table and leads elsewhere; "" else. LocalFirst is the
	// command that has table local asked first for this address.
	Overruled  string `json:"overruled,omitempty"`
	LocalFirst string `json:"local_first,omitempty"`

	// Steps are the rules that were tried and what came of each, one line each; empty
	// where only the decision was asked for.
	Steps []string `json:"steps,omitempty"`
	// Neighbor is the one on the link that must take the packet; nil if there is
	// none, or it was not looked up.
	Neighbor *Neighbor `json:"neighbor,omitempty"`
}

// RuleAhead is a rule of routing that could be added.
type RuleAhead struct {
	Interface string `json:"interface"` // where it would lead
	Command   string `json:"command"`   // which adds it
}

// Rejects reports whether the decision is to send nothing.
func (r *RouteDecision) Rejects() bool { return r.Kind != RouteUnknown && r.Kind != RouteFound }

// Neighbor is the host that must take packets on a link.
type Neighbor struct {
	Addr netip.Addr `json:"addr,omitzero"`
	Link string     `json:"link,omitempty"`
	// Unreachable: it was asked for and does not answer. Pending: it may yet, the
	// kernel is still asking.
	Unreachable bool   `json:"unreachable,omitempty"`
	Pending     bool   `json:"pending,omitempty"`
	Evidence    string `json:"evidence,omitempty"`
}

// SourceCheck is what routing makes of a packet that comes in: rp_filter and the like
// of its source, and whether it is for this host.
type SourceCheck struct {
	// Drops says that the source has the packet dropped, unless there is a Doubt: what
	// that depends on, "" if on nothing.
	Drops bool   `json:"drops,omitempty"`
	Doubt string `json:"doubt,omitempty"`
	// Evidence is what was found, the verdict first, and Setting the sysctl that the
	// kernel goes by: "net.ipv4.conf.all.rp_filter = 1 (strict)"; "" if there is none.
	Evidence []string      `json:"evidence,omitempty"`
	Setting  string        `json:"setting,omitempty"`
	Fix      []string      `json:"fix,omitempty"`
	Back     RouteDecision `json:"back,omitzero"` // the route to the source

	// Dst is the destination as routing sees it, after translation. Own says that it
	// is this host's own, and OwnRoute by which route.
	Dst      netip.Addr `json:"dst,omitzero"`
	Own      bool       `json:"own,omitempty"`
	OwnRoute string     `json:"own_route,omitempty"`
}

// Certain reports whether the source is known to have the packet dropped.
func (c *SourceCheck) Certain() bool { return c.Drops && c.Doubt == "" }

// Proxy is whether this host answers on a link for an address of the link's network that is
// elsewhere, behind the tunnel.
type Proxy struct {
	Addr     netip.Addr `json:"addr,omitzero"`
	Link     string     `json:"link,omitempty"`
	Answers  bool       `json:"answers,omitempty"`
	Evidence string     `json:"evidence,omitempty"`
	Fix      []string   `json:"fix,omitempty"`
}

// Forwarding is whether the host forwards.
type Forwarding struct {
	On       bool     `json:"on,omitempty"`
	Evidence string   `json:"evidence,omitempty"`
	Fix      []string `json:"fix,omitempty"`
}

// Describe is the decision with the rule that led there, for evidence.
func (r *RouteDecision) Describe() string {
	if r.By == "" {
		return r.Text
	}
	return r.Text + ", by rule " + r.By
}
