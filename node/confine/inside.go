//go:build linux

package confine

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"runtime"
	"slices"
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"
)

// Inside reports whether this process was started by [Start].
func Inside() bool { return os.Getenv(socketEnv) != "" }

// Enter is all that a process does that was started by [Start]: it furnishes its
// namespaces and becomes the command. It returns only if it fails, and then the
// process outside knows why.
func Enter() error {
	c, err := takeSocket()
	if err != nil {
		return err
	}
	// What is done about capabilities concerns one thread, the one that execs.
	runtime.LockOSThread()
	orders := json.NewDecoder(c)
	var o order
	if err := orders.Decode(&o); err != nil {
		return gone(err)
	}
	if err := furnish(c, o.Network); err != nil {
		return errors.Join(err, send(c, failure(err)))
	}
	if err := orders.Decode(&struct{}{}); err != nil {
		return gone(err)
	}
	err = dropCapabilities()
	if err == nil {
		err = dieWithParent()
	}
	if err == nil {
		err = syscall.Exec(o.Path, o.Args, os.Environ())
	}
	return errors.Join(err, send(c, failure(err)))
}

// dieWithParent has the kernel kill the command when the process outside ends. Go has asked for that
// already, but the wish is one thread's (PR_SET_PDEATHSIG(2const)): of this process its first has it,
// and it is lost where another one execs.
func dieWithParent() error {
	if err := unix.Prctl(unix.PR_SET_PDEATHSIG, uintptr(unix.SIGKILL), 0, 0, 0); err != nil {
		return fmt.Errorf("ask to be killed with the process outside: %w", err)
	}
	return nil
}

func gone(err error) error {
	if errors.Is(err, io.EOF) {
		return errors.New("the process outside has given up")
	}
	return fmt.Errorf("read orders: %w", err)
}

// takeSocket returns the socket, of which the command is to know nothing.
func takeSocket() (*net.UnixConn, error) {
	fd, err := strconv.Atoi(os.Getenv(socketEnv))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", socketEnv, err)
	}
	if err := os.Unsetenv(socketEnv); err != nil {
		return nil, err
	}
	unix.CloseOnExec(fd)
	f := os.NewFile(uintptr(fd), socketEnv)
	c, err := net.FileConn(f)
	if err := errors.Join(err, f.Close()); err != nil {
		return nil, fmt.Errorf("use %s: %w", socketEnv, err)
	}
	u, ok := c.(*net.UnixConn)
	if !ok {
		return nil, errors.Join(fmt.Errorf("%s is no Unix socket", socketEnv), c.Close())
	}
	return u, nil
}

// furnish makes the fresh namespaces of this process what n says, and sends the
// descriptors out.
func furnish(c *net.UnixConn, n Network) error {
	var f furnisher
	defer f.close()
	if err := f.network(n); err != nil {
		return err
	}
	if err := f.files(n); err != nil {
		return err
	}
	if err := f.open(); err != nil {
		return err
	}
	return send(c, answer{Notes: f.notes, Files: f.names}, f.fds...)
}

// furnisher collects what the process outside gets.
type furnisher struct {
	notes []string
	names []string // of fds
	fds   []int
	ipv6  bool // there is IPv6 in here
}

func (f *furnisher) note(format string, args ...any) {
	f.notes = append(f.notes, fmt.Sprintf(format, args...))
}

func (f *furnisher) add(name string, fd int) {
	f.names, f.fds = append(f.names, name), append(f.fds, fd)
}

func (f *furnisher) close() { closeAll(f.fds) }

