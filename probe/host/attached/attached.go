//go:build linux

// Package attached lists what this host has that can take or change packets where neither
// netfilter's trace nor the tunnel sees it: BPF programs and tc filters at devices, and
// sockets that were full. It only reads.
package attached

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"
	"github.com/vishvananda/netlink"
)

// atMost bounds how many devices are looked at: a host of containers has thousands.
const atMost = 64

// hooks are where tc filters and tcx programs are at a device.
var hooks = []struct {
	name   string
	parent uint32 // of the queueing discipline clsact; TC_H_MIN_INGRESS and _EGRESS
	attach ebpf.AttachType
}{
	{"ingress", netlink.HANDLE_MIN_INGRESS, ebpf.AttachTCXIngress},
	{"egress", netlink.HANDLE_MIN_EGRESS, ebpf.AttachTCXEgress},
}

// Programs are the BPF programs and tc filters at the devices of the calling thread's network
// namespace: "a tc filter at the ingress of eth0". What needs more privileges than this
// process has is left out.
func Programs() ([]string, error) {
	links, err := netlink.LinkList()
	if err != nil {
		return nil, fmt.Errorf("list links: %w", err)
	}
	var all []string
	for _, l := range links[:min(len(links), atMost)] {
		a := l.Attrs()
		if a.Xdp != nil && a.Xdp.Attached {
			all = append(all, "an XDP program at "+a.Name)
		}
		at := filters(l)
		for _, h := range hooks {
			if at[h.name] {
				all = append(all, fmt.Sprintf("a tc filter at the %s of %s", h.name, a.Name))
			}
			found, err := link.QueryPrograms(link.QueryOptions{Target: a.Index, Attach: h.attach})
			if err == nil && len(found.Programs) > 0 {
				all = append(all, fmt.Sprintf("a tcx program at the %s of %s", h.name, a.Name))
			}
		}
	}
	return all, nil
}

// filters are the hooks of a device that have tc filters, which belong to one of two queueing
// disciplines: to clsact, or to that of the ingress alone.
func filters(l netlink.Link) map[string]bool {
	disciplines, err := netlink.QdiscList(l)
	if err != nil {
		return nil
	}
	at := make(map[string]bool)
	for _, d := range disciplines {
		switch d.Type() {
		case "clsact":
			for _, h := range hooks {
				at[h.name] = at[h.name] || filtered(l, h.parent)
			}
		case "ingress":
			at["ingress"] = at["ingress"] || filtered(l, d.Attrs().Handle)
		}
	}
	return at
}

func filtered(l netlink.Link, parent uint32) bool {
	found, err := netlink.FilterList(l, parent)
	return err == nil && len(found) > 0
}

// Full says of the UDP sockets of the calling thread's network namespace that have those ports
// how many datagrams they have refused since they were opened, because their buffer was full
// or by a filter; nothing of those that refused none.
func Full(ports ...uint16) ([]string, error) {
	refused := make(map[uint16]uint64)
	for _, file := range []string{"udp", "udp6"} {
		text, err := os.ReadFile("/proc/thread-self/net/" + file)
		if errors.Is(err, fs.ErrNotExist) && file == "udp6" {
			continue // a kernel without IPv6
		}
		if err != nil {
			return nil, fmt.Errorf("list sockets: %w", err)
		}
		countRefused(string(text), ports, refused)
	}
	var all []string
	for _, port := range slices.Sorted(slices.Values(ports)) {
		if n := refused[port]; n > 0 {
			all = append(all, fmt.Sprintf("the sockets at UDP port %d have refused %d datagrams since they were opened: "+
				"a buffer was full, or a filter refused them", port, n))
			delete(refused, port)
		}
	}
	return all, nil
}

// countRefused adds up the last column, drops, of /proc/net/udp by the local port.
func countRefused(text string, ports []uint16, refused map[uint16]uint64) {
	for line := range strings.Lines(text) {
		fields := strings.Fields(line)
		if len(fields) < 13 {
			continue
		}
		_, local, _ := strings.Cut(fields[1], ":")
		port, err := strconv.ParseUint(local, 16, 16)
		if err != nil || !slices.Contains(ports, uint16(port)) {
			continue
		}
		if n, err := strconv.ParseUint(fields[len(fields)-1], 10, 64); err == nil {
			refused[uint16(port)] += n
		}
	}
}
