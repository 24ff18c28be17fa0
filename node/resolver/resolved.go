package resolver

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"time"

	"github.com/godbus/dbus/v5"
)

// manager is an object on D-Bus that keeps name servers for links. Both have
// the same methods (org.freedesktop.resolve1(5), org.freedesktop.network1(5)).
type manager struct {
	name   string
	path   dbus.ObjectPath
	revert string // its method that forgets a link's name servers
}

var (
	resolved = manager{"org.freedesktop.resolve1", "/org/freedesktop/resolve1", "RevertLink"}
	// networkd is to be asked for the links that it manages, as resolvectl(1)
	// does: systemd-resolved takes theirs only from there.
	networkd = manager{"org.freedesktop.network1", "/org/freedesktop/network1", "RevertLinkDNS"}
)

// busTime is how long a call may take, the start of the service included.
const busTime = 10 * time.Second

// onBus calls f with a connection to the system bus.
func onBus(ctx context.Context, f func(context.Context, *dbus.Conn) error) error {
	ctx, cancel := context.WithTimeout(ctx, busTime)
	defer cancel()
	conn, err := dbus.ConnectSystemBus(dbus.WithContext(ctx))
	if err != nil {
		return fmt.Errorf("connect to D-Bus: %w", err)
	}
	err = f(ctx, conn)
	if cerr := conn.Close(); err == nil && cerr != nil {
		return fmt.Errorf("disconnect from D-Bus: %w", cerr)
	}
	return err
}

func (m manager) call(ctx context.Context, conn *dbus.Conn, method string, args ...any) error {
	return conn.Object(m.name, m.path).CallWithContext(ctx, m.name+".Manager."+method, 0, args...).Err
}

// hasName reports whether an error came over D-Bus by one of these names.
func hasName(err error, names ...string) bool {
	var e dbus.Error
	if !errors.As(err, &e) {
		return false
	}
	for _, n := range names {
		if e.Name == n {
			return true
		}
	}
	return false
}

const (
	noSuchLink = "org.freedesktop.resolve1.NoSuchLink"
	linkBusy   = "org.freedesktop.resolve1.LinkBusy" // networkd's
	// What the bus says of a service that does not run and cannot be started.
	serviceUnknown = "org.freedesktop.DBus.Error.ServiceUnknown"
	nameHasNoOwner = "org.freedesktop.DBus.Error.NameHasNoOwner"
)

// pingResolved returns nil if systemd-resolved answers.
func pingResolved() error {
	err := onBus(context.Background(), func(ctx context.Context, conn *dbus.Conn) error {
		return conn.Object(resolved.name, resolved.path).CallWithContext(ctx, "org.freedesktop.DBus.Peer.Ping", 0).Err
	})
	if err != nil {
		return fmt.Errorf("systemd-resolved does not answer: %w", err)
	}
	return nil
}

// busAddress is an address as the two managers take it.
type busAddress struct {
	Family int32
	Bytes  []byte
}

// busDomain is a search domain, or one that only leads names to a link.
type busDomain struct {
	Name  string
	Route bool
}

// The numbers of families of addresses that systemd-resolved wants: Linux's.
const (
	afInet  = 2
	afInet6 = 10
)

// busAddresses are the servers without their zones: that is always the link.
func (c Change) busAddresses() ([]busAddress, error) {
	var as []busAddress
	for _, a := range c.Servers {
		if z := a.Zone(); z != "" && z != c.Link {
			return nil, fmt.Errorf("systemd-resolved asks the servers of %s on that link only, not %s", c.Link, a)
		}
		family := int32(afInet6)
		if a.Is4() {
			family = afInet
		}
		as = append(as, busAddress{family, a.AsSlice()})
	}
	return as, nil
}

func (c Change) busDomains() []busDomain {
	ds := []busDomain{} // an empty list clears what was there
	for _, d := range c.Search {
		name, route := strings.CutPrefix(d, "~")
		ds = append(ds, busDomain{name, route})
	}
	if c.AllNames {
		ds = append(ds, busDomain{".", true})
	}
	return ds
}

// addrs is a list for people.
func addrs(as []netip.Addr) string {
	var s []string
	for _, a := range as {
		s = append(s, a.String())
	}
	return strings.Join(s, " ")
}

// resolvectl is the command for the change.
func (c Change) resolvectl() string {
	var domains strings.Builder
	for _, d := range c.busDomains() {
		if d.Route {
			fmt.Fprintf(&domains, " '~%s'", d.Name)
		} else {
			fmt.Fprintf(&domains, " %s", d.Name)
		}
	}
	answer := map[bool]string{true: "yes", false: "no"}[c.AllNames]
	return fmt.Sprintf("resolvectl dns %s %s && resolvectl domain %[1]s%[3]s && resolvectl default-route %[1]s %[4]s",
		c.Link, addrs(c.Servers), domains.String(), answer)
}

func doResolved(ctx context.Context, c Change, index int) error {
	as, err := c.busAddresses()
	if err != nil {
		return fmt.Errorf("set name servers for %s: %w", c.Link, err)
	}
	err = onBus(ctx, func(ctx context.Context, conn *dbus.Conn) error {
		// Which of the two it is shows in the first call.
		m := resolved
		err := m.call(ctx, conn, "SetLinkDNS", int32(index), as)
		if hasName(err, linkBusy) {
			m = networkd
			err = m.call(ctx, conn, "SetLinkDNS", int32(index), as)
		}
		if err == nil {
			err = m.call(ctx, conn, "SetLinkDomains", int32(index), c.busDomains())
		}
		if err == nil {
			err = m.call(ctx, conn, "SetLinkDefaultRoute", int32(index), c.AllNames)
		}
		return err
	})
	if err == nil {
		return nil
	}
	err = fmt.Errorf("set name servers for %s in systemd-resolved: %w", c.Link, err)
	if undoErr := undoResolved(c.Link, index); !errors.Is(undoErr, ErrNotSet) {
		return errors.Join(err, undoErr)
	}
	return err
}

// undoResolved takes it for undone if the link is gone or systemd-resolved does
// not run: the settings live no longer than either.
func undoResolved(link string, index int) error {
	err := onBus(context.Background(), func(ctx context.Context, conn *dbus.Conn) error {
		err := resolved.call(ctx, conn, resolved.revert, int32(index))
		if hasName(err, linkBusy) {
			return networkd.call(ctx, conn, networkd.revert, int32(index))
		}
		return err
	})
	switch {
	case err == nil:
		return nil
	case hasName(err, noSuchLink, serviceUnknown, nameHasNoOwner):
		return fmt.Errorf("reset name servers of %s: %w", link, ErrNotSet)
	}
	return fmt.Errorf("reset name servers of %s in systemd-resolved: %w", link, err)
}
