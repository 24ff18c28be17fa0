// Package bpf has what programs that watch the kernel have in common: whether this process
// may load them, and where the running kernel keeps what they read.
package bpf

import "errors"

var (
	// ErrRights: the process lacks capabilities on the host.
	ErrRights = errors.New("the capabilities CAP_BPF and CAP_PERFMON, or CAP_SYS_ADMIN, are missing")
	// ErrTypes: the kernel does not describe its types, so that it is not known where their fields are.
	ErrTypes = errors.New("it does not describe its types (CONFIG_DEBUG_INFO_BTF)")
)
