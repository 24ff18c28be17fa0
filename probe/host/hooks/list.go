//go:build linux

package hooks

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/wgnode/wgnode/probe/evidence"
	"github.com/wgnode/wgnode/probe/harmless"
)

// List returns what there is, and one sentence for each kind that could not be looked at.
func List() (found []evidence.Hook, unseen []string) {
	l := &lister{names: make(map[ebpf.ProgramID]string), links: make(map[ebpf.ProgramID]link.ID)}
	for _, kind := range []struct {
		what string
		list func() error
	}{
		{"BPF programs at netfilter's hooks", l.netfilter},
		{"BPF programs and filters at devices", l.devices},
		{"BPF programs of cgroups", l.cgroups},
		{"rules of legacy iptables", l.legacy},
		{"the connection tracking table", l.conntrack},
		{"queues that programs read", l.queues},
	} {
		if err := kind.list(); err != nil {
			unseen = append(unseen, fmt.Sprintf("%s were not listed: %v", kind.what, err))
		}
	}
	if len(l.found) > maxHooks {
		unseen = append(unseen, fmt.Sprintf("of %d BPF programs, filters and tables %d are listed", len(l.found), maxHooks))
		l.found = l.found[:maxHooks]
	}
	return l.found, unseen
}

// maxHooks bounds how many are listed.
const maxHooks = 256

type lister struct {
	found []evidence.Hook
	names map[ebpf.ProgramID]string
	links map[ebpf.ProgramID]link.ID // of XDP and cgroups
}

func (l *lister) add(h evidence.Hook) { l.found = append(l.found, h) }

// program is a BPF program in words. Its name takes CAP_SYS_ADMIN.
func (l *lister) program(id ebpf.ProgramID) string {
	text, ok := l.names[id]
	if ok {
		return text
	}
	text = fmt.Sprintf("(id %d)", id)
	if p, err := ebpf.NewProgramFromID(id); err == nil {
		if info, err := p.Info(); err == nil && info.Name != "" {
			text = fmt.Sprintf("%s (id %d)", harmless.Line(info.Name), id)
		}
		_ = p.Close() // it was only read
	}
	l.names[id] = text
	return text
}

// devices lists what is at each device.
func (l *lister) devices() error {
	links, err := netlink.LinkList()
	if err != nil {
		return fmt.Errorf("list devices: %w", err)
	}
	var errs []error
	for _, dev := range links {
		at := dev.Attrs()
		if x := at.Xdp; x != nil && x.Attached {
			h := evidence.Hook{Kind: evidence.HookXDP, Device: at.Name,
				Text: fmt.Sprintf("XDP program %s at %s", l.program(ebpf.ProgramID(x.ProgId)), harmless.Line(at.Name)),
				Show: "bpftool net show dev " + harmless.Shell(at.Name), Remove: "ip link set dev " + harmless.Shell(at.Name) + " xdp off"}
			if id, ok := l.links[ebpf.ProgramID(x.ProgId)]; ok { // it goes with that
				h.Remove = fmt.Sprintf("bpftool link detach id %d", id)
			}
			l.add(h)
		}
		errs = append(errs, l.tcx(at), l.filters(dev))
	}
	return errors.Join(errs...)
}

// tcx lists the programs of tcx, which Linux 6.6 has.
func (l *lister) tcx(at *netlink.LinkAttrs) error {
	for _, way := range []struct {
		kind   evidence.HookKind
		name   string
		attach ebpf.AttachType
	}{{evidence.HookTCIngress, "ingress", ebpf.AttachTCXIngress}, {evidence.HookTCEgress, "egress", ebpf.AttachTCXEgress}} {
		r, err := link.QueryPrograms(link.QueryOptions{Target: at.Index, Attach: way.attach})
		if errors.Is(err, ebpf.ErrNotSupported) || errors.Is(err, os.ErrInvalid) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("ask for tcx at %s: %w", at.Name, err)
		}
		for _, p := range r.Programs {
			h := evidence.Hook{Kind: way.kind, Device: at.Name, Show: "bpftool net show dev " + harmless.Shell(at.Name),
				Text:   fmt.Sprintf("tcx program %s at the %s of %s", l.program(p.ID), way.name, harmless.Line(at.Name)),
				Remove: fmt.Sprintf("bpftool net detach tcx_%s dev %s", way.name, harmless.Shell(at.Name))}
			if id, ok := p.LinkID(); ok {
				h.Remove = fmt.Sprintf("bpftool link detach id %d", id)
			}
			l.add(h)
		}
	}
	return nil
}

