//go:build !linux

package nftables

import "github.com/wgnode/wgnode/probe/host"

var errSystem = host.NeedsLinux("nftables")

// Available returns why nftables cannot be used.
func Available() error { return errSystem }

// KillSwitches returns the tunnels that have such a table: none.
func KillSwitches() ([]string, error) { return nil, nil }

// Keeper would add tables.
type Keeper struct{ Open bool }

// AddKillSwitch fails.
func (k *Keeper) AddKillSwitch(KillSwitch) error { return errSystem }

// DeleteKillSwitch fails.
func (k *Keeper) DeleteKillSwitch(string) error { return errSystem }

// Keeps reports whether the keeper has added a table.
func (k *Keeper) Keeps(string) bool { return false }

// Restore has nothing to put back.
func (k *Keeper) Restore() ([]Restored, error) { return nil, nil }

// Close gives up nothing.
func (k *Keeper) Close() error { return nil }

// Watcher would call a function whenever the firewall changes.
type Watcher struct{}

// Watch fails.
func Watch(func(Change)) (*Watcher, error) { return nil, errSystem }

// Close ends nothing.
func (w *Watcher) Close() error { return nil }
