package link

import (
	"errors"
	"fmt"
	"math"
	"os"

	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// tunPath is where a process gets TUN devices from.
const tunPath = "/dev/net/tun"

// CheckRights reports, as a [*RightsError], what keeps this process from making a
// TUN interface. It asks the kernel instead of looking at the user or the
// capabilities, which do not tell whose the network is, nor what a container's
// rules for devices say. It changes nothing.
func CheckRights() error {
	e := RightsError{Network: tryNetwork(), TUN: tryTUN()}
	if e.Network == nil && e.TUN == nil {
		return nil
	}
	return &e
}

// tryNetwork asks for no change of an interface that there is not. The kernel
// looks at the rights first.
func tryNetwork() error {
	req := nl.NewNetlinkRequest(unix.RTM_SETLINK, unix.NLM_F_ACK)
	msg := nl.NewIfInfomsg(unix.AF_UNSPEC)
	msg.Index = math.MaxInt32
	req.AddData(msg)
	if _, err := req.Execute(unix.NETLINK_ROUTE, 0); !errors.Is(err, unix.ENODEV) {
		return err
	}
	return nil
}

// tryTUN opens the device, and asks it something that only it answers. An
// interface is made by another call.
func tryTUN() error {
	fd, err := unix.Open(tunPath, unix.O_RDWR|unix.O_CLOEXEC, 0)
	if err != nil {
		return &os.PathError{Op: "open", Path: tunPath, Err: err}
	}
	if _, err := unix.IoctlGetUint32(fd, unix.TUNGETFEATURES); err != nil {
		return errors.Join(fmt.Errorf("%s is no TUN device: %w", tunPath, err), unix.Close(fd))
	}
	return unix.Close(fd)
}
