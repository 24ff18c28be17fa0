//go:build linux

package route

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/wgnode/wgnode/node/link"
	"github.com/wgnode/wgnode/probe/host/routing"
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
		return unix.EEXIST.Error()
	}
	return fmt.Sprintf("the route already exists (%s)", e.route)
}

// Unwrap returns the kernel's answer.
func (e *ExistsError) Unwrap() error { return unix.EEXIST }

// InTheWay is the error that [Add] and [AddThrow] would fail with, as the tables are
// now, because of a route to the same prefix; nil if there is none.
func InTheWay(l link.Link, p netip.Prefix, table int) error {
	e, ok := errors.AsType[*ExistsError](whose(unix.EEXIST, p, table))
	if !ok || e.route == "" {
		return nil
	}
	return fmt.Errorf("add route %s dev %s%s: %w", p, l.Name, inTable(table), e)
}

// whose finds out about the route that is in the way of one to p, if err says that
// there is one.
func whose(err error, p netip.Prefix, table int) error {
	if !errors.Is(err, unix.EEXIST) {
		return err
	}
	e := &ExistsError{Prefix: p.Masked(), Table: table}
	if table == 0 {
		table = unix.RT_TABLE_MAIN
	}
	routes, lerr := list(p.Addr().Is6(), &netlink.Route{Table: table}, netlink.RT_FILTER_TABLE)
	if lerr != nil {
		return e // the first error counts
	}
	metric := 0 // what a route has that was added without
	if p.Addr().Is6() {
		metric = 1024
	}
	for _, r := range routes {
		if destination(r) != e.Prefix || r.Priority != metric {
			continue
		}
		e.describe(r)
		break
	}
	return e
}

// destination is the prefix of a route. The kernel gives none for a default route.
func destination(r netlink.Route) netip.Prefix {
	if r.Dst == nil {
		if r.Family == netlink.FAMILY_V6 {
			return netip.PrefixFrom(netip.IPv6Unspecified(), 0)
		}
		return netip.PrefixFrom(netip.IPv4Unspecified(), 0)
	}
	ones, _ := r.Dst.Mask.Size()
	return netip.PrefixFrom(addr(r.Dst.IP), ones)
}

func (e *ExistsError) describe(r netlink.Route) {
	var words []string
	if gw := addr(r.Gw); gw.IsValid() {
		words = append(words, "via "+gw.String())
	}
	if l, err := link.ByIndex(r.LinkIndex); err == nil {
		e.Link = l.Name
		words = append(words, "dev "+l.Name)
	}
	words = append(words, "proto "+r.Protocol.String())
	e.Connected = r.Protocol == unix.RTPROT_KERNEL
	if r.Type != unix.RTN_UNICAST {
		words = append([]string{routing.Type(r.Type).String()}, words...)
	}
	e.route = strings.Join(words, " ")
}
