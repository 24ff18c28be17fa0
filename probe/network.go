package probe

import (
	"net/netip"
	"strings"
	"time"
)

// Change is what happened to this host's network. Numbers and names are a public
// contract, as those of [Reason] are.
type Change uint8

// The changes, 0 being none. Links and routes count as far as encrypted packets use them.
const (
	ChangeDefaultRoute Change = 1 // of the main table; addresses are those of the gateways
	ChangeSource       Change = 2 // packets to an endpoint leave from another address, or by another link
	ChangeAddressGone  Change = 3 // the address that they left from is no longer ours
	ChangeLinkDown     Change = 4 // a link that they use went down, lost its carrier, or was removed
	ChangeLinkUp       Change = 5 // it came back
	ChangeResume       Change = 6 // the host was asleep
	ChangeMTU          Change = 7 // the tunnel's MTU was adapted
	ChangeKillSwitch   Change = 8 // another program changed the kill switch, which was put back
	ChangeFirewall     Change = 9 // the same of the table that goes with a default route
)

var changeNames = []string{
	ChangeDefaultRoute: "default-route",
	ChangeSource:       "source",
	ChangeAddressGone:  "address-gone",
	ChangeLinkDown:     "link-down",
	ChangeLinkUp:       "link-up",
	ChangeResume:       "resume",
	ChangeMTU:          "mtu",
	ChangeKillSwitch:   "kill-switch",
	ChangeFirewall:     "firewall",
}

func (c Change) String() string { return nameOf(changeNames, uint8(c)) }

// NetworkChange is the content of an event of [KindNetwork]: how something was
// and how it is. What does not apply is zero.
type NetworkChange struct {
	Change           Change
	OldAddr, NewAddr netip.Addr
	OldLink, NewLink string        // names, 15 bytes at most as the kernel has it
	OldMTU, NewMTU   int           // bytes
	Asleep           time.Duration // of ChangeResume
	// Program made a ChangeKillSwitch or ChangeFirewall, 15 bytes of its name, ""
	// if that is not known; PID is its process, as the host sees it, and Times how
	// often it did lately.
	Program string
	PID     uint32
	Times   uint64
}

// byProgram reports whether a change is another program's.
func (c Change) byProgram() bool { return c == ChangeKillSwitch || c == ChangeFirewall }

// Event returns an event that holds c. Its time is for the caller to set.
func (c NetworkChange) Event() Event {
	e := Event{Kind: KindNetwork, Seam: SeamDevice, Info: uint8(c.Change), PrefixBits: NoPrefix,
		OuterSrc: AddrFrom(c.OldAddr), OuterDst: AddrFrom(c.NewAddr),
		InnerLen: uint16(c.OldMTU), OuterLen: uint16(c.NewMTU), Counter: uint64(c.Asleep)}
	copy(e.InnerSrc[:], c.OldLink)
	copy(e.InnerDst[:], c.NewLink)
	if c.Change.byProgram() {
		copy(e.InnerSrc[:], c.Program)
		e.Sender, e.Counter = c.PID, c.Times
	}
	return e
}

// Network returns what an event of [KindNetwork] holds, and reports whether it
// is one.
func (e *Event) Network() (c NetworkChange, ok bool) {
	if e.Kind != KindNetwork {
		return c, false
	}
	if change := Change(e.Info); change.byProgram() {
		return NetworkChange{Change: change, NewLink: linkName(e.InnerDst), Program: linkName(e.InnerSrc),
			PID: e.Sender, Times: e.Counter}, true
	}
	return NetworkChange{
		Change:  Change(e.Info),
		OldAddr: e.OuterSrc.Netip(), NewAddr: e.OuterDst.Netip(),
		OldLink: linkName(e.InnerSrc), NewLink: linkName(e.InnerDst),
		OldMTU: int(e.InnerLen), NewMTU: int(e.OuterLen), Asleep: time.Duration(e.Counter),
	}, true
}

func linkName(a Addr) string { return strings.TrimRight(string(a[:]), "\x00") }
