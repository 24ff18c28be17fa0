package plan

import (
	"context"
	"errors"
	"net/netip"
	"syscall"

	"github.com/wgnode/wgnode/node/internal/nftables"
	"github.com/wgnode/wgnode/node/internal/rule"
	"github.com/wgnode/wgnode/node/link"
	"github.com/wgnode/wgnode/node/resolver"
)

// Kernel is the part of a host that steps change. Its errors name action and
// object. [System] is the one of this host.
type Kernel interface {
	// Link looks up a link; the error wraps link.ErrNotFound if there is none.
	Link(name string) (link.Link, error)
	// DeleteLink and the other deletions return an error that wraps
	// link.ErrNotFound or the kernel's errno if there is nothing to delete.
	DeleteLink(l link.Link) error
	SetUp(l link.Link, mtu int) error
	AddAddress(l link.Link, p netip.Prefix) error
	DeleteAddress(l link.Link, p netip.Prefix) error
	// Table 0 is the main one.
	AddRoute(l link.Link, p netip.Prefix, table int) error
	// ReplaceRoute is AddRoute in place of a route of the same prefix, if there is
	// one.
	ReplaceRoute(l link.Link, p netip.Prefix, table int) error
	DeleteRoute(l link.Link, p netip.Prefix, table int) error
	AddRule(r rule.Rule) error
	DeleteRule(r rule.Rule) error
	// AddFirewall adds the table, with the addresses that the link has and others can reach.
	AddFirewall(l link.Link, t nftables.Table) error
	DeleteFirewall(t nftables.Table) error
	// AddKillSwitch adds the table, or changes it without a moment in which it
	// is not there.
	AddKillSwitch(k nftables.KillSwitch) error
	DeleteKillSwitch(link string) error
	AddGateway(g nftables.Gateway) error
	DeleteGateway(link string) error
	// AddThrow adds a route to the table that sends who asks it on to the rules
	// that follow.
	AddThrow(p netip.Prefix, table int) error
	ReplaceThrow(p netip.Prefix, table int) error
	DeleteThrow(p netip.Prefix, table int) error
	// Sysctl returns the value of a parameter.
	Sysctl(name string) (string, error)
	SetSysctl(name, value string) error
	// MarkedRule returns a rule that goes by a mark, in words, "" if there is none.
	MarkedRule() (string, error)
	// SetDNS has names resolved by a tunnel's servers.
	SetDNS(ctx context.Context, l link.Link, c resolver.Change) error
	// ResetDNS puts back what was there before. The link may be gone. The error
	// wraps resolver.ErrNotSet if there is nothing to put back, and
	// resolver.ErrChanged if it leaves what somebody else has set since.
	ResetDNS(l link.Link, c resolver.Change) error
}

// busy is a Kernel that is faster at many changes if it knows of them.
type busy interface {
	// begin returns one to do them with, until end is called.
	begin() (k Kernel, end func(), err error)
}

// ErrInUse is wrapped by the error of a Kernel that did not take back what
// somebody else has come to need. It counts as undone.
var ErrInUse = errors.New("another program needs it")

// Device is the WireGuard device of the node that Apply brings up.
type Device interface {
	// Create creates the link by this name and begins to serve it. If it fails
	// it leaves nothing behind. Deleting the link must be enough to end it.
	Create(ctx context.Context, name string) error
	// Configure gives it private key, port, peers, and the mark that its
	// encrypted packets are to carry, 0 for none.
	Configure(ctx context.Context, mark uint32) error
}

// leftAlone reports whether something was not undone because it has become
// somebody else's.
func leftAlone(err error) bool {
	return errors.Is(err, ErrInUse) || errors.Is(err, resolver.ErrChanged)
}

// gone reports whether a deletion failed because there was nothing to delete.
// Which errno the kernel chooses depends on the object: ENODEV for links,
// EADDRNOTAVAIL for addresses, ESRCH for routes, ENOENT for most of the rest.
func gone(err error) bool {
	if errors.Is(err, link.ErrNotFound) || errors.Is(err, resolver.ErrNotSet) || errors.Is(err, errNothing) {
		return true
	}
	for _, errno := range []syscall.Errno{syscall.ENODEV, syscall.EADDRNOTAVAIL, syscall.ESRCH, syscall.ENOENT} {
		if errors.Is(err, errno) {
			return true
		}
	}
	return false
}
