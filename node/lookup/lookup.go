// Package lookup resolves the names of endpoints so that the tunnel cannot
// swallow the question.
//
// A tunnel that carries everything also carries DNS, and often has the system
// ask a name server that only the tunnel reaches. When the tunnel is dead because
// its endpoint moved, the way to find that out leads through the dead tunnel. A
// [Resolver] therefore asks the name servers that the system had before, from
// sockets with the tunnel's mark, which its routing rules let pass. Where the route
// to a server leads into the tunnel nevertheless, as without rules a full tunnel in
// two halves does, they are bound to the interface that would be used without the
// tunnel.
package lookup

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"slices"
	"sync"
	"syscall"
	"time"

	"github.com/wgnode/wgnode/node/safefile"
)

// Resolver looks names up. Its methods are safe for concurrent use.
type Resolver struct {
	mark   func() uint32
	around func(netip.Addr) string
	files  files
	port   uint16

	mu      sync.Mutex
	avoid   []netip.Addr // guarded by mu
	servers []netip.Addr // guarded by mu
}

const (
	// perServer is how long one server may take for all that a name needs.
	perServer = 5 * time.Second
	// maxServers is how many are asked, as resolv.conf(5) has it.
	maxServers = 3
)

// New returns a resolver that asks the name servers that the system has, now or
// later. avoid are the tunnel's own: they are never asked. mark returns the mark that
// questions are to carry, 0 for none; around the interface that a question to a
// server is bound to, so that it does not enter the tunnel, "" for any.
func New(avoid []netip.Addr, mark func() uint32, around func(netip.Addr) string) *Resolver {
	r := &Resolver{avoid: slices.Clone(avoid), mark: mark, around: around, files: systemFiles, port: 53}
	r.Refresh()
	return r
}

// Refresh reads which name servers the system has now, for they change with the
// network. If there are none but the tunnel's own, the ones from before stay.
// Lookup does it too.
func (r *Resolver) Refresh() {
	found := r.files.servers()
	r.mu.Lock()
	defer r.mu.Unlock()
	found = slices.DeleteFunc(found, func(a netip.Addr) bool {
		return slices.ContainsFunc(r.avoid, func(own netip.Addr) bool { return own.WithZone("") == a.WithZone("") })
	})
	if len(found) == 0 {
		return
	}
	r.servers = found[:min(len(found), maxServers)]
}

// Avoid names the tunnel's own name servers anew.
func (r *Resolver) Avoid(servers []netip.Addr) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.avoid = slices.Clone(servers)
}

// present returns the servers to ask, and whether the tunnel has some of its
// own.
func (r *Resolver) present() (servers []netip.Addr, own bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.servers, len(r.avoid) > 0
}

// Lookup returns the addresses of host, IPv4 and IPv6, in the order of
// preference of RFC 6724; at least one if there is no error. /etc/hosts counts.
// A tunnel that has neither a mark nor name servers of its own, nor the routes to
// the system's, is in nobody's way: the system is asked as usual.
func (r *Resolver) Lookup(ctx context.Context, host string) ([]netip.Addr, error) {
	r.Refresh()
	servers, own := r.present()
	mark := r.mark()
	devices := make(map[netip.Addr]string)
	for _, s := range servers {
		if d := r.around(s); d != "" {
			devices[s] = d
		}
	}
	if mark == 0 && !own && len(devices) == 0 || len(servers) == 0 {
		return System(ctx, host)
	}
	var first error
	for _, s := range servers {
		found, err := r.ask(ctx, s, outside(mark, devices[s]), host)
		if err == nil || ctx.Err() != nil {
			return found, err
		}
		if first == nil {
			first = err
		}
		if dns, ok := errors.AsType[*net.DNSError](err); ok && dns.IsNotFound {
			return nil, err // a definite answer
		}
	}
	return nil, first
}

// System is Lookup by the system's own means.
func System(ctx context.Context, host string) ([]netip.Addr, error) {
	return addrs(ctx, net.DefaultResolver, host)
}

// systemReads are the files that package net reads to look something up. One that is a
// pipe would have it wait for ever.
var systemReads = []string{"/etc/resolv.conf", "/etc/nsswitch.conf", "/etc/hosts"}

func checkReads() error {
	for _, path := range systemReads {
		if info, err := os.Stat(path); err == nil && !info.Mode().IsRegular() && !safefile.IsNull(path) {
			return fmt.Errorf("%s: %w", path, safefile.ErrNotRegular)
		}
	}
	return nil
}

// ask asks one server, whatever the system's configuration says, by sockets that
// control has prepared.
func (r *Resolver) ask(ctx context.Context, server netip.Addr, control control, host string) ([]netip.Addr, error) {
	ctx, cancel := context.WithTimeout(ctx, perServer)
	defer cancel()
	d := net.Dialer{Control: control}
	to := netip.AddrPortFrom(server, r.port).String()
	return addrs(ctx, &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, network, _ string) (net.Conn, error) {
		return d.DialContext(ctx, network, to)
	}}, host)
}

// control is a net.Dialer's Control.
type control = func(network, address string, c syscall.RawConn) error

func addrs(ctx context.Context, r *net.Resolver, host string) ([]netip.Addr, error) {
	if err := checkReads(); err != nil {
		return nil, fmt.Errorf("look up %s: %w", host, err)
	}
	found, err := r.LookupNetIP(ctx, "ip", host)
	if err != nil {
		return nil, err
	}
	if len(found) == 0 {
		return nil, fmt.Errorf("look up %s: %w", host, &net.DNSError{Err: "no addresses", Name: host, IsNotFound: true})
	}
	for i := range found {
		found[i] = found[i].Unmap()
	}
	return found, nil
}