// open opens the sockets that probe the network from outside. A socket stays in
// the network namespace that it was made in, whoever holds it.
func (f *furnisher) open() error {
	for _, s := range []struct {
		name                string
		domain, kind, proto int
	}{
		{fileTCP4, unix.AF_INET, unix.SOCK_STREAM, 0},
		{fileICMP4, unix.AF_INET, unix.SOCK_RAW, unix.IPPROTO_ICMP},
		{fileTCP6, unix.AF_INET6, unix.SOCK_STREAM, 0},
		{fileICMP6, unix.AF_INET6, unix.SOCK_RAW, unix.IPPROTO_ICMPV6},
	} {
		if s.domain == unix.AF_INET6 && !f.ipv6 {
			continue
		}
		fd, err := unix.Socket(s.domain, s.kind|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, s.proto)
		if err != nil {
			return fmt.Errorf("open socket %s: %w", s.name, err)
		}
		f.add(s.name, fd)
		if err := onlyReplies(fd, s.proto); err != nil {
			return fmt.Errorf("filter socket %s: %w", s.name, err)
		}
	}
	return nil
}

// onlyReplies keeps all ICMP but replies to echoes from a socket.
func onlyReplies(fd, proto int) error {
	switch proto {
	case unix.IPPROTO_ICMP:
		const icmpFilter, echoReply = 1, 0 // linux/icmp.h, RFC 792
		return unix.SetsockoptInt(fd, unix.SOL_RAW, icmpFilter, ^(1 << echoReply))
	case unix.IPPROTO_ICMPV6:
		const icmpv6Filter, echoReply = 1, 129 // linux/icmpv6.h, RFC 4443
		var blocked unix.ICMPv6Filter
		for i := range blocked.Data {
			blocked.Data[i] = ^uint32(0)
		}
		blocked.Data[echoReply/32] &^= 1 << (echoReply % 32)
		return unix.SetsockoptICMPv6Filter(fd, unix.SOL_ICMPV6, icmpv6Filter, &blocked)
	}
	return nil
}

// kept are the capabilities that root's command has: what programs need for files,
// users, processes and ports. The others are for changing the host and its
// network, and one of them is enough to get into the host's namespaces.
var kept = []uintptr{
	unix.CAP_CHOWN, unix.CAP_DAC_OVERRIDE, unix.CAP_FOWNER, unix.CAP_FSETID, unix.CAP_SETFCAP,
	unix.CAP_SETUID, unix.CAP_SETGID, unix.CAP_SETPCAP, unix.CAP_AUDIT_WRITE,
	unix.CAP_KILL, unix.CAP_SYS_NICE, unix.CAP_SYS_RESOURCE, unix.CAP_IPC_LOCK, unix.CAP_IPC_OWNER, unix.CAP_SYS_CHROOT,
	unix.CAP_NET_BIND_SERVICE, unix.CAP_NET_RAW,
}

// limitCapabilities keeps root's command from having others than kept, which
// would all come back with the execve. Other users have none after it.
func limitCapabilities() error {
	if os.Geteuid() != 0 {
		return nil
	}
	for c := uintptr(0); c <= unix.CAP_LAST_CAP; c++ {
		had, err := unix.PrctlRetInt(unix.PR_CAPBSET_READ, c, 0, 0, 0)
		if err == unix.EINVAL {
			break // the kernel knows no more
		}
		if err != nil {
			return fmt.Errorf("read capabilities: %w", err)
		}
		if had == 0 || slices.Contains(kept, c) {
			continue
		}
		if err := unix.Prctl(unix.PR_CAPBSET_DROP, c, 0, 0, 0); err != nil {
			return fmt.Errorf("drop capability %d: %w", c, err)
		}
	}
	return nil
}

// dropCapabilities leaves the command none that its user would not have, and root's
// command only some of root's.
func dropCapabilities() error {
	if err := limitCapabilities(); err != nil {
		return err
	}
	if err := unix.Prctl(unix.PR_CAP_AMBIENT, unix.PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0); err != nil {
		return fmt.Errorf("drop capabilities: %w", err)
	}
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var data [2]unix.CapUserData
	if err := unix.Capget(&header, &data[0]); err != nil {
		return fmt.Errorf("read capabilities: %w", err)
	}
	data[0].Inheritable, data[1].Inheritable = 0, 0
	if err := unix.Capset(&header, &data[0]); err != nil {
		return fmt.Errorf("drop capabilities: %w", err)
	}
	return nil
}
