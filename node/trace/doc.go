// Package trace sends one packet through a node's tunnel and finds out what
// becomes of it and of its reply, station by station: a [walk.Walk].
//
// The walk is put together from three sources. The tunnel's events say what the
// device did, the kernel's netfilter trace which chains and rules were met before
// and after it, and the routing tables which route was chosen and why. The first
// two are observed in a session of package observe. They are joined by what
// the packet itself carries: its addresses, port or echo identifier inside, and
// outside the receiver index and counter that every encrypted packet begins with.
// So other traffic through the same tunnel is not mistaken for it.
//
// An encrypted packet may yet go unseen: when the host is busy with others of the
// same length, or when the kernel handles several in one piece. Then another one
// of the same session stands in, which passes the same rules as a rule, and the
// walk says so.
package trace
