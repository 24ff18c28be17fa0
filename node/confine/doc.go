//go:build linux

// Package confine runs a command whose only network is a tunnel.
//
// The command runs in a network namespace of its own, in which there are a
// loopback interface and a TUN device, and nothing else. What the TUN device
// carries is read by the process outside, which encrypts it and sends it through
// its own UDP socket, on the host's network. So there is nothing that the command
// could bypass: a static binary, one that ignores proxies, one that asks name
// servers by itself all find the one way out.
//
//	this program                      the same, started again
//	 Start ───── clone ─────────────> Enter
//	 Furnish ─── Network ───────────> makes the TUN, routes, resolv.conf
//	         <── TUN, sockets ─────── keeps nothing
//	 Exec ────── "go" ──────────────> execve(COMMAND)
//	 Wait <───── exit status ──────── the command
//
// The process that sets the namespaces up becomes the command, which is hence a
// child of the caller's: in its process group, on its terminal, with its
// descriptors and folder. If the caller is killed the kernel kills the command.
// There is no PID namespace: what the command leaves in the background lives on,
// without a network once the caller has closed the TUN device.
//
// # Privileges
//
// None are needed, but /dev/net/tun and a kernel that lets users make user
// namespaces; the error is a [ForbiddenError] if it does not. The user namespace
// maps the caller's uid and gid to themselves and nothing else: the command sees
// the user that it belongs to, and other owners as nobody. The capabilities of
// the set-up end with the execve. A caller that may make the other namespaces
// without a user namespace, as root, does so. Its command has only those of root's
// capabilities that programs need for files, users, processes and ports. It cannot
// enter the host's namespaces, but it is root: what root's files and sockets can
// have other processes do it can have them do on the host's network.
//
// # Names
//
// The command resolves names by the tunnel's name servers only. They are in a
// resolv.conf that is mounted over the host's, wherever that really is, and
// nsswitch.conf is reduced to `hosts: files dns`: other modules ask daemons that
// live outside, on the host's network. The sockets of those daemons are covered
// as well. All this is in the command's mount namespace; the host sees nothing of it.
// When the host's network changes, daemons replace resolv.conf. Where it is in a
// folder of theirs below /run the whole folder is covered, and they do no harm. But
// a file in /etc that is replaced takes the mount over it along, and the command
// sees the new one: then names may no longer resolve. Still no question leaves by
// another way than the tunnel.
//
// # What it is not
//
// Only the network is confined. The command reaches the files of its user and the
// Unix sockets among them, and whoever listens there, such as a desktop bus or a
// browser that runs already, may do on its own network what it is asked to.
package confine
