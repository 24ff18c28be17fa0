package tundev

import (
	"errors"
	"fmt"
	"os"
	"syscall"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// getInterface asks a TUN device for the name and the flags of its interface.
func getInterface(fd uintptr) (*unix.Ifreq, error) {
	req, err := unix.NewIfreq("")
	if err == nil {
		err = unix.IoctlIfreq(int(fd), unix.TUNGETIFF, req)
	}
	if err != nil {
		return nil, fmt.Errorf("ask for the interface of the TUN device: %w", err)
	}
	return req, nil
}

// Name implements tun.Device. It is the name of now: interfaces can be renamed.
func (d *Device) Name() (string, error) {
	var req *unix.Ifreq
	var err error
	if cerr := d.raw.Control(func(fd uintptr) { req, err = getInterface(fd) }); cerr != nil {
		return "", d.fileError(cerr)
	}
	if err != nil {
		return "", err
	}
	return req.Name(), nil
}

// MTU implements tun.Device, in bytes. If the interface was moved to another
// network namespace, it is the one that it had before.
func (d *Device) MTU() (int, error) {
	if d.iface != nil {
		if _, err := d.lookMTU(); err != nil && !errors.Is(err, errAway) {
			return 0, err
		}
	}
	return int(d.mtu.Load()), nil
}

// lookMTU asks the kernel. The error wraps errAway if the interface is in
// another network namespace.
func (d *Device) lookMTU() (int, error) {
	name, err := d.Name()
	if err != nil {
		return 0, err
	}
	mtu, err := d.iface.mtu(name)
	if err != nil {
		return 0, fmt.Errorf("ask for the MTU of the TUN device: %w", err)
	}
	d.mtu.Store(int64(mtu))
	return mtu, nil
}

// errAway: the interface is not in the network namespace that it was made in.
var errAway = errors.New("interface is in another network namespace")

// iface asks about an interface (netdevice(7)) in the network namespace that it
// was opened in, from whatever thread.
type iface struct {
	socket *os.File
	raw    syscall.RawConn
	links  *netlink.Handle
	index  uint32
}

func openIface(name string) (*iface, error) {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("open socket to ask about interfaces: %w", err)
	}
	i := &iface{socket: os.NewFile(uintptr(fd), "netdevice")}
	if i.raw, err = i.socket.SyscallConn(); err == nil {
		i.index, err = i.ioctl(name, unix.SIOCGIFINDEX, 0)
	}
	if err == nil {
		i.links, err = netlink.NewHandle(unix.NETLINK_ROUTE)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("look up interface %s: %w", name, err), i.close())
	}
	return i, nil
}

func (i *iface) close() error {
	if i.links != nil {
		i.links.Close()
	}
	return i.socket.Close()
}

const (
	// maxJoined is what one UDP datagram holds of packets that are joined for the
	// kernel to cut up again (UDP_SEGMENT), and maxSegments how many they may be.
	maxJoined   = 1<<16 - 1 - 20 - 8
	maxSegments = 64
	// encryption is by how much a data message is longer than a packet of the
	// length of the MTU: the device pads no packet beyond that.
	encryption = 32
)

// limitSegments has the kernel make super packets of so many segments that the
// encrypted ones fit one datagram. A larger one would come to the other end in two
// pieces, of which the second is a few packets that cost as much as the first, and
// are acknowledged apart. A kernel that refuses goes on as before: it only costs.
func (i *iface) limitSegments(mtu int) {
	if mtu <= 0 {
		return
	}
	n := max(1, min(maxSegments, maxJoined/(mtu+encryption)))
	_ = i.links.LinkSetGSOMaxSegs(&netlink.GenericLink{LinkAttrs: netlink.LinkAttrs{Index: int(i.index)}}, n)
}

func (i *iface) ioctl(name string, request uint, value uint32) (uint32, error) {
	req, err := unix.NewIfreq(name)
	if err != nil {
		return 0, err
	}
	req.SetUint32(value)
	if cerr := i.raw.Control(func(fd uintptr) { err = unix.IoctlIfreq(int(fd), request, req) }); cerr != nil {
		return 0, cerr
	}
	return req.Uint32(), err
}

func (i *iface) setMTU(name string, mtu int) error {
	if _, err := i.ioctl(name, unix.SIOCSIFMTU, uint32(mtu)); err != nil {
		return fmt.Errorf("set the MTU of the TUN device to %d: %w", mtu, err)
	}
	return nil
}

// mtu looks at the index too: another interface may have the name by now.
func (i *iface) mtu(name string) (int, error) {
	index, err := i.ioctl(name, unix.SIOCGIFINDEX, 0)
	if errors.Is(err, unix.ENODEV) || err == nil && index != i.index {
		return 0, errAway
	}
	if err != nil {
		return 0, err
	}
	mtu, err := i.ioctl(name, unix.SIOCGIFMTU, 0)
	return int(mtu), err
}
