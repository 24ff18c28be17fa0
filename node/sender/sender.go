//go:build linux

// Package sender makes sockets that are another process's to this host's rules.
//
// A packet of this host is judged by whose it is, too: nftables sees the user of a socket
// (meta skuid), a BPF program the control group that it was made in, and a rule of routing the
// user (uidrange). So a probe that the node sends need not fare as an application's packet. Its
// socket is made by a child process that has the user, the groups and the control group of that
// application ([Process.Socket]), and is passed on by a Unix socket ([Pass]); what it was made as
// it stays. Nothing of the application itself is touched.
//
// A process in another network namespace is another host to this one: its packets come in here.
package sender

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/wgnode/wgnode/probe/host/hooks"
)

// Process is who a socket is made as.
type Process struct {
	PID      int
	Name     string
	UID, GID uint32 // those that files are made with
	Groups   []uint32
	// Cgroup is its control group below the root of cgroup v2, "" if it has none.
	Cgroup string
}

// Of looks a process up.
func Of(pid int) (*Process, error) {
	dir := filepath.Join("/proc", strconv.Itoa(pid))
	text, err := os.ReadFile(filepath.Join(dir, "status"))
	if err != nil {
		return nil, fmt.Errorf("look at process %d: %w", pid, err)
	}
	p := &Process{PID: pid}
	for line := range strings.Lines(string(text)) {
		key, value, _ := strings.Cut(strings.TrimSpace(line), ":")
		words := strings.Fields(value)
		switch {
		case key == "Name":
			p.Name = strings.TrimSpace(value)
		case key == "Uid" && len(words) == 4: // real, effective, saved, of files
			p.UID, err = number(words[3])
		case key == "Gid" && len(words) == 4:
			p.GID, err = number(words[3])
		case key == "Groups":
			for _, w := range words {
				g, gerr := number(w)
				p.Groups, err = append(p.Groups, g), errors.Join(err, gerr)
			}
		}
		if err != nil {
			return nil, fmt.Errorf("look at process %d: %w", pid, err)
		}
	}
	if err := p.here(dir); err != nil {
		return nil, err
	}
	if p.Cgroup, err = cgroup(filepath.Join(dir, "cgroup")); err != nil {
		return nil, fmt.Errorf("look at process %d: %w", pid, err)
	}
	return p, nil
}

func number(s string) (uint32, error) {
	n, err := strconv.ParseUint(s, 10, 32)
	return uint32(n), err
}

// here says why sockets for the process cannot be made here, nil if they can.
func (p *Process) here(dir string) error {
	theirs, err := os.Readlink(filepath.Join(dir, "ns", "net"))
	if errors.Is(err, os.ErrPermission) {
		err = fmt.Errorf("%w: %w", ErrRights, err)
	}
	if err != nil {
		return fmt.Errorf("find the network namespace of process %d: %w", p.PID, err)
	}
	ours, err := os.Readlink("/proc/self/ns/net")
	if err != nil {
		return fmt.Errorf("find this network namespace: %w", err)
	}
	if theirs != ours {
		return fmt.Errorf("process %d (%s): %w", p.PID, p.Name, ErrElsewhere)
	}
	return nil
}

// ErrRights is for a node that may not do what another process would: one of a unit that
// confines it, as a rule.
var ErrRights = errors.New("the node lacks the rights to act as another process " +
	"(CAP_SYS_PTRACE, CAP_SETUID, CAP_SETGID, and its unit must not protect control groups or restrict namespaces)")

// ErrElsewhere is for a process in another network namespace.
var ErrElsewhere = errors.New("it is in another network namespace: to this host its packets are those of another one")

// cgroup reads the line of cgroup v2.
func cgroup(file string) (string, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return "", err
	}
	for line := range strings.Lines(string(text)) {
		if path, ok := strings.CutPrefix(strings.TrimSpace(line), "0::"); ok {
			return path, nil
		}
	}
	return "", nil
}

// String says who that is: "process 7 (curl): user 1000, control group /user.slice".
func (p *Process) String() string {
	s := fmt.Sprintf("process %d (%s): user %d", p.PID, p.Name, p.UID)
	if p.Cgroup != "" && p.Cgroup != "/" {
		s += ", control group " + p.Cgroup
	}
	return s
}

