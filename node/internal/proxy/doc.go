// Package proxy is what the services of a node without an interface have in
// common. Programs reach its tunnel, and peers reach its host, through sockets:
//
//	socks5, httpproxy   programs of this host that speak a proxy protocol
//	forward             a port here that is a port there, either way round
//	dns                 a name server here that is the tunnel's
//
// None of them knows WireGuard. A service accepts on one [Network] and dials on
// another: the host's own, [Host], or the tunnel's stack. So all of them can be
// tried with plain sockets.
//
// # Limits
//
// Whoever connects may mean no good. A service has a bounded number of
// connections, each has a bounded time to say what it wants, and what one of
// them makes the service remember is bounded. Sessions of UDP, which have no
// end, end when nothing passes.
//
// # Ends
//
// A connection that is relayed has two directions that end one by one: the end
// of one is passed on, and the other goes on. A reset is passed on as a reset.
// When a service's context ends it closes all that it has opened, and returns
// after the last of its goroutines.
package proxy
