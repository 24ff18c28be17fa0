// Package node is one WireGuard node from a configuration to its end: it brings
// the interface up, serves it, and takes it down again.
//
//	config.Load -> Start -> Run -> Close
//
// [Start] makes a plan of the configuration (package plan), applies it step by
// step, each recorded in a journal first, and opens the node's sockets. It is
// all or nothing: whatever fails, what was done is undone, but for what hooks did,
// which is told. From then on packets pass. [Node.Run] serves until its context ends or the interface goes away.
// [Node.Close] undoes the steps in reverse.
//
// A node whose process was killed leaves its journal behind. [teardown.Down], or the
// next Start of the same name, undoes from it exactly what was done.
//
// # While it runs
//
// A node keeps up with what changes around it. The name of an endpoint is
// looked up again when its peer is not heard of (package endpoint), past the
// tunnel (package lookup). When this host gets another network, its peers are
// told where it is now, and the MTU is adapted unless the configuration gives
// one (package uplink). The flight recorder shows both.
//
// A node that has a kill switch keeps it unless it was asked to end: by the end
// of Run's context, or by Down. Killed, crashed, or without its interface all of
// a sudden, it leaves the host shut off until the next Start of the same name has
// succeeded, which does not open it meanwhile, or until [teardown.Down] or [teardown.Recover].
//
// # Files
//
//	/run/wgnode/NAME.json          the journal
//	/run/wgnode/NAME.sock          the control socket, see package control
//	/var/run/wireguard/NAME.sock   WireGuard's own protocol, for wg(8)
//
// # Health
//
// Where the configuration or [Options.Metrics] names a loopback address or a Unix
// socket, a node answers plain HTTP there: GET /healthz with [Health], GET /readyz
// with [Readiness], and GET /metrics for Prometheus (package metrics).
//
// # Variants
//
// With [Options.Netstack] there is no interface: the packets end in a userspace
// network stack, see [Node.Net], which takes no privileges. Programs of the host
// get into the tunnel, and peers to the host, by the configuration's services
// (package proxy), which run from Start to Close; a Reload leaves alone those that
// stay as they are. With [Options.MakeLink] somebody else makes the interface, as
// package confine does for a command that is to have no other. [StartDevice] makes
// a bare device that others configure, as wireguard-go does.
//
// # Rooms
//
// What a program that embeds a node needs is here. What serves, watches and undoes stands in rooms
// of its own, which know no Node: package running finds nodes and asks them, package teardown takes
// them down from outside, package save writes down what they do, package guard keeps their firewall,
// package exporter serves their health, package kernelnode serves devices of the kernel's as nodes
// are served. What only a node uses is below node/internal.
//
// # What is kept
//
// What this package exports, and config, tunnel, tunnel/netstack, probe and some of what is below
// probe, is listed in cmd/internal/archtest/testdata/api.txt, and a test holds it to that. See
// docs/embedding.md.
package node
