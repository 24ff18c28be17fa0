//go:build linux

package kernelwg

import (
	"errors"
	"fmt"
	"os"

	"github.com/wgnode/wgnode/probe/host/bpf"
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
