// Package forward makes a port here one that is a port there: what connects to a
// listener is connected to a fixed place through a network. With a listener of
// the host's and the network of a tunnel, programs of the host reach into the
// tunnel; the other way round, peers reach the host or what it reaches.
//
// A connection that cannot be passed on is reset, which is the nearest to a
// refusal that is left after it was accepted. For UDP each sender gets a session,
// a socket of its own, so that replies find back; it ends when nothing passes.
package forward
