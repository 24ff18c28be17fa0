//go:build !linux

// Package sender makes sockets that are another process's to this host's rules: on Linux.
package sender

import "github.com/wgnode/wgnode/probe/host"

var errSystem = host.NeedsLinux("a probe in the name of another process")

// Process is who a socket is made as.
type Process struct{}

// Of looks a process up.
func Of(int) (*Process, error) { return nil, errSystem }

// Pass is what a child does for a node.
func Pass([]string) error { return errSystem }