// Socket makes a socket as the process would: cmd runs [Pass] in the same network namespace.
// The descriptor is the caller's.
func (p *Process) Socket(ctx context.Context, cmd *exec.Cmd, family, kind, proto int) (int, error) {
	fail := func(err error) (int, error) { return -1, fmt.Errorf("make a socket as %v: %w", p, err) }
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return fail(os.NewSyscallError("socketpair", err))
	}
	ours, theirs := os.NewFile(uintptr(fds[0]), "socket"), os.NewFile(uintptr(fds[1]), "socket")
	defer ours.Close()
	attr := &syscall.SysProcAttr{Setsid: true, Pdeathsig: syscall.SIGKILL}
	if p.UID != uint32(os.Geteuid()) || p.GID != uint32(os.Getegid()) {
		attr.Credential = &syscall.Credential{Uid: p.UID, Gid: p.GID, Groups: p.Groups}
		if kind == unix.SOCK_RAW {
			attr.AmbientCaps = []uintptr{unix.CAP_NET_RAW}
		}
	}
	if dir, err := p.group(); err != nil {
		return fail(errors.Join(err, theirs.Close()))
	} else if dir != nil {
		defer dir.Close()
		attr.UseCgroupFD, attr.CgroupFD = true, int(dir.Fd())
	}
	var said strings.Builder
	cmd.Args = append(slices.Clip(cmd.Args), strconv.Itoa(family), strconv.Itoa(kind), strconv.Itoa(proto))
	cmd.Dir, cmd.SysProcAttr, cmd.ExtraFiles, cmd.Stderr = "/", attr, []*os.File{theirs}, &said
	err = errors.Join(cmd.Start(), theirs.Close())
	if errors.Is(err, unix.EPERM) || errors.Is(err, unix.EACCES) || errors.Is(err, unix.ENOSYS) {
		err = fmt.Errorf("%w: %w", ErrRights, err)
	}
	if err != nil {
		return fail(err)
	}
	stop := context.AfterFunc(ctx, func() { _ = cmd.Process.Kill() }) // then Wait ends
	defer stop()
	if err := cmd.Wait(); err != nil {
		return fail(fmt.Errorf("%w: %s", err, strings.TrimSpace(said.String())))
	}
	fd, err := receive(ours)
	if err != nil {
		return fail(err)
	}
	return fd, nil
}

// group opens the directory of the process's control group, nil if it is this process's own
// or there is none.
func (p *Process) group() (*os.File, error) {
	own, err := cgroup("/proc/self/cgroup")
	if err != nil || p.Cgroup == "" || p.Cgroup == own {
		return nil, err
	}
	root, err := hooks.CgroupRoot()
	if err != nil {
		return nil, err
	}
	if root == "" {
		return nil, fmt.Errorf("control group %s cannot be entered: cgroup v2 is not mounted", p.Cgroup)
	}
	dir, err := os.Open(filepath.Join(root, p.Cgroup))
	if err != nil {
		return nil, fmt.Errorf("enter the control group: %w", err)
	}
	return dir, nil
}

func receive(from *os.File) (int, error) {
	oob := make([]byte, unix.CmsgSpace(4))
	_, n, _, _, err := unix.Recvmsg(int(from.Fd()), make([]byte, 1), oob, unix.MSG_DONTWAIT|unix.MSG_CMSG_CLOEXEC)
	if err != nil {
		return -1, os.NewSyscallError("recvmsg", err)
	}
	messages, err := unix.ParseSocketControlMessage(oob[:n])
	if err != nil || len(messages) != 1 {
		return -1, errors.Join(errors.New("it passed no socket"), err)
	}
	fds, err := unix.ParseUnixRights(&messages[0])
	if err != nil || len(fds) != 1 {
		return -1, errors.Join(errors.New("it passed no socket"), err)
	}
	return fds[0], nil
}

// passedOn is the descriptor that the child has of its parent.
const passedOn = 3

// Pass is all that the child does: it makes a socket of the family, the type and the protocol
// that args say, and passes it on.
func Pass(args []string) error {
	var n [3]int
	if len(args) != len(n) {
		return errors.New("pass a socket: want a family, a type and a protocol")
	}
	for i, a := range args {
		var err error
		if n[i], err = strconv.Atoi(a); err != nil {
			return fmt.Errorf("pass a socket: %w", err)
		}
	}
	fd, err := unix.Socket(n[0], n[1]|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, n[2])
	if err != nil {
		return fmt.Errorf("pass a socket: %w", os.NewSyscallError("socket", err))
	}
	if err := unix.Sendmsg(passedOn, []byte{0}, unix.UnixRights(fd), nil, 0); err != nil {
		return fmt.Errorf("pass a socket: %w", os.NewSyscallError("sendmsg", err))
	}
	return nil
}

// Conn is a connection of a socket that is connected.
func Conn(fd int) (net.Conn, error) {
	f := os.NewFile(uintptr(fd), "socket")
	defer f.Close() // the connection has a copy
	return net.FileConn(f)
}
