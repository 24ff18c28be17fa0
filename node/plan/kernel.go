package plan

import (
	"context"
	"errors"
	"net/netip"

	"golang.org/x/sys/unix"

	"github.com/wgnode/wgnode/node/link"
)

// Kernel is the part of a host that steps change. Its errors name action and
// object. [System] is the one of this host.
type Kernel interface {
	// Link looks up a link; the error wraps link.ErrNotFound if there is none.
	Link(name string) (link.Link, error)
	// DeleteLink and the other two deletions return an error that wraps
	// link.ErrNotFound or the kernel's errno if there is nothing to delete.
	DeleteLink(l link.Link) error
	SetUp(l link.Link, mtu int) error
	AddAddress(l link.Link, p netip.Prefix) error
	DeleteAddress(l link.Link, p netip.Prefix) error
	AddRoute(l link.Link, p netip.Prefix) error
	DeleteRoute(l link.Link, p netip.Prefix) error
}

// Device is the WireGuard device of the node that Apply brings up.
type Device interface {
	// Create creates the link by this name and begins to serve it. If it fails
	// it leaves nothing behind. Deleting the link must be enough to end it.
	Create(ctx context.Context, name string) error
	// Configure gives it private key, port, mark and peers.
	Configure(ctx context.Context) error
}

// gone reports whether a deletion failed because there was nothing to delete.
// Which errno the kernel chooses depends on the object: ENODEV for links,
// EADDRNOTAVAIL for addresses, ESRCH for routes, ENOENT for most of the rest.
func gone(err error) bool {
	if errors.Is(err, link.ErrNotFound) {
		return true
	}
	for _, errno := range []unix.Errno{unix.ENODEV, unix.EADDRNOTAVAIL, unix.ESRCH, unix.ENOENT} {
		if errors.Is(err, errno) {
			return true
		}
	}
	return false
}