// filters lists those of tc, at the qdisc clsact or ingress.
func (l *lister) filters(dev netlink.Link) error {
	name := harmless.Shell(dev.Attrs().Name)
	for _, way := range []struct {
		kind   evidence.HookKind
		name   string
		parent uint32
	}{{evidence.HookTCIngress, "ingress", netlink.HANDLE_MIN_INGRESS}, {evidence.HookTCEgress, "egress", netlink.HANDLE_MIN_EGRESS}} {
		all, err := netlink.FilterList(dev, way.parent)
		if err != nil {
			return fmt.Errorf("list tc filters at %s: %w", dev.Attrs().Name, err)
		}
		for _, f := range all {
			what := f.Type()
			if b, ok := f.(*netlink.BpfFilter); ok {
				what = "bpf, program " + l.program(ebpf.ProgramID(b.Id))
			}
			l.add(evidence.Hook{Kind: way.kind, Device: dev.Attrs().Name,
				Text:   fmt.Sprintf("tc filter (%s) at the %s of %s", harmless.Line(what), way.name, harmless.Line(dev.Attrs().Name)),
				Show:   fmt.Sprintf("tc -s filter show dev %s %s", name, way.name),
				Remove: fmt.Sprintf("tc filter del dev %s %s pref %d", name, way.name, f.Attrs().Priority)})
		}
	}
	return nil
}

var families = map[link.NetfilterProtocolFamily]string{unix.NFPROTO_IPV4: "ip ", unix.NFPROTO_IPV6: "ip6 "}

func hookName(nf *link.NetfilterInfo) string {
	names := [...]string{"prerouting", "input", "forward", "output", "postrouting"}
	family := families[nf.ProtocolFamily]
	if int(nf.Hook) < len(names) {
		return family + names[nf.Hook]
	}
	return family + strconv.Itoa(int(nf.Hook))
}

// conntrack looks whether the connection tracking table has no room: then a packet of a new
// connection is dropped.
func (l *lister) conntrack() error {
	const dir = "/proc/sys/net/netfilter/nf_conntrack_"
	count, err := number(dir + "count")
	if errors.Is(err, os.ErrNotExist) {
		return nil // there is none
	}
	limit, err2 := number(dir + "max")
	if err := errors.Join(err, err2); err != nil {
		return err
	}
	if limit > 0 && count >= limit {
		l.add(evidence.Hook{Kind: evidence.HookConntrack, Text: fmt.Sprintf("the full connection tracking table: %d of %d", count, limit),
			Show: "sysctl net.netfilter.nf_conntrack_count net.netfilter.nf_conntrack_max"})
	}
	return nil
}

func number(file string) (uint64, error) {
	b, err := os.ReadFile(file)
	if err != nil {
		return 0, err
	}
	return strconv.ParseUint(strings.TrimSpace(string(b)), 10, 64)
}

// queues says which queues of NFQUEUE programs read. The first column is the number.
func (l *lister) queues() error {
	b, err := os.ReadFile("/proc/thread-self/net/netfilter/nfnetlink_queue")
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	var read []string
	for line := range strings.Lines(string(b)) {
		if f := strings.Fields(line); len(f) > 0 {
			read = append(read, f[0])
		}
	}
	text := "no program reads a queue (NFQUEUE) here"
	if len(read) > 0 {
		text = "programs read the queues (NFQUEUE) " + strings.Join(read, ", ")
	}
	l.add(evidence.Hook{Kind: evidence.HookQueues, Text: text, Show: "cat /proc/net/netfilter/nfnetlink_queue"})
	return nil
}
