// Package repair does the steps of a fix on this host, and takes them back.
//
// A [fix.Step] becomes a deed only where this package knows, before anything is
// changed, how to undo it:
//
//	ip route add, replace, del; ip rule add, del    the route or rule that was there, or none
//	ip address add; ip link set up, mtu             the address; what the link had
//	sysctl -w                                       the former values, those that change with it, too
//	nft add, insert rule; iptables -I, -A           the rule, by its handle or its words
//	wg set allowed-ips, persistent-keepalive        what the peers had
//	ufw, firewall-cmd, fail2ban-client              the opposite command
//	a line of a configuration                       the line that was there
//
// All other steps are left to the user, and so are those of which only the user can
// know whether they are wanted: see [Plan].
//
//	steps ── Plan ──> Planned ── Apply ──> Record in the journal ── Undo
//
// A record is written before each step is done, and again after it, in a file of its own
// that only root can read. It holds no secret: of a configuration it has only the lines that were
// replaced, and none of those keys that hold one.
package repair
