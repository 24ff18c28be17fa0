//go:build linux

package hooks

import (
	"bytes"
	"errors"
	"fmt"
	"math/bits"
	"os"
	"strings"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/wgnode/wgnode/probe/evidence"
	"github.com/wgnode/wgnode/probe/harmless"
)

// getInfo is the socket option that tells of a table, IPT_SO_GET_INFO and the same of IPv6
// (linux/netfilter_ipv4/ip_tables.h).
const getInfo = 64

// tableInfo is struct ipt_getinfo, which is the same as ip6t_getinfo.
type tableInfo struct {
	Name       [32]byte
	ValidHooks uint32
	HookEntry  [5]uint32
	Underflow  [5]uint32
	NumEntries uint32
	Size       uint32
}

// legacy lists the tables of legacy iptables that have rules.
func (l *lister) legacy() error {
	var errs []error
	for _, f := range []struct {
		family, file, save string
		domain, level      int
	}{
		{"ip", "ip_tables_names", "iptables-legacy-save", unix.AF_INET, unix.IPPROTO_IP},
		{"ip6", "ip6_tables_names", "ip6tables-legacy-save", unix.AF_INET6, unix.IPPROTO_IPV6},
	} {
		names, err := os.ReadFile("/proc/thread-self/net/" + f.file)
		if errors.Is(err, os.ErrNotExist) {
			continue // this kernel has none, or not loaded
		}
		if err != nil {
			errs = append(errs, err)
			continue
		}
		for name := range strings.FieldsSeq(string(names)) {
			n, err := rulesOf(f.domain, f.level, name)
			if err != nil {
				errs = append(errs, fmt.Errorf("read table %s %s: %w", f.family, name, err))
			} else if n > 0 {
				l.add(evidence.Hook{Kind: evidence.HookLegacy, Family: f.family, Show: f.save + " -c -t " + harmless.Shell(name),
					Text: fmt.Sprintf("rules of legacy iptables in table %s %s", f.family, harmless.Line(name))})
			}
		}
	}
	return errors.Join(errs...)
}

// rulesOf is how many rules a table has. A policy is an entry, too, and the last one is not
// a rule; of a chain that a user has made the first and the last entry are none.
func rulesOf(domain, level int, table string) (int, error) {
	fd, err := unix.Socket(domain, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.IPPROTO_RAW)
	if err != nil {
		return 0, fmt.Errorf("make socket: %w", err)
	}
	defer unix.Close(fd)
	var info tableInfo
	if copy(info.Name[:len(info.Name)-1], table); bytes.IndexByte(info.Name[:], 0) != len(table) {
		return 0, unix.ENAMETOOLONG
	}
	size := uint32(unsafe.Sizeof(info))
	if _, _, errno := unix.Syscall6(unix.SYS_GETSOCKOPT, uintptr(fd), uintptr(level), getInfo,
		uintptr(unsafe.Pointer(&info)), uintptr(unsafe.Pointer(&size)), 0); errno != 0 {
		return 0, errno
	}
	return int(info.NumEntries) - bits.OnesCount32(info.ValidHooks) - 1, nil
}
