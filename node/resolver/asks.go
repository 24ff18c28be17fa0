package resolver

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"

	"github.com/godbus/dbus/v5"
)

// Asks is whom a host asks for names that are in no domain with servers of its
// own.
type Asks struct {
	By      string       // who asks: "/etc/resolv.conf" stands for the programs that read it
	Servers []netip.Addr // in order
}

// Asks finds out whom the host asks. A want of [Resolved] says that programs ask
// systemd-resolved whatever is in resolv.conf; otherwise that is to be seen there.
func (h Host) Asks(ctx context.Context, want Kind) (Asks, error) {
	sign, err := h.signOfResolved()
	if err != nil {
		return Asks{}, fmt.Errorf("find name servers: %w", err)
	}
	if sign != "" || want == Resolved {
		servers, err := resolvedAsks(ctx)
		if err != nil {
			return Asks{}, fmt.Errorf("find name servers of systemd-resolved: %w", err)
		}
		return Asks{string(Resolved), servers}, nil
	}
	a := Asks{By: h.resolvConf()}
	text, err := readConf(a.By)
	if err != nil && !absent(err) {
		return Asks{}, fmt.Errorf("find name servers: %w", err)
	}
	a.Servers = fileServers(string(text))
	return a, nil
}

// fileServers are the servers that C libraries heed in the text of a
// resolv.conf(5).
func fileServers(text string) []netip.Addr {
	var servers []netip.Addr
	for line := range strings.Lines(text) {
		f := strings.Fields(line)
		if len(f) < 2 || f[0] != "nameserver" {
			continue
		}
		if a, err := netip.ParseAddr(f[1]); err == nil && len(servers) < maxServers {
			servers = append(servers, a.Unmap())
		}
	}
	return servers
}

// linkAddress and linkDomain are what the manager says of its links
// (org.freedesktop.resolve1(5)). Index 0 is for what is no link's.
type (
	linkAddress struct {
		Index, Family int32
		Bytes         []byte
	}
	linkDomain struct {
		Index int32
		Name  string
		Route bool
	}
)

// addr returns the address, with its link's name as zone if it needs one.
func (a linkAddress) addr() (netip.Addr, bool) {
	addr, ok := netip.AddrFromSlice(a.Bytes)
	if !ok || !addr.IsLinkLocalUnicast() {
		return addr, ok
	}
	l, err := net.InterfaceByIndex(int(a.Index))
	if err != nil {
		return addr, false // the link is gone meanwhile
	}
	return addr.WithZone(l.Name), true
}

// resolvedAsks follows how systemd-resolved leads a name in no particular domain
// (systemd-resolved.service(8), "Protocols and Routing"): to the links with the
// domain "~.", or where there is none to those that are for all names, and to
// the servers that are no link's.
func resolvedAsks(ctx context.Context) (servers []netip.Addr, err error) {
	err = onBus(ctx, func(ctx context.Context, conn *dbus.Conn) error {
		var all []linkAddress
		var domains []linkDomain
		if err := resolved.property(ctx, conn, resolved.path, "Manager", "DNS", &all); err != nil {
			return err
		}
		if err := resolved.property(ctx, conn, resolved.path, "Manager", "Domains", &domains); err != nil {
			return err
		}
		everything := func(index int32) bool {
			return slices.ContainsFunc(domains, func(d linkDomain) bool {
				return d.Index == index && d.Route && (d.Name == "." || d.Name == "")
			})
		}
		some := slices.ContainsFunc(all, func(a linkAddress) bool { return everything(a.Index) })
		for _, a := range all {
			use := everything(a.Index)
			if !some {
				if use, err = isDefault(ctx, conn, a.Index); err != nil {
					return err
				}
			}
			if addr, ok := a.addr(); ok && use && !slices.Contains(servers, addr) {
				servers = append(servers, addr)
			}
		}
		return nil
	})
	return servers, err
}

// isDefault reports whether a link's servers are asked for all names.
func isDefault(ctx context.Context, conn *dbus.Conn, index int32) (bool, error) {
	if index == 0 {
		return true, nil
	}
	var path dbus.ObjectPath
	call := conn.Object(resolved.name, resolved.path).CallWithContext(ctx, resolved.name+".Manager.GetLink", 0, index)
	if hasName(call.Err, noSuchLink) {
		return false, nil // gone meanwhile
	}
	if err := call.Store(&path); err != nil {
		return false, err
	}
	var is bool
	err := resolved.property(ctx, conn, path, "Link", "DefaultRoute", &is)
	return is, err
}

// property reads a property of an object of the manager.
func (m manager) property(ctx context.Context, conn *dbus.Conn, path dbus.ObjectPath, iface, name string, into any) error {
	var v dbus.Variant
	call := conn.Object(m.name, path).CallWithContext(ctx, "org.freedesktop.DBus.Properties.Get", 0, m.name+"."+iface, name)
	if err := call.Store(&v); err != nil {
		return fmt.Errorf("property %s: %w", name, err)
	}
	if err := v.Store(into); err != nil {
		return fmt.Errorf("property %s: %w", name, err)
	}
	return nil
}
