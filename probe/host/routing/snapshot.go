//go:build linux

package routing

import (
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// Snapshot is what a network namespace's kernel decides by where packets go. It
// is read part by part, so what changes meanwhile may be in it half.
type Snapshot struct {
	// Rules4 and Rules6 are the rules of the families, in the order in which they
	// are tried.
	Rules4, Rules6 []Rule

	links     map[int]*Link
	tables    map[tableID]*table
	neighbors map[neighborID]neighbor
	all4      conf4 // net.ipv4.conf.all
	all6      conf6
	only      []netip.Addr // sorted
}

// Options restrict a snapshot.
type Options struct {
	// Only has the snapshot keep no routes but those to these addresses, which
	// spares memory and time where there are many. Nil: all routes.
	Only []netip.Addr
}

// Take reads a snapshot of the calling thread's network namespace: the rules of
// both families, the tables that they lead into and the table local, links,
// addresses, neighbours and sysctls. It needs no privileges.
func Take(o Options) (*Snapshot, error) {
	sock, err := open()
	if err != nil {
		return nil, err
	}
	defer sock.close()
	s := &Snapshot{tables: make(map[tableID]*table)}
	for _, a := range o.Only {
		if a.IsValid() {
			s.only = append(s.only, a.Unmap().WithZone(""))
		}
	}
	slices.SortFunc(s.only, netip.Addr.Compare)
	if err := s.readInterfaces(sock); err != nil {
		return nil, err
	}
	for _, family := range []uint8{unix.AF_INET, unix.AF_INET6} {
		err := s.readRules(sock, family)
		if errors.Is(err, unix.EOPNOTSUPP) {
			continue // a kernel without IPv6
		}
		if err != nil {
			return nil, fmt.Errorf("list rules: %w", err)
		}
		if err := s.readRoutes(sock, family); err != nil {
			return nil, fmt.Errorf("list routes: %w", err)
		}
	}
	if err := s.readNeighbors(sock); err != nil {
		return nil, fmt.Errorf("list neighbours: %w", err)
	}
	if err := s.readAll(); err != nil {
		return nil, err
	}
	return s, nil
}

// TakeLink reads one link of the calling thread's network namespace, with its
// addresses. It returns nil if there is none of that name.
func TakeLink(name string) (*Link, error) {
	sock, err := open()
	if err != nil {
		return nil, err
	}
	defer sock.close()
	s := new(Snapshot)
	if err := s.readInterfaces(sock); err != nil {
		return nil, err
	}
	return s.Link(name), nil
}

// readInterfaces reads all links and their addresses.
func (s *Snapshot) readInterfaces(sock *socket) error {
	if err := s.readLinks(sock); err != nil {
		return fmt.Errorf("list links: %w", err)
	}
	if err := s.readAddrs(sock); err != nil {
		return fmt.Errorf("list addresses: %w", err)
	}
	for _, l := range s.links {
		if l.master != 0 {
			l.Master = s.name(l.master)
		}
	}
	return nil
}

// readAll reads the sysctls that no link has.
func (s *Snapshot) readAll() error {
	for _, v := range []struct {
		name string
		to   *int
	}{
		{"ipv4/conf/all/forwarding", &s.all4.forwarding},
		{"ipv4/conf/all/proxy_arp", &s.all4.proxyARP},
		{"ipv4/conf/all/rp_filter", &s.all4.rpFilter},
		{"ipv4/conf/all/accept_local", &s.all4.acceptLocal},
		{"ipv4/conf/all/src_valid_mark", &s.all4.srcValidMark},
		{"ipv4/conf/all/route_localnet", &s.all4.routeLocalnet},
		{"ipv6/conf/all/forwarding", &s.all6.forwarding},
		{"ipv6/conf/all/proxy_ndp", &s.all6.proxyNDP},
	} {
		b, err := os.ReadFile("/proc/sys/net/" + v.name)
		if errors.Is(err, fs.ErrNotExist) && strings.HasPrefix(v.name, "ipv6") {
			continue // a kernel without IPv6
		}
		if err != nil {
			return fmt.Errorf("read sysctl: %w", err)
		}
		if *v.to, err = strconv.Atoi(strings.TrimSpace(string(b))); err != nil {
			return fmt.Errorf("read sysctl net/%s: %w", v.name, err)
		}
	}
	return nil
}

func (s *Snapshot) rules(ipv6 bool) []Rule {
	if ipv6 {
		return s.Rules6
	}
	return s.Rules4
}
