// Package tunnel is a WireGuard device that can be watched. It embeds
// wireguard-go unmodified; but for it and its rooms below internal no package touches that.
//
// # The model
//
// The device stands between a TUN device and a UDP bind, and talks to a logger. All
// three are interfaces, and a [Tunnel] stands at each:
//
//	host  <->  TUN seam  <->  device  <->  UDP seam  <->  network
//	                            |
//	                         logger
//
// At the two packet seams every packet is decoded once, tagged, counted and recorded as a
// [probe.Event]. This package puts the parts together, and answers for them. Each part
// has a room below internal, and none of them knows the Tunnel:
//
//   - seam: the three seams.
//   - mirror: what the device believes, kept true under every change.
//   - tag: how a packet is recognized on both sides of the device.
//   - handshake, and noise below it: whose each handshake message is.
//   - account: what the device has dropped without a word, and why.
//   - tap: bytes of what passes, for whoever records.
//   - refuse: ICMP for what the tunnel cannot take.
//
// # What the device does not say
//
// It drops many packets in silence. The mirror tells some of them: of the AllowedIPs, of
// the session indices, and of each peer's endpoint. Handshake initiations are decrypted as
// far as needed to name who sent them. For the rest there is the accountant: each peer's
// packets keep their order inside the device, so a gap in what leaves shows what was
// dropped. That a packet which leaves is the one that entered is never guessed by size or
// time: the tests prove it for every packet, so that an upgrade of wireguard-go that breaks
// it fails loudly.
package tunnel
