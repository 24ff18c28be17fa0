//go:build linux

package confine

import (
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"

	"golang.org/x/sys/unix"

	"github.com/wgnode/wgnode/node/internal/address"
	"github.com/wgnode/wgnode/node/internal/sysctl"
	"github.com/wgnode/wgnode/node/link"
	"github.com/wgnode/wgnode/node/route"
)

const tunPath = "/dev/net/tun"

// network makes the interfaces and routes.
func (f *furnisher) network(n Network) error {
	lo, err := link.ByName("lo")
	if err != nil {
		return err
	}
	if err := link.SetUp(lo, lo.MTU); err != nil {
		return err
	}
	if f.ipv6, err = enableIPv6(); err != nil {
		f.note("skipped: IPv6: %v", err)
	}
	allowPing()
	fd, err := createTUN(n.Name)
	if err != nil {
		return err
	}
	f.add(fileTUN, fd)
	l, err := link.ByName(n.Name)
	if err != nil {
		return err
	}
	for _, a := range f.usable(n.Addresses) {
		if err := address.Add(l, a); err != nil {
			return err
		}
	}
	if err := link.SetUp(l, n.MTU); err != nil {
		return err
	}
	for _, p := range f.usable(n.Routes) {
		// The network of an address has its route already.
		if err := route.Add(l, p, 0); err != nil && !errors.Is(err, unix.EEXIST) {
			return err
		}
	}
	for _, p := range f.usable(n.Unreachable) {
		if err := route.AddThrow(p, 0); err != nil && !errors.Is(err, unix.EEXIST) {
			return err
		}
	}
	return nil
}

// usable leaves out IPv6 where there is none.
func (f *furnisher) usable(all []netip.Prefix) []netip.Prefix {
	var some []netip.Prefix
	for _, p := range all {
		if p.Addr().Is4() || f.ipv6 {
			some = append(some, p)
		}
	}
	return some
}

// enableIPv6 switches IPv6 on for the links to come, where the host has it off
// by default. The error says why there will be none.
func enableIPv6() (bool, error) {
	for _, key := range []string{"net.ipv6.conf.all.disable_ipv6", "net.ipv6.conf.default.disable_ipv6"} {
		v, err := sysctl.Read(key)
		if errors.Is(err, fs.ErrNotExist) {
			return false, errors.New("this kernel has none")
		}
		if err == nil && v != "0" {
			err = sysctl.Write(key, "0")
		}
		if err != nil {
			return false, err
		}
	}
	return true, nil
}

// allowPing lets the command's user ping without privileges, as most hosts do.
// It is a convenience: where it cannot be set, as in containers whose /proc/sys is
// read-only, ping says so itself.
func allowPing() {
	_ = sysctl.Write("net.ipv4.ping_group_range", fmt.Sprintf("%d %d", os.Getegid(), os.Getegid()))
}

// createTUN makes a TUN device as the tun module wants it to be.
func createTUN(name string) (fd int, err error) {
	fd, err = unix.Open(tunPath, unix.O_RDWR|unix.O_CLOEXEC, 0)
	if err != nil {
		return -1, fmt.Errorf("create TUN device %s: %w", name, &fs.PathError{Op: "open", Path: tunPath, Err: err})
	}
	req, err := unix.NewIfreq(name)
	if err == nil {
		req.SetUint16(unix.IFF_TUN | unix.IFF_NO_PI | unix.IFF_VNET_HDR)
		err = unix.IoctlIfreq(fd, unix.TUNSETIFF, req)
	}
	if err != nil {
		return -1, errors.Join(fmt.Errorf("create TUN device %s: %w", name, err), unix.Close(fd))
	}
	return fd, nil
}
