// Package exporter serves health and metrics to programs of this host, as plain HTTP at a loopback
// address or a Unix socket: of a node ([Server]), of devices of the kernel's, which package monitor
// has, and of what the kernel drops ([Drops]).
//
// Whoever asks needs no secret, so a browser could be made to ask, too. A request that names another
// host than this one is refused, unless the name is known ([IsLoopbackHost]).
package exporter
