// Package tunnel is a WireGuard device that can be watched. It embeds
// wireguard-go unmodified, and is the only package that touches it.
//
// # Three seams
//
// The device stands between a TUN device and a UDP bind, and talks to a
// logger. All three are interfaces, and a [Tunnel] stands at each:
//
//	host  <->  [tunSeam]  <->  device  <->  [udpSeam]  <->  network
//	                             |
//	                          logger
//
// At the two packet seams every packet is decoded once, tagged, counted and
// recorded as a [probe.Event]. The logger is called with format and arguments,
// so that it is a stream of events with the peer attached.
//
// # Tags
//
// Between the seams a packet is encrypted or decrypted, in place, in a pooled
// buffer of 64 KiB. The tag rides in the unused tail of that buffer: what
// leaves is recognised by the memory that it is in, never by size or time. The
// tests prove that for every packet, so that an upgrade of wireguard-go that
// breaks it fails loudly.
//
// # What the device does not say
//
// It drops many packets in silence. Mirrors tell some of them: of the
// AllowedIPs table, kept true under every UAPI change, of the session indices,
// and of each peer's endpoint. Handshake initiations are decrypted as far as
// needed to name who sent them. For the rest there is the accountant: each
// peer's packets keep their order inside the device, so a gap in what leaves
// shows what was dropped.
//
// # The hot path
//
// No packet allocates, takes a lock that the other direction takes, or waits
// for an observer. The two packet directions share only words that are read and
// written atomically. Each remembers the flows of its latest packets, so that
// prefix and flow are looked up once for many.
package tunnel
