//go:build linux

package netfilter

import (
	"encoding/binary"
	"fmt"

	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"
)

// nfgenmsg is the length of the header before the attributes of each message:
// family, version, and two bytes of resource id (linux/netfilter/nfnetlink.h).
const nfgenmsg = 4

// dial connects to nfnetlink in the network namespace of the calling thread.
func dial() (*netlink.Conn, error) {
	// The buffer takes the longest event, and what a dump has in one datagram.
	return netlink.Dial(unix.NETLINK_NETFILTER, &netlink.Config{MessageBufferSize: 64 << 10})
}

// request is a message to nf_tables. fill may be nil.
func request(kind int, family uint8, flags netlink.HeaderFlags, fill func(*netlink.AttributeEncoder)) (netlink.Message, error) {
	ae := netlink.NewAttributeEncoder()
	ae.ByteOrder = binary.BigEndian
	if fill != nil {
		fill(ae)
	}
	attrs, err := ae.Encode()
	if err != nil {
		return netlink.Message{}, err
	}
	return netlink.Message{
		Header: netlink.Header{
			Type:  netlink.HeaderType(unix.NFNL_SUBSYS_NFTABLES<<8 | kind),
			Flags: netlink.Request | flags,
		},
		Data: append([]byte{family, unix.NFNETLINK_V0, 0, 0}, attrs...),
	}, nil
}

// transact sends messages as one batch, which takes effect as a whole or not at
// all. After an error c is of no more use: answers may be left in it.
func transact(c *netlink.Conn, batch []netlink.Message) error {
	// One answer is asked for, to the last message. A message that fails is
	// answered unasked, earlier than that.
	batch[len(batch)-1].Header.Flags |= netlink.Acknowledge
	edge := func(kind uint16) netlink.Message {
		return netlink.Message{
			Header: netlink.Header{Type: netlink.HeaderType(kind), Flags: netlink.Request},
			Data:   []byte{unix.AF_UNSPEC, unix.NFNETLINK_V0, 0, unix.NFNL_SUBSYS_NFTABLES},
		}
	}
	all := append([]netlink.Message{edge(unix.NFNL_MSG_BATCH_BEGIN)}, batch...)
	if _, err := c.SendMessages(append(all, edge(unix.NFNL_MSG_BATCH_END))); err != nil {
		return err
	}
	_, err := c.Receive()
	return err
}

// dump calls fn for the attributes of all objects of a kind in a family,
// [unix.NFPROTO_UNSPEC] for all.
func dump(c *netlink.Conn, family uint8, kind int, fill func(*netlink.AttributeEncoder),
	fn func(family uint8, ad *netlink.AttributeDecoder) error) error {
	m, err := request(kind, family, netlink.Dump, fill)
	if err != nil {
		return err
	}
	answers, err := c.Execute(m)
	if err != nil {
		return err
	}
	for _, a := range answers {
		if err := attributes(a.Data, fn); err != nil {
			return err
		}
	}
	return nil
}

// attributes calls fn with the attributes of the body of a message.
func attributes(b []byte, fn func(family uint8, ad *netlink.AttributeDecoder) error) error {
	if len(b) < nfgenmsg {
		return fmt.Errorf("message of %d bytes", len(b))
	}
	ad, err := netlink.NewAttributeDecoder(b[nfgenmsg:])
	if err != nil {
		return err
	}
	ad.ByteOrder = binary.BigEndian
	if err := fn(b[0], ad); err != nil {
		return err
	}
	return ad.Err()
}

// generation returns the number of the ruleset, which changes with it.
func generation(c *netlink.Conn) (uint32, error) {
	m, err := request(unix.NFT_MSG_GETGEN, unix.AF_UNSPEC, 0, nil)
	if err != nil {
		return 0, err
	}
	answers, err := c.Execute(m)
	if err != nil {
		return 0, err
	}
	var gen uint32
	for _, a := range answers {
		err = attributes(a.Data, func(_ uint8, ad *netlink.AttributeDecoder) error {
			for ad.Next() {
				if ad.Type() == unix.NFTA_GEN_ID {
					gen = ad.Uint32()
				}
			}
			return nil
		})
	}
	return gen, err
}

var families = map[uint8]string{unix.NFPROTO_IPV4: "ip", unix.NFPROTO_IPV6: "ip6", unix.NFPROTO_INET: "inet",
	unix.NFPROTO_ARP: "arp", unix.NFPROTO_BRIDGE: "bridge", unix.NFPROTO_NETDEV: "netdev"}

// familyName returns nft's word for the family of a table.
func familyName(f uint8) string {
	if name, ok := families[f]; ok {
		return name
	}
	return fmt.Sprintf("family-%d", f)
}

// familyNumber is the inverse; all families for a name that is none.
func familyNumber(name string) uint8 {
	for f, n := range families {
		if n == name {
			return f
		}
	}
	return unix.NFPROTO_UNSPEC
}
