// Package kernelwg has tests of what is told of the kernel's own WireGuard: whether it is
// true. They are skipped where the kernel has none; `make test-vm` runs them in a machine
// that has.
package kernelwg
