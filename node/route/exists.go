package route

import (
	"fmt"
	"net/netip"
	"syscall"
)

// ExistsError says that a table has a route to the prefix already, and whose it is.
// It wraps EEXIST.
type ExistsError struct {
	Prefix netip.Prefix
	Table  int // 0: main
	// Link is the interface of the route that is there, "" if it has none or is gone
	// since.
	Link string
	// Connected says that the kernel has made that route, for an address of Link: this
	// host is in the network itself.
	Connected bool
	route     string // as ip(8) words it, without the prefix
}

func (e *ExistsError) Error() string {
	if e.route == "" {
		return syscall.EEXIST.Error()
	}
	return fmt.Sprintf("the route already exists (%s)", e.route)
}

// Unwrap returns the kernel's answer.
func (e *ExistsError) Unwrap() error { return syscall.EEXIST }
