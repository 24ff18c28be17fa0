//go:build linux

package hooks

import (
	"errors"
	"fmt"
	"strings"
	"unsafe"

	"github.com/cilium/ebpf/link"
	"golang.org/x/sys/unix"

	"github.com/wgnode/wgnode/probe/evidence"
)

// netfilter lists BPF programs at netfilter's hooks, which Linux 6.4 has.
func (l *lister) netfilter() error {
	for id := link.ID(0); ; {
		next, err := nextLink(id)
		if err != nil || next == 0 {
			return err
		}
		id = next
		one, err := link.NewFromID(id)
		if errors.Is(err, unix.ENOENT) || errors.Is(err, unix.EAGAIN) {
			continue // it is gone, or just being made: on a host where links come and go there is always one
		}
		if err != nil {
			return fmt.Errorf("list BPF links: %w", err)
		}
		l.bpfLink(one)
		_ = one.Close()
	}
}

// bpfLink takes one into account.
func (l *lister) bpfLink(one link.Link) {
	info, err := one.Info()
	if err == nil && (info.XDP() != nil || info.Cgroup() != nil) {
		l.links[info.Program] = info.ID
	}
	if err != nil || info.Netfilter() == nil {
		return // it is gone, or another's
	}
	nf := info.Netfilter()
	l.add(evidence.Hook{Kind: evidence.HookNetfilter, Family: strings.TrimSpace(families[nf.ProtocolFamily]),
		Text: fmt.Sprintf("BPF program %s at netfilter's hook %s, of a network namespace of this host", l.program(info.Program), hookName(nf)),
		Show: "bpftool link show", Remove: fmt.Sprintf("bpftool link detach id %d", info.ID)})
}

// nextLink returns the number of the first BPF link after one, 0 if there is none. The iterator of
// ebpf ends at a link that is being made.
func nextLink(after link.ID) (link.ID, error) {
	attr := struct{ start, next, flags uint32 }{start: uint32(after)}
	_, _, errno := unix.Syscall(unix.SYS_BPF, unix.BPF_LINK_GET_NEXT_ID, uintptr(unsafe.Pointer(&attr)), unsafe.Sizeof(attr))
	switch errno {
	case 0:
		return link.ID(attr.next), nil
	case unix.ENOENT:
		return 0, nil
	}
	return 0, fmt.Errorf("list BPF links: %w", errno)
}
