package tundev

import (
	"errors"
	"fmt"
	"os"
	"sync/atomic"
	"syscall"

	"golang.org/x/sys/unix"
	"golang.zx2c4.com/wireguard/conn"
	"golang.zx2c4.com/wireguard/tun"
)

const devicePath = "/dev/net/tun"

// Offloads of TUNSETOFFLOAD (include/uapi/linux/if_tun.h), the most first. The
// kernel takes all of a set or nothing.
var offloads = []int{
	unix.TUN_F_CSUM | unix.TUN_F_TSO4 | unix.TUN_F_TSO6 | unix.TUN_F_USO4 | unix.TUN_F_USO6,
	unix.TUN_F_CSUM | unix.TUN_F_TSO4 | unix.TUN_F_TSO6, // before Linux 6.2
}

// Device is a TUN device of the kernel. Its methods are safe for concurrent
// use; several goroutines may Write at the same time.
type Device struct {
	file   *os.File
	raw    syscall.RawConn
	closed atomic.Bool

	join   joins // what Write may join
	reader reader
	drain  func(fd uintptr) bool // reader.drainInto

	iface *iface // nil: it is elsewhere
	watch *watch // nil if iface is
	none  chan tun.Event
	mtu   atomic.Int64 // the latest that was seen
}

var _ tun.Device = (*Device)(nil)

// Fallback is wireguard-go's own device, which works where Device does not.
type Fallback struct {
	tun.Device
	Cause error // what the kernel refused
}

// Create makes a TUN device with an MTU in bytes. It is down and has no
// address. The interface vanishes when the device is closed. If the kernel lacks
// what a [Device] needs, it is a [Fallback].
func Create(name string, mtu int) (tun.Device, error) {
	fd, err := unix.Open(devicePath, unix.O_RDWR|unix.O_CLOEXEC|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, &os.PathError{Op: "open", Path: devicePath, Err: err}
	}
	req, err := unix.NewIfreq(name)
	if err == nil {
		req.SetUint16(unix.IFF_TUN | unix.IFF_NO_PI | unix.IFF_VNET_HDR)
		err = unix.IoctlIfreq(fd, unix.TUNSETIFF, req)
	}
	if err != nil {
		return nil, errors.Join(err, unix.Close(fd))
	}
	file := os.NewFile(uintptr(fd), devicePath)
	dev, err := FromFile(file, mtu)
	if err != nil {
		return nil, errors.Join(err, file.Close())
	}
	return dev, nil
}

// FromFile is Create for a TUN device that another process has made, of which
// the caller is in the network namespace. The descriptor was non-blocking before
// it became a File, and belongs to the device from then on, if there is no
// error.
func FromFile(file *os.File, mtu int) (tun.Device, error) {
	d, err := newDevice(file)
	if err == nil {
		if err = d.attend(mtu); err == nil {
			return d, nil
		}
	}
	dev, ferr := tun.CreateTUNFromFile(file, mtu)
	if ferr != nil {
		return nil, ferr
	}
	return &Fallback{dev, err}, nil
}

// attend sets the MTU and begins to watch the interface.
func (d *Device) attend(mtu int) (err error) {
	name, err := d.Name()
	if err != nil {
		return err
	}
	if d.iface, err = openIface(name); err != nil {
		return err
	}
	if err = d.iface.setMTU(name, mtu); err == nil {
		d.mtu.Store(int64(mtu))
		d.iface.limitSegments(mtu)
		d.watch, err = startWatch(d)
	}
	if err != nil {
		return errors.Join(err, d.iface.close())
	}
	return nil
}

