package setup

import "net/netip"

// Firewall is what this host's own firewall would do with a server's packets.
type Firewall struct {
	Owner string   // whose rules they are: "ufw"; "" if that is not known, or nothing is dropped
	Lines []string // to type, so that they pass; comments begin with "# "
	// Unsure says that it was not found out of all of them.
	Unsure bool
}

// stranger is somebody out there (RFC 5737, RFC 3849).
var stranger = map[bool]netip.Addr{true: netip.MustParseAddr("198.51.100.77"), false: netip.MustParseAddr("2001:db8:77::77")}
