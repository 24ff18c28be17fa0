//go:build !linux

package sysctl

import "github.com/wgnode/wgnode/probe/host"

// Writable returns why the caller may not set a parameter.
func Writable(name string) error { return host.NeedsLinux("the parameter " + name) }
