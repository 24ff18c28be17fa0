//go:build linux

// Package port finds out who has a port of this host, for the error of who wanted
// it: by proc(5), as `ss -p` does.
//
// All functions work in the network namespace of the calling thread.
package port

import (
	"bufio"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// InUseError says that a port is taken. It wraps EADDRINUSE.
type InUseError struct {
	Network string // "tcp" or "udp"
	Port    uint16
	Owner   Owner
}

// Owner is who has a port. The zero Owner is not known: without root one sees no
// other user's processes.
type Owner struct {
	PID    int
	Name   string // of the process
	Kernel bool   // no process has it: a WireGuard interface of the kernel's, as a rule
}

func (e *InUseError) Error() string {
	text := fmt.Sprintf("%s port %d: %v", strings.ToUpper(e.Network), e.Port, unix.EADDRINUSE)
	switch {
	case e.Owner.Kernel:
		return text + " by the kernel, for a WireGuard interface or the like"
	case e.Owner.PID != 0:
		return fmt.Sprintf("%s by %s (pid %d)", text, e.Owner.Name, e.Owner.PID)
	}
	return text
}

// Unwrap returns the kernel's answer.
func (e *InUseError) Unwrap() error { return unix.EADDRINUSE }

// Explain makes an [InUseError] of an error that wraps EADDRINUSE. Others it returns
// as they are.
func Explain(err error, network string, port uint16) error {
	if !errors.Is(err, unix.EADDRINUSE) || port == 0 {
		return err
	}
	return &InUseError{network, port, ownerOf(network, port)}
}

// ExplainListen is Explain for the address that somebody wanted to listen at.
func ExplainListen(err error, network, address string) error {
	at, perr := netip.ParseAddrPort(address)
	if perr != nil {
		return err // then the first error has to do
	}
	return Explain(err, network, at.Port())
}

func ownerOf(network string, port uint16) Owner {
	for _, table := range []string{network, network + "6"} {
		inodes, err := socketsAt("/proc/thread-self/net/"+table, network, port)
		if err != nil {
			continue // no IPv6, or no /proc
		}
		for _, inode := range inodes {
			if inode == "0" {
				return Owner{Kernel: true}
			}
			if o := holder(inode); o.PID != 0 {
				return o
			}
		}
	}
	return Owner{}
}

// socketsAt returns the inodes of sockets that are bound to the port.
func socketsAt(table, network string, port uint16) ([]string, error) {
	f, err := os.Open(table)
	if err != nil {
		return nil, err
	}
	defer f.Close() // it was only read
	const local, state, inode = 1, 3, 9
	const listening = "0A" // TCP_LISTEN; the others of TCP keep no listener away
	want := fmt.Sprintf(":%04X", port)
	var inodes []string
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		words := strings.Fields(lines.Text())
		if len(words) > inode && strings.HasSuffix(words[local], want) && (network == "udp" || words[state] == listening) {
			inodes = append(inodes, words[inode])
		}
	}
	return inodes, lines.Err()
}

// holder returns the process that has the socket open.
func holder(inode string) Owner {
	want := "socket:[" + inode + "]"
	descriptors, err := filepath.Glob("/proc/[0-9]*/fd/[0-9]*")
	if err != nil {
		return Owner{}
	}
	for _, fd := range descriptors {
		if to, err := os.Readlink(fd); err != nil || to != want {
			continue // gone, or another user's
		}
		dir := filepath.Dir(filepath.Dir(fd))
		name, err := os.ReadFile(filepath.Join(dir, "comm"))
		if err != nil {
			continue
		}
		pid, err := strconv.Atoi(filepath.Base(dir))
		if err != nil {
			continue
		}
		return Owner{PID: pid, Name: strings.TrimSpace(string(name))}
	}
	return Owner{}
}
