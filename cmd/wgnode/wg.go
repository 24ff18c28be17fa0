package main

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"strings"
	"syscall"

	"github.com/spf13/cobra"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/wgnode/wgnode/node"
	"github.com/wgnode/wgnode/tunnel/uapi"
)

// What the commands that wg(8) has too share: its words, its exit status, and
// the reasons that it finds.

// failLikeWg prints wg's message. The hint, which wg does not have, is for
// people only: a program that reads standard error gets what wg would say.
func failLikeWg(errOut io.Writer, message, hint string) error {
	if hint != "" && isTerminal(errOut) {
		message += "\nwgnode: hint: " + hint
	}
	if _, err := fmt.Fprintln(errOut, message); err != nil {
		return err
	}
	return exitStatus(statusFailed)
}

// helpLikeWg is for usage that was asked for: it is no failure.
func helpLikeWg(err error) error {
	if errors.Is(err, exitStatus(statusFailed)) {
		return nil
	}
	return err
}

// completeDevice offers the running devices as first argument, and files after
// that.
func completeDevice(_ *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
	if len(args) > 0 {
		return nil, cobra.ShellCompDirectiveDefault
	}
	names, err := uapi.Interfaces()
	if err != nil {
		return nil, cobra.ShellCompDirectiveError
	}
	return names, cobra.ShellCompDirectiveNoFileComp
}

// getStatus asks the device, and gives the reason of a failure as the errno
// that wg would find.
func getStatus(name string) (*uapi.Status, syscall.Errno) {
	errno := served(name)
	if errno != 0 && len(name) >= unix.IFNAMSIZ {
		errno = syscall.ENAMETOOLONG // as wg says since 2023: no interface can have the name
	}
	if errno != 0 {
		return nil, errno
	}
	status, err := uapi.Get(name)
	return status, errnoOf(err)
}

// applyChange changes the device, with the same reasons of a failure.
func applyChange(name string, c *uapi.Change) syscall.Errno {
	if errno := served(name); errno != 0 {
		return errno
	}
	return errnoOf(c.Apply(name))
}

// served looks whether there is a userspace device of that name.
func served(name string) syscall.Errno {
	conn, err := uapi.Dial(name)
	if errors.Is(err, fs.ErrPermission) {
		return syscall.EACCES // wg would go on to ask the kernel, which knows nothing of it
	}
	if err != nil {
		return kernelErrno(name)
	}
	// This connection only told that somebody serves the socket.
	_ = conn.Close()
	return 0
}

// errnoOf finds the reason in the error of a request.
func errnoOf(err error) syscall.Errno {
	var errno syscall.Errno
	switch {
	case err == nil:
		return 0
	case errors.As(err, &errno):
		return errno
	}
	return syscall.EPROTO
}

// kernelErrno is why the kernel, which wg asks about a name that no userspace
// device has, would not answer either.
func kernelErrno(name string) syscall.Errno {
	if _, err := netlink.GenlFamilyGet("wireguard"); err != nil {
		return syscall.EPROTONOSUPPORT // no WireGuard in this kernel
	}
	if os.Geteuid() != 0 {
		return syscall.EPERM
	}
	if _, err := net.InterfaceByName(name); err == nil {
		return syscall.EOPNOTSUPP
	}
	return syscall.ENODEV
}

func missingHint(name string) string {
	k, err := node.Find(name)
	switch {
	case err == nil && k != nil && k.State == node.StateDead:
		return epitaph(k)
	case err == nil && k != nil && k.State == node.StateForeign:
		return fmt.Sprintf("%s belongs to %s: only that user can query it", name, cmp.Or(k.User, "another user"))
	case os.Geteuid() != 0:
		return fmt.Sprintf("only root may ask about %s", name)
	}
	names, err := uapi.Interfaces()
	if err != nil || len(names) == 0 {
		return "no userspace WireGuard device is running"
	}
	return "the running devices are " + strings.Join(names, ", ")
}

// strerror words errno as C does: Go's words are the same, but for the first
// letter.
func strerror(errno syscall.Errno) string {
	text := errno.Error()
	return strings.ToUpper(text[:1]) + text[1:]
}
