// Package port finds out who has a port of this host, for the error of who wanted
// it: by proc(5), as `ss -p` does.
//
// All functions work in the network namespace of the calling thread.
package port

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"
)

// InUseError says that a port is taken. It wraps EADDRINUSE.
type InUseError struct {
	Network string // "tcp" or "udp"
	Port    uint16
	Owner   Owner
}

// Owner is who has a port. The zero Owner is not known: without root one sees no
// other user's processes.
type Owner struct {
	PID    int
	Name   string // of the process
	Kernel bool   // no process has it: a WireGuard interface of the kernel's, as a rule
}

func (e *InUseError) Error() string {
	text := fmt.Sprintf("%s port %d: %v", strings.ToUpper(e.Network), e.Port, errInUse)
	switch {
	case e.Owner.Kernel:
		return text + " by the kernel, for a WireGuard interface or the like"
	case e.Owner.PID != 0:
		return fmt.Sprintf("%s by %s (pid %d)", text, e.Owner.Name, e.Owner.PID)
	}
	return text
}

// Unwrap returns the kernel's answer.
func (e *InUseError) Unwrap() error { return errInUse }

// InUse reports whether an error says that an address is taken.
func InUse(err error) bool { return errors.Is(err, errInUse) }

// Explain makes an [InUseError] of an error that wraps EADDRINUSE. Others it returns
// as they are.
func Explain(err error, network string, port uint16) error {
	if !errors.Is(err, errInUse) || port == 0 {
		return err
	}
	return &InUseError{network, port, ownerOf(network, port)}
}

// ExplainListen is Explain for the address that somebody wanted to listen at.
func ExplainListen(err error, network, address string) error {
	at, perr := netip.ParseAddrPort(address)
	if perr != nil {
		return err // then the first error has to do
	}
	return Explain(err, network, at.Port())
}
