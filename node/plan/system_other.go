//go:build !linux

package plan

import (
	"context"
	"net/netip"

	"github.com/wgnode/wgnode/node/config"
	"github.com/wgnode/wgnode/node/internal/nftables"
	"github.com/wgnode/wgnode/node/internal/rule"
	"github.com/wgnode/wgnode/node/link"
	"github.com/wgnode/wgnode/node/resolver"
	"github.com/wgnode/wgnode/probe/host"
)

const noFollow = 0

var errSystem = host.NeedsLinux("an interface with its addresses, routes and name servers")

// Gather finds out what a plan must know of this host: here no plan is made.
func Gather(*config.Config, []netip.Addr, uint32) (State, error) { return State{}, errSystem }

// LAN returns the networks that kill_switch_lan stands for.
func LAN(string) ([]nftables.Network, error) { return nil, errSystem }

// System is the kernel of this host, which no plan changes here.
type System struct{ Tables *nftables.Keeper }

var _ Kernel = System{}

func (System) Link(name string) (link.Link, error)                      { return link.ByName(name) }
func (System) DeleteLink(link.Link) error                               { return errSystem }
func (System) SetUp(link.Link, int) error                               { return errSystem }
func (System) AddAddress(link.Link, netip.Prefix) error                 { return errSystem }
func (System) DeleteAddress(link.Link, netip.Prefix) error              { return errSystem }
func (System) AddRoute(link.Link, netip.Prefix, int) error              { return errSystem }
func (System) ReplaceRoute(link.Link, netip.Prefix, int) error          { return errSystem }
func (System) DeleteRoute(link.Link, netip.Prefix, int) error           { return errSystem }
func (System) AddRule(rule.Rule) error                                  { return errSystem }
func (System) DeleteRule(rule.Rule) error                               { return errSystem }
func (System) AddFirewall(link.Link, nftables.Table) error              { return errSystem }
func (System) DeleteFirewall(nftables.Table) error                      { return errSystem }
func (System) AddKillSwitch(nftables.KillSwitch) error                  { return errSystem }
func (System) DeleteKillSwitch(string) error                            { return errSystem }
func (System) AddGateway(nftables.Gateway) error                        { return errSystem }
func (System) DeleteGateway(string) error                               { return errSystem }
func (System) AddThrow(netip.Prefix, int) error                         { return errSystem }
func (System) ReplaceThrow(netip.Prefix, int) error                     { return errSystem }
func (System) DeleteThrow(netip.Prefix, int) error                      { return errSystem }
func (System) Sysctl(string) (string, error)                            { return "", errSystem }
func (System) SetSysctl(string, string) error                           { return errSystem }
func (System) MarkedRule() (string, error)                              { return "", errSystem }
func (System) SetDNS(context.Context, link.Link, resolver.Change) error { return errSystem }
func (System) ResetDNS(link.Link, resolver.Change) error                { return errSystem }
