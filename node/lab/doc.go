// Package lab builds small networks inside one machine, for tests.
//
// A [Lab] is a set of hosts joined by virtual cables. The classic one is
// ready-made, see [NewClassic]:
//
//	A eth0 ------- lan R wan ------------- wan H lan ------- eth0 B
//	10.9.1.2           NAT                  hub              192.168.200.22
//
// # What a host is
//
// A [Host] is a process, the holder, that sits still inside Linux namespaces
// of its own. The namespaces are what makes it a host:
//
//   - network: its own interfaces, routes, firewall and sockets;
//   - mount: its own /run (thus /var/run/wireguard), /var/lib/wgnode, /proc, /sys, and an /etc
//     in which resolv.conf, hosts, hostname and wireguard/ are private and all
//     else is read-only, so that two hosts can both have a wg0;
//   - PID: its own process table, with the holder as process 1;
//   - UTS: its own host name.
//
// Everything else, /tmp above all, is shared with the machine.
//
// The holder is the test binary itself, started a second time: this package's
// init function sees an environment variable and never lets main begin.
// Importing the package is therefore all the set-up that a test needs.
//
// # Nothing stays behind
//
// The holder waits for the end of its standard input, a pipe that only the
// test process holds open. However the test process ends, SIGKILL included,
// the kernel closes the pipe and the holder exits. As it is process 1 of its
// PID namespace, the kernel then kills whatever still runs in the host,
// daemons in the background too, and the namespaces vanish with the last of
// them. No names are registered anywhere (no ip netns add), so there is
// nothing to clean up by hand.
//
// # Getting inside
//
// [Host.Run], [Host.Try], [Host.Start] and [Host.Command] run programs in the
// host. [Host.Do] runs a Go function there, on a thread which has entered the
// namespaces and is thrown away afterwards; a socket opened by the function
// stays in the host's network for as long as it is open, whoever uses it. That
// is how [Host.Listen], [Host.Dial] and [Host.ServeHTTP] work: the server is
// in the test process, its socket in the host.
//
// # Failing and skipping
//
// Most methods have no error result: they end the test through the
// [testing.TB] given to [New], so they may only be called from that test's
// goroutine. In a subtest use [Host.With] to report to the subtest. What
// cannot run here, for want of root or of a program, skips the test and says
// why; if the environment has CI=true it fails instead, so that nothing is
// skipped unseen.
package lab
