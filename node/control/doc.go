// Package control is the control socket: who looks at a WireGuard asks over it, by HTTP.
//
//	commands ── Client ──> socket ──> Handle ── Served ──> a node, or a device of the kernel's
//
// What is served alike of each is here; what only a node can do, as to reload, it adds itself.
package control
