// Package kernelwg watches the kernel's own WireGuard, and records of its packets the events
// that wgnode's device records of its own.
//
// # Where it looks
//
// BPF programs at functions of the kernel's module wireguard (fentry, fexit), assembled here
// for the running kernel: the offsets of what they read are those of the types that kernel
// and module describe (BTF). No function is changed, nothing is sent, and the kernel
// detaches them when the process ends, however it ends.
//
//	A1 B7  the peer is looked up by the destination           wg_allowedips_lookup_dst
//	       what is in the data message with which counter     encrypt_packet
//	A4 B8  a message is handed to the socket, and refused     wg_socket_send_skb_to_peer
//	A5 B3  a data message, decrypted or not                   decrypt_packet
//	A6 B4  the peer is looked up by the source                wg_allowedips_lookup_src
//	A3 B1  a handshake message: MACs, whose, accepted or not  wg_cookie_validate_packet and others
//
// So it is not guessed which packet is in which message: that is level exact. A packet that
// the kernel cuts into several (GSO) is one event as it enters the tunnel, and one for each message.
//
// # Where that is not possible
//
// [Start] falls back to level half, and then to capture. Both have copies of the packets that
// pass the device, and of the messages that pass this host's other devices (AF_PACKET). They
// tell which messages there are, whose they are by their index and address, and which packets
// entered and left the tunnel; not which packet is in a message that is sent, nor what the kernel
// has refused. At level capture a packet that leaves the tunnel may be several that
// came one by one. At level half it is told which message it was in: a BPF program at the
// tracepoint napi_gro_receive_entry, which wants no types of modules, has each packet alone,
// with the message's header before it.
//
// # What is not seen at level exact
//
// Packets that are not IP; messages that are shorter than any of WireGuard's, or for a
// session that is no more; packets that wait for a handshake and are discarded. A message is
// seen as it is decrypted, which under load is later than it came in.
//
// # What is needed
//
// A kernel from 5.11 on that describes the types of its modules, and has fentry; CAP_BPF and
// CAP_PERFMON and, to find the module's types, CAP_SYS_ADMIN in the initial user
// namespace. [Possible] says what lacks. Of keys the programs read public ones alone. Level
// capture takes CAP_NET_RAW.
package kernelwg
