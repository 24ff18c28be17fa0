//go:build linux

package kernelwg

import (
	"errors"
	"fmt"
	"os"

	"github.com/wgnode/wgnode/probe/host/bpf"
)

var (
	// ErrModule: the kernel has no WireGuard of its own, or has not loaded it.
	ErrModule = errors.New("this kernel's own WireGuard is not loaded")
	// ErrCopies: the process may not have copies of packets.
	ErrCopies = errors.New("the capability CAP_NET_RAW is missing")
	// ErrTypes: the kernel does not describe the types of its WireGuard.
	ErrTypes = errors.New("this kernel does not describe the types of its WireGuard (CONFIG_DEBUG_INFO_BTF_MODULES)")
)

// exact says what keeps this process from watching at level exact, nil if nothing is known to.
func exact() error {
	if _, err := os.Stat("/sys/module/" + module); err != nil {
		return ErrModule
	}
	if err := bpf.Available(); err != nil {
		if errors.Is(err, bpf.ErrTypes) {
			return fmt.Errorf("%w: %w", ErrTypes, err)
		}
		return err
	}
	if _, err := os.Stat("/sys/kernel/btf/" + module); err != nil {
		if builtin() {
			return nil // its types are the kernel's
		}
		return ErrTypes
	}
	return nil
}

// builtin reports whether WireGuard is no module of this kernel's but a part of it.
func builtin() bool {
	_, err := os.Stat("/sys/module/" + module + "/initstate") // that modules have
	return err != nil
}
