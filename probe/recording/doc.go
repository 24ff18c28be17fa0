// Package recording keeps events, and the packets that they are about, in files.
//
// A recording is a pcapng file (draft-ietf-opsawg-pcapng), so that Wireshark,
// tshark and tcpdump open it. It has three interfaces of link type raw IP:
//
//	0  NAME wire    encrypted datagrams, with IP and UDP header made from the event
//	1  NAME         packets inside the tunnel
//	2  NAME notes   what is no packet of its own: what the device or the kernel says
//
// Each packet is an Enhanced Packet Block with a comment, which says the tags to
// people, and a custom option, which holds the [probe.Event] without loss. A note
// has the form of an IPv6 packet without content (next header 59), so that every
// tool shows its comment at the right place. Times are nanoseconds.
//
// # Custom options
//
// All have code 2989: binary, and copied by tools that write the file again, so
// that a recording survives being filtered by tshark or cut by editcap. Blocks and
// options "for local use" do not. Such an option begins with a private enterprise
// number. wgnode has none of its own and uses 32473, which RFC 5612 keeps for
// examples; the magic behind it tells its options from others:
//
//	 0  uint32  32473
//	 4  "wgnode"
//	10  kind    E event, D drop, M part of the Meta, P peer, S statistics, T observations
//	11  flags   of an event: 1 if all of the packet was made, nothing captured
//	12  uint64  the recording's ID, little-endian
//	20  content: the event as probe.Event.AppendBinary writes it, else JSON; of a drop both
//
// The [Meta] is in the section header, in as many options as it needs. A peer that
// is new since then is told in a note of its own before the first packet of it. The
// ID tells packets of one recording from those of another that some tool has put
// into the same file: their peers and sessions must not be mixed up.
//
// # Drops of the kernel
//
// A packet that the kernel of the host has dropped is a note, and no event: a release that knows
// nothing of drops leaves it out, and does not take the packet for one that has passed. Its headers
// are written in the form of an event, at no seam. Beside it is what the kernel says, a [Drop], by
// names: numbers of reasons are those of one kernel. What happens to packets of connections that
// work (copies, what came twice) is left out by whoever records: it says nothing, and under load
// there are thousands a second of it. [Loss] has how many were counted alone.
//
// # Versions
//
// The Meta has the version of the format. A reader reads its own and all before:
//
//	1  observations have no version, and the keys that package evidence gave them then
//	2  observations have a version of their own
//
// Keys may be added to what is JSON, numbers to what an event holds, and kinds of options, without a
// new version: a reader leaves out a key or a kind that it does not know, and keeps a number. What
// changes the meaning of something that is there needs a new one, which an older reader
// refuses. testdata has files of each version.
//
// # What is lost
//
// The option epb_dropcount of a packet counts the events that are known to be
// missing just before it; the interface statistics at the end of the file, which a
// complete recording has, sum that up. [Reader.Loss] tells both.
//
// # Link type
//
// The link type is 12, DLT_RAW, rather than 101, LINKTYPE_RAW: libpcap up to at
// least 1.10 refuses files with several interfaces of type 101, since it compares
// the number in the file with its own. Wireshark knows both, and writes 101.
//
// Reading takes memory for one block, at most 16 MiB, and for the description of at
// most 65,536 peers, whatever a file claims.
package recording
