//go:build linux

// Package sockets tells which UDP sockets of this host have refused datagrams: what a full
// buffer or a filter drops there no hook of netfilter's shows. It only reads.
package sockets

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strconv"
	"strings"
)

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
