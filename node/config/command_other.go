//go:build !unix

package config

import "os/exec"

// endTogether leaves a command as it is: there are no process groups. What it has started
// may outlive it, and is waited for no longer than cmd.WaitDelay.
func endTogether(*exec.Cmd) {}
