// Package probe is the language in which wgnode speaks about packets.
//
// A packet that crosses a WireGuard node is seen at four seams: it is read
// from the TUN device, sent over UDP, received over UDP, and written to the
// TUN device. At each seam one [Event] is recorded. An Event says where
// ([Seam], [Checkpoint]), what ([Kind], addresses, lengths, session index and
// counter), whose ([PeerID]), by which AllowedIPs prefix, and what became of
// it ([Reason]; the zero Reason means that it passed). A node without an interface
// has a fifth seam, the sockets by which it passes on what its peers send to others.
//
// # Checkpoints
//
// A flow belongs to the side that sent its first inner packet. On that host
// its packets pass the checkpoints A1 to A6, at the other end of the tunnel
// B1 to B8. One node is A for some flows and B for others at the same time.
//
//	host A                                   host B
//	A1 TUN read    inner packet
//	A2 UDP send    initiation       ------>  B1 UDP receive
//	A3 UDP receive response         <------  B2 UDP send
//	A4 UDP send    encrypted data   ------>  B3 UDP receive
//	                                         B4 TUN write, inner packet
//	                                         B5 forwarded by the host
//	                                         B6 the reply comes back
//	                                         B7 TUN read, the reply
//	A5 UDP receive encrypted reply  <------  B8 UDP send
//	A6 TUN write   inner reply
//
// # Numbers
//
// Events are written to files and sent to other releases with the numbers of their seams,
// checkpoints, kinds, reasons, changes and flags. These never change. Each of them stands
// in a table with its name and what else there is to know; the names are public, too.
//
// # The flight recorder
//
// A [Recorder] always holds the latest events in a fixed amount of memory.
// Recording never blocks and never allocates: what is old is overwritten.
// Readers ([Subscription]) are told exactly how many events they missed. The
// recorder is divided into lanes, one a seam, so that two directions share
// no lock, and handshakes have a lane of their own, so that bulk data does not
// push them out.
//
// Nothing in this package holds key material or packet payload.
package probe
