package link

import (
	"errors"
	"strings"
	"syscall"
)

// RightsError says what keeps this process from making network interfaces. At
// least one of its fields is not nil.
type RightsError struct {
	// Network is what the kernel answers to who would change the network: EPERM
	// without CAP_NET_ADMIN in the user namespace that the network belongs to.
	Network error
	// TUN is what became of the attempt to open /dev/net/tun.
	TUN error
}

func (e *RightsError) Error() string {
	var why []string
	switch {
	case errors.Is(e.Network, syscall.EPERM):
		why = append(why, "this process has no CAP_NET_ADMIN over its network")
	case e.Network != nil:
		why = append(why, "the network cannot be changed: "+e.Network.Error())
	}
	if e.TUN != nil {
		why = append(why, e.TUN.Error())
	}
	return strings.Join(why, ", and ")
}

// Unwrap returns what the kernel answered.
func (e *RightsError) Unwrap() []error { return []error{e.Network, e.TUN} }