// FromElsewhere is FromFile for a TUN device in another network namespace, of
// which this process sees nothing but its packets: its MTU is what the caller
// says, and it has no events. It takes the descriptor over, also if it fails.
func FromElsewhere(fd, mtu int) (tun.Device, error) {
	if err := unix.SetNonblock(fd, true); err != nil {
		return nil, errors.Join(fmt.Errorf("make descriptor non-blocking: %w", err), unix.Close(fd))
	}
	file := os.NewFile(uintptr(fd), devicePath)
	d, err := newDevice(file)
	if err == nil {
		d.mtu.Store(int64(mtu))
		d.none = make(chan tun.Event)
		return d, nil
	}
	// The module wants a descriptor of its own.
	dup, derr := unix.FcntlInt(file.Fd(), unix.F_DUPFD_CLOEXEC, 0)
	if derr := errors.Join(derr, file.Close()); derr != nil {
		return nil, errors.Join(err, derr)
	}
	dev, _, ferr := tun.CreateUnmonitoredTUNFromFD(dup)
	if ferr != nil {
		return nil, ferr
	}
	return &Fallback{unmonitored{dev, mtu}, err}, nil
}

// unmonitored answers what the module would ask the kernel about an interface
// of that name in this process's network namespace.
type unmonitored struct {
	tun.Device
	mtu int
}

// MTU implements tun.Device.
func (d unmonitored) MTU() (int, error) { return d.mtu, nil }

// newDevice finds out what the kernel can do. It leaves file as it is if that
// is too little.
func newDevice(file *os.File) (*Device, error) {
	raw, err := file.SyscallConn()
	if err != nil {
		return nil, err
	}
	d := &Device{file: file, raw: raw}
	d.reader.readv, d.drain = readv, d.reader.drainInto
	if cerr := raw.Control(func(fd uintptr) { err = d.negotiate(fd) }); cerr != nil {
		return nil, cerr
	}
	return d, err
}

func (d *Device) negotiate(fd uintptr) error {
	req, err := getInterface(fd)
	if err != nil {
		return err
	}
	const want, all = unix.IFF_TUN | unix.IFF_NO_PI | unix.IFF_VNET_HDR, unix.IFF_TUN | unix.IFF_TAP | unix.IFF_NO_PI | unix.IFF_VNET_HDR
	if flags := req.Uint16(); flags&all != want {
		return fmt.Errorf("TUN device has flags %#x, want %#x", flags, want)
	}
	if n, err := unix.IoctlGetInt(int(fd), unix.TUNGETVNETHDRSZ); err != nil || n != headerLen {
		return fmt.Errorf("virtio header of %d bytes, want %d: %w", n, headerLen, errors.Join(err, unix.ENOTSUP))
	}
	for _, call := range []uintptr{unix.SYS_READV, unix.SYS_WRITEV} {
		if _, errno := vectored(call, fd, nil); errno != 0 {
			return os.NewSyscallError("vectored I/O", errno)
		}
	}
	for _, set := range offloads {
		if unix.IoctlSetInt(int(fd), unix.TUNSETOFFLOAD, set) == nil {
			d.join = joins{tcp: true, udp: set&unix.TUN_F_USO4 != 0}
			break
		}
	}
	return nil // without any it works too, one packet at a time
}

// File implements tun.Device.
func (d *Device) File() *os.File { return d.file }

// BatchSize implements tun.Device.
func (d *Device) BatchSize() int { return conn.IdealBatchSize }

// Events implements tun.Device: tun.EventUp, tun.EventDown and
// tun.EventMTUUpdate, each after the fact. The channel is closed by Close.
func (d *Device) Events() <-chan tun.Event {
	if d.watch != nil {
		return d.watch.events
	}
	return d.none
}

// Close implements tun.Device. It ends a Read that waits.
func (d *Device) Close() error {
	if d.closed.Swap(true) {
		return nil
	}
	var err error
	if d.watch != nil {
		err = errors.Join(d.watch.close(), d.iface.close())
	} else {
		close(d.none)
	}
	return errors.Join(err, d.file.Close())
}

// fileError translates an error of the file: that it is "not pollable", for one,
// is how the runtime says that the interface was deleted.
func (d *Device) fileError(err error) error {
	if d.closed.Load() {
		return os.ErrClosed
	}
	if _, gone := d.isUp(); gone {
		return os.ErrClosed
	}
	return err
}
