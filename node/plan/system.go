//go:build linux

package plan

import (
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"strings"

	"github.com/wgnode/wgnode/node/address"
	"github.com/wgnode/wgnode/node/link"
	"github.com/wgnode/wgnode/node/route"
)

// System is the kernel of this host, in the network namespace of the calling
// thread.
type System struct{}

var _ Kernel = System{}

func (System) Link(name string) (link.Link, error)             { return link.ByName(name) }
func (System) DeleteLink(l link.Link) error                    { return link.Delete(l) }
func (System) SetUp(l link.Link, mtu int) error                { return link.SetUp(l, mtu) }
func (System) AddAddress(l link.Link, p netip.Prefix) error    { return address.Add(l, p) }
func (System) DeleteAddress(l link.Link, p netip.Prefix) error { return address.Delete(l, p) }
func (System) AddRoute(l link.Link, p netip.Prefix) error      { return route.Add(l, p) }
func (System) DeleteRoute(l link.Link, p netip.Prefix) error   { return route.Delete(l, p) }

// Gather finds out about this host what [Build] needs to bring up the
// interface by this name. The endpoints are the addresses of the peers'
// endpoints as far as they are known: names must have been resolved before.
// Nothing is changed. Endpoints without a route are no error.
func Gather(name string, endpoints []netip.Addr) (State, error) {
	var s State
	switch _, err := link.ByName(name); {
	case err == nil:
		s.LinkExists = true
	case !errors.Is(err, link.ErrNotFound):
		return State{}, err
	}
	for _, e := range endpoints {
		if e.Zone() != "" {
			continue // wg-quick does not understand these, and the MTUs must agree
		}
		// Like wg-quick, without the mark: the routes that it would evade are
		// not there yet.
		r, err := route.Lookup(e, 0)
		if err == nil && r.MTU() > 0 {
			s.EndpointMTUs = append(s.EndpointMTUs, r.MTU())
		}
	}
	d, err := route.Default()
	if err != nil {
		return State{}, err
	}
	if d != nil {
		s.DefaultMTU = d.MTU()
	}
	s.NoIPv6, err = noIPv6()
	return s, err
}

// noIPv6 returns why a new link would have no IPv6, or "".
func noIPv6() (string, error) {
	const key = "net.ipv6.conf.default.disable_ipv6"
	b, err := os.ReadFile("/proc/sys/" + strings.ReplaceAll(key, ".", "/"))
	if errors.Is(err, fs.ErrNotExist) {
		return "this kernel has no IPv6", nil
	}
	if err != nil {
		return "", fmt.Errorf("find out whether IPv6 is disabled: %w", err)
	}
	if strings.TrimSpace(string(b)) != "0" {
		return "IPv6 is disabled (" + key + ")", nil
	}
	return "", nil
}
