// Package naming finds what a word of the command line means, and reaches it. A word names the same
// tunnel for every command: the name of an interface, the path of a configuration, or, where it is
// left out, the only tunnel that there is (ResolveWord, NodeName). DialNode connects to it, a node
// or a device of the kernel's; where there is none, the error says what is there instead: a node
// that has died, one of another user, an interface of another program. A destination is an
// address, a peer's name, or a host's (NodeAndTarget). What the shell completes comes from here, too.
package naming
