//go:build linux

package faults

import (
	"encoding/binary"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"

	"github.com/wgnode/wgnode/node/lab/sitetest"
	"github.com/wgnode/wgnode/probe/diagnose"
)

// faultsOfFullTable are those of a full connection tracking table of H. How large it may be is
// a setting of the whole machine, so the table is filled.
func faultsOfFullTable() []fault {
	return []fault{{code: diagnose.ForwardFirewall, how: "the connection tracking table is full", side: "B", at: "B5", only: 4, quiet: true,
		first: diagnose.ForwardFirewall, says: "the full connection tracking table",
		setup: func(s *site) {
			// What is tracked is the connections in the tunnel.
			sitetest.NFT(s.H, "prerouting", "iifname wg0 ct state new accept")
			s.H.RunInput("table inet untracked {\n chain in {\n type filter hook prerouting priority raw\n udp dport 51820 notrack\n }\n"+
				" chain out {\n type filter hook output priority raw\n udp sport 51820 notrack\n }\n}\n", "nft", "-f", "-")
		},
		twin: func(s *site) { s.track(tracked(s, "max") - 1000) },
		inject: func(s *site) {
			s.H.Run("conntrack", "-D", "-p", "tcp") // a connection that has ended would make room
			s.track(tracked(s, "max"))
		}}}
}

// tracked is how many connections H tracks ("count"), or may ("max").
func tracked(s *site, which string) (n int) {
	s.T.Helper()
	err := s.H.Do(func() error {
		b, err := os.ReadFile("/proc/sys/net/netfilter/nf_conntrack_" + which)
		if err == nil {
			n, err = strconv.Atoi(strings.TrimSpace(string(b)))
		}
		return err
	})
	if err != nil {
		s.T.Fatal(err)
	}
	return n
}

// track fills the table of H with connections that give way to no other, up to so many.
func (s *site) track(upTo int) {
	s.T.Helper()
	var c *netlink.Conn
	err := s.H.Do(func() (err error) {
		c, err = netlink.Dial(unix.NETLINK_NETFILTER, nil)
		return err
	})
	if err != nil {
		s.T.Fatal(err)
	}
	defer c.Close()
	const batch = 400
	messages := make([]netlink.Message, batch)
	for next := 0; ; next += batch {
		now := tracked(s, "count")
		if now >= upTo {
			return
		}
		if next > 2*upTo {
			s.T.Fatalf("%d connections are tracked, and there is no room for %d", now, upTo)
		}
		some := messages[:min(batch, upTo-now)]
		for i := range some {
			some[i] = connection(s, next+i+upTo*7)
		}
		if _, err := c.SendMessages(some); err != nil {
			s.T.Fatalf("track connections: %v", err)
		}
	}
}

// connection is the message that has the kernel track one of UDP, of a number.
func connection(s *site, n int) netlink.Message {
	const (
		tupleOrig, tupleReply, status, timeout = 1, 2, 3, 7 // CTA_
		replied, assured, confirmed            = 1 << 1, 1 << 2, 1 << 3
	)
	src, dst := make([]byte, 4), []byte{198, 18, 0, 1}
	binary.BigEndian.PutUint32(src, 100<<24|64<<16|uint32(n)) // of 100.64.0.0/10 and on
	e := netlink.NewAttributeEncoder()
	e.ByteOrder = binary.BigEndian
	tuple := func(typ uint16, src, dst []byte, sport, dport uint16) {
		e.Nested(typ, func(e *netlink.AttributeEncoder) error {
			e.ByteOrder = binary.BigEndian
			e.Nested(1, func(e *netlink.AttributeEncoder) error { // CTA_TUPLE_IP
				e.Bytes(1, src)
				e.Bytes(2, dst)
				return nil
			})
			e.Nested(2, func(e *netlink.AttributeEncoder) error { // CTA_TUPLE_PROTO
				e.ByteOrder = binary.BigEndian
				e.Uint8(1, unix.IPPROTO_UDP)
				e.Uint16(2, sport)
				e.Uint16(3, dport)
				return nil
			})
			return nil
		})
	}
	tuple(tupleOrig, src, dst, 7, 9)
	tuple(tupleReply, dst, src, 9, 7)
	e.Uint32(status, replied|assured|confirmed)
	e.Uint32(timeout, uint32(time.Hour/time.Second))
	attrs, err := e.Encode()
	if err != nil {
		s.T.Fatal(err)
	}
	return netlink.Message{
		Header: netlink.Header{Type: unix.NFNL_SUBSYS_CTNETLINK << 8, Flags: netlink.Request | netlink.Create | netlink.Excl},
		Data:   append([]byte{unix.AF_INET, unix.NFNETLINK_V0, 0, 0}, attrs...),
	}
}
