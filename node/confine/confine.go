//go:build linux

package confine

import (
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"
)

// socketEnv tells the process inside which descriptor its socket is.
const socketEnv = "WGNODE_CONFINE_FD"

// Process is a command that is confined, or will be. Its methods but Signal belong
// to one goroutine.
type Process struct {
	cmd    *exec.Cmd
	socket *net.UnixConn
	outlet *Outlet // nil before Furnish
	path   string
	args   []string

	ended chan struct{} // closed when the process has; then state is valid
	state *os.ProcessState
	err   error // of waiting
}

// Start starts this program once more, in namespaces of its own, with the
// arguments that it has itself: it must call [Enter] there. That process waits to
// be furnished and then becomes the command at path, with args, which begin with
// its name. The error wraps a [ForbiddenError] if the system does not let it.
//
// It must be called before the caller makes itself undumpable: the kernel would
// not let it write the process's uid_map then.
func Start(path string, args []string) (*Process, error) {
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("make socket pair: %w", err)
	}
	here, there := os.NewFile(uintptr(pair[0]), "confine"), os.NewFile(uintptr(pair[1]), "confined")
	defer there.Close()
	c, err := net.FileConn(here)
	if cerr := here.Close(); err == nil {
		err = cerr
	}
	if err != nil {
		return nil, fmt.Errorf("use socket pair: %w", err)
	}
	p := &Process{socket: c.(*net.UnixConn), path: path, args: args, ended: make(chan struct{})}
	if err := p.start(there); err != nil {
		_ = p.socket.Close() // nothing was sent
		return nil, fmt.Errorf("start a process in a network of its own: %w", explainDenial(err))
	}
	return p, nil
}

func (p *Process) start(socket *os.File) error {
	p.cmd = exec.Command("/proc/self/exe")
	p.cmd.Args = os.Args
	p.cmd.Stdin, p.cmd.Stdout, p.cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: unix.CLONE_NEWNET | unix.CLONE_NEWNS, Pdeathsig: syscall.SIGKILL}
	privileged, err := mayMakeNamespaces()
	if err != nil {
		return err
	}
	if !privileged {
		attr, uid, gid := p.cmd.SysProcAttr, os.Geteuid(), os.Getegid()
		attr.Cloneflags |= unix.CLONE_NEWUSER
		attr.UidMappings = []syscall.SysProcIDMap{{ContainerID: uid, HostID: uid, Size: 1}}
		attr.GidMappings = []syscall.SysProcIDMap{{ContainerID: gid, HostID: gid, Size: 1}}
		// All capabilities would go with the first execve, as for any user but root.
		attr.AmbientCaps = []uintptr{unix.CAP_NET_ADMIN, unix.CAP_SYS_ADMIN, unix.CAP_NET_RAW}
	}
	// The socket keeps its number. ExtraFiles would take the place of descriptors
	// that whoever started this process meant for the command.
	fd := int(socket.Fd())
	p.cmd.Env = append(os.Environ(), socketEnv+"="+strconv.Itoa(fd))
	if _, err := unix.FcntlInt(uintptr(fd), unix.F_SETFD, 0); err != nil {
		return fmt.Errorf("pass socket on: %w", err)
	}
	started := make(chan error)
	go func() {
		// The kernel kills the child when the thread ends that it was started by.
		runtime.LockOSThread()
		err := p.cmd.Start()
		started <- err
		if err != nil {
			return
		}
		var exit *exec.ExitError
		if err := p.cmd.Wait(); !errors.As(err, &exit) {
			p.err = err
		}
		p.state = p.cmd.ProcessState
		close(p.ended)
	}()
	return <-started
}

// Furnish has the process set its network up, and returns what connects it with
// the caller. On an error the process is to be killed.
func (p *Process) Furnish(n Network) (*Outlet, error) {
	if err := json.NewEncoder(p.socket).Encode(order{p.path, p.args, n}); err != nil {
		return nil, fmt.Errorf("set up the network of the command: %w", err)
	}
	a, files, err := receive(p.socket)
	if err != nil {
		return nil, fmt.Errorf("set up the network of the command: %w", explainDenial(err))
	}
	p.outlet = &Outlet{TUN: files[fileTUN], Notes: a.Notes, sockets: sockets{files: files}}
	delete(files, fileTUN)
	return p.outlet, nil
}

// Exec has the command begin. The error says why its program cannot be run.
func (p *Process) Exec() error {
	if err := json.NewEncoder(p.socket).Encode(struct{}{}); err != nil {
		return fmt.Errorf("run %s: %w", p.path, err)
	}
	_, _, err := receive(p.socket)
	if cerr := p.socket.Close(); errors.Is(err, errGone) { // as it should be
		return cerr
	}
	return fmt.Errorf("run %s: %w", p.path, err)
}

// Signal sends a signal to the command. One that has ended is no error.
func (p *Process) Signal(s os.Signal) error {
	if err := p.cmd.Process.Signal(s); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("signal the command: %w", err)
	}
	return nil
}

// Wait waits until the command has ended and returns how.
func (p *Process) Wait() (syscall.WaitStatus, error) {
	<-p.ended
	if p.err != nil {
		return 0, fmt.Errorf("wait for the command: %w", p.err)
	}
	return p.state.Sys().(syscall.WaitStatus), nil
}

// Kill ends a process that is not to become the command after all, and closes
// what there is of it.
func (p *Process) Kill() error {
	err := p.Signal(os.Kill)
	<-p.ended
	return errors.Join(err, p.Close())
}

// Close closes what connects the caller with the command, but for the TUN device:
// nothing can be probed any more. It waits for who does so now.
func (p *Process) Close() error {
	err := p.socket.Close()
	if errors.Is(err, net.ErrClosed) {
		err = nil
	}
	if p.outlet != nil {
		err = errors.Join(err, p.outlet.close())
	}
	return err
}

// mayMakeNamespaces reports whether this process can do without a user
// namespace.
func mayMakeNamespaces() (bool, error) {
	var data [2]unix.CapUserData
	if err := unix.Capget(&unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}, &data[0]); err != nil {
		return false, fmt.Errorf("read capabilities: %w", err)
	}
	for _, c := range []uint{unix.CAP_SYS_ADMIN, unix.CAP_NET_ADMIN, unix.CAP_NET_RAW} {
		if data[c/32].Effective&(1<<(c%32)) == 0 {
			return false, nil
		}
	}
	return true, nil
}
