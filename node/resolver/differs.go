package resolver

import (
	"context"
	"fmt"
	"net/netip"
	"slices"

	"github.com/godbus/dbus/v5"
)

// Differs says in words how what a change did is no longer so, "" if it is. The
// index is that of its link.
func (h Host) Differs(ctx context.Context, c Change, index int) (string, error) {
	servers, err := h.has(ctx, c, index)
	if err != nil {
		return "", fmt.Errorf("look up name servers of %s: %w", c.Link, err)
	}
	for _, s := range c.Servers {
		if !slices.Contains(servers, s) {
			return fmt.Sprintf("name server %s is no longer set by %s", s, c.Kind.Name()), nil
		}
	}
	return "", nil
}

// has returns the servers that are set where the change set its own.
func (h Host) has(ctx context.Context, c Change, index int) (servers []netip.Addr, err error) {
	switch c.Kind {
	case Resolved:
		err = onBus(ctx, func(ctx context.Context, conn *dbus.Conn) error {
			var all []linkAddress
			if err := resolved.property(ctx, conn, resolved.path, "Manager", "DNS", &all); err != nil {
				return err
			}
			for _, a := range all {
				if addr, ok := a.addr(); ok && a.Index == int32(index) {
					servers = append(servers, addr)
				}
			}
			return nil
		})
	case Resolvconf:
		asks, err := h.Asks(ctx, File)
		if slices.ContainsFunc(asks.Servers, netip.Addr.IsLoopback) {
			return c.Servers, err // a program on this host is asked, and whom that asks is not seen
		}
		return asks.Servers, err
	case File:
		now, err := takeSnapshot(h.resolvConf())
		if err != nil {
			return nil, err
		}
		if st, ours := stackOf(now); ours {
			for _, t := range st.Tunnels {
				if t.Link == c.Link {
					servers = append(servers, t.Servers...)
				}
			}
			return servers, nil
		}
		return fileServers(string(now.Content)), nil
	default: // nothing was set
		return c.Servers, nil
	}
	return servers, err
}
