//go:build linux

package explain

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"time"

	"golang.org/x/net/icmp"
	"golang.org/x/net/ipv4"
	"golang.org/x/net/ipv6"
	"golang.org/x/sys/unix"

	"github.com/wgnode/wgnode/node/internal/socket"
	"github.com/wgnode/wgnode/probe"
	"github.com/wgnode/wgnode/probe/diagnose"
	"github.com/wgnode/wgnode/probe/host/routing"
)

const (
	// sizeStep is how exactly the largest packet is found, in bytes.
	sizeStep = 4
	// leastSize4 and leastSize6 are what every IPv4 host takes (RFC 791), and every IPv6
	// link (RFC 8200).
	leastSize4, leastSize6 = 576, 1280
	// greatestSize is that of the largest IP packet.
	greatestSize = 1<<16 - 1
	// smallSize is one that no path is too narrow for.
	smallSize = 64
	// sizeTries is how often a size is tried: one packet may be lost for other
	// reasons.
	sizeTries = 2
	// controls is how often a size is tried again after which a small packet was not answered
	// either.
	controls = 3
	// leastPatience is how long an answer is awaited at least, and firstPatience the first at
	// most: the flow's own may have waited for the tunnel.
	leastPatience = 250 * time.Millisecond
	firstPatience = 3 * time.Second
	// sizeTime bounds the whole measurement, or that many times the patience where the way is
	// long: a search may meet ten sizes that are not answered, each tried twice.
	sizeTime     = 12 * time.Second
	sizePatience = 36
)

// measure finds the largest packet that gets through to the target and back.
// It asks by ICMP echo: the answer is as large as the question.
func (x *explanation) measure(ctx context.Context) *diagnose.PathMTU {
	target := x.flow.Target.Addr()
	m := &diagnose.PathMTU{To: target}
	l, err := routing.TakeLink(x.Interface)
	if err == nil && l == nil {
		err = errors.New("it is gone")
	}
	if err != nil {
		m.Untested = fmt.Sprintf("the MTU of %s: %v", x.Interface, err)
		return m
	}
	m.Link = min(l.MTU, greatestSize)
	s, err := newSizer(target)
	if err != nil {
		m.Untested = err.Error()
		return m
	}
	defer s.close()
	s.patience = min(max(leastPatience, 4*x.flow.Probe.Took), firstPatience)
	began := time.Now()
	if !s.echo(ctx, smallSize) {
		m.Untested = noEchoes
		return m
	}
	s.patience = max(leastPatience, 4*s.took)
	ctx, cancel := context.WithTimeout(ctx, max(sizeTime, sizePatience*s.patience))
	defer cancel()
	least := leastSize4
	if target.Is6() {
		least = leastSize6
	}
	echo := func(size int) bool { return s.echo(ctx, size) }
	if m.Largest, m.Untested = largest(min(least, m.Link), m.Link, echo); ctx.Err() != nil {
		m.Largest, m.Untested = 0, fmt.Sprintf("%v did not suffice", time.Since(began).Round(time.Second))
	}
	if m.Untested == "" && m.Largest < m.Link {
		m.ToldBy, m.Told = s.toldBy, s.told
		m.Forth = s.oneWay(ctx, m.Link)
	}
	return m
}

// Why it is not known which sizes get through.
const (
	noEchoes   = "the destination does not answer ICMP echo"
	lostEchoes = "the destination stopped answering ICMP echo meanwhile"
)

// largest finds the size of the largest packet up to the greatest that is answered, in
// steps of sizeStep. least is a size below which nothing is expected; smallSize is one that was
// answered. It returns why it could not, "" if it could.
//
// What is not answered is too large only if a small packet is answered right after it: a tunnel
// may recover, and a host answers so many echoes a second. A few losses must not pass for a limit
// either. So the size above what was found is tried once more, and in the end the greatest, which is
// what a verdict is about.
func largest(least, greatest int, answered func(size int) bool) (size int, untested string) {
	passes := func(size int) bool {
		for range controls {
			if answered(size) {
				return true
			}
			if answered(smallSize) {
				return false
			}
		}
		untested = lostEchoes
		return false
	}
	if passes(greatest) {
		return greatest, ""
	}
	size = min(smallSize, least)
	if passes(least) {
		size = least
	}
	for fails := greatest; fails > size && untested == ""; {
		for fails-size > sizeStep && untested == "" {
			middle := size + (fails-size)/(2*sizeStep)*sizeStep
			if middle == size {
				middle += sizeStep
			}
			if passes(middle) {
				size = middle
			} else {
				fails = middle
			}
		}
		if !passes(fails) {
			break
		}
		size, fails = fails, greatest
	}
	if untested == "" && passes(greatest) {
		return greatest, ""
	}
	if untested != "" {
		return 0, untested
	}
	return size, ""
}

// sizer sends packets of exact sizes that nobody may fragment.
type sizer struct {
	to       netip.Addr
	conn     *icmp.PacketConn
	id, seq  int
	patience time.Duration
	took     time.Duration // until the latest answer came
	size     int           // of the packet that was sent last
	toldBy   netip.Addr    // who said that a packet is too big, and what he takes; 0: he did not say
	told     int
}

func newSizer(to netip.Addr) (*sizer, error) {
	network, listen := "ip4:icmp", "0.0.0.0"
	if to.Is6() {
		network, listen = "ip6:ipv6-icmp", "::"
	}
	c, err := icmp.ListenPacket(network, listen)
	if err != nil {
		return nil, fmt.Errorf("open socket for ICMP echo: %w", err)
	}
	s := &sizer{to: to, conn: c, id: int(echoID()), patience: leastPatience}
	if err := socket.DontFragment(socket.Raw(s.conn), to.Is6()); err != nil {
		return nil, errors.Join(err, c.Close())
	}
	return s, nil
}

func (s *sizer) close() { _ = s.conn.Close() } // nothing is awaited any more

const icmpHeader = 8 // bytes of an echo, without its data

func (s *sizer) headers() int {
	if s.to.Is6() {
		return ipv6.HeaderLen + icmpHeader
	}
	return ipv4.HeaderLen + icmpHeader
}

// echo reports whether a packet of size bytes, with its IP header, is answered.
func (s *sizer) echo(ctx context.Context, size int) bool {
	for range sizeTries {
		if ctx.Err() != nil {
			break
		}
		s.seq++
		s.size = size
		var request icmp.Type = ipv4.ICMPTypeEcho
		if s.to.Is6() {
			request = ipv6.ICMPTypeEchoRequest
		}
		msg := icmp.Message{Type: request, Body: &icmp.Echo{ID: s.id, Seq: s.seq, Data: make([]byte, max(size-s.headers(), 0))}}
		b, err := msg.Marshal(nil)
		if err != nil {
			return false
		}
		if _, err := s.conn.WriteTo(b, &net.IPAddr{IP: s.to.AsSlice(), Zone: s.to.Zone()}); err != nil {
			continue // too big for the first link, as a rule
		}
		sent := time.Now()
		if s.await(ctx, s.seq) {
			s.took = time.Since(sent)
			return true
		}
	}
	return false
}

// await reads until the answer comes, or patience ends.
func (s *sizer) await(ctx context.Context, seq int) bool {
	deadline := time.Now().Add(s.patience)
	if d, ok := ctx.Deadline(); ok && d.Before(deadline) {
		deadline = d
	}
	if s.conn.SetReadDeadline(deadline) != nil {
		return false
	}
	proto := probe.ProtoICMP
	var reply icmp.Type = ipv4.ICMPTypeEchoReply
	if s.to.Is6() {
		proto, reply = probe.ProtoICMPv6, ipv6.ICMPTypeEchoReply
	}
	buf := make([]byte, 1<<16)
	for {
		n, from, err := s.conn.ReadFrom(buf)
		if err != nil {
			return false
		}
		m, err := icmp.ParseMessage(proto, buf[:n])
		if err != nil {
			continue
		}
		if e, ok := m.Body.(*icmp.Echo); ok && m.Type == reply && e.ID == s.id && e.Seq == seq && sameHost(from, s.to) {
			return true
		}
		s.note(m, from, buf[:n])
	}
}

// note takes note of who says that a packet to the target is too big.
func (s *sizer) note(m *icmp.Message, from net.Addr, raw []byte) {
	var mtu int
	var quoted []byte
	switch b := m.Body.(type) {
	case *icmp.PacketTooBig:
		mtu, quoted = b.MTU, b.Data
	case *icmp.DstUnreach:
		if m.Type != ipv4.ICMPTypeDestinationUnreachable || m.Code != 4 || len(raw) < icmpHeader {
			return
		}
		mtu, quoted = int(raw[6])<<8|int(raw[7]), b.Data // RFC 1191, section 4
	default:
		return
	}
	if !s.quotes(quoted) || !s.possible(mtu) {
		return
	}
	if ip, ok := from.(*net.IPAddr); ok {
		s.toldBy, _ = netip.AddrFromSlice(ip.IP)
		s.toldBy, s.told = s.toldBy.Unmap(), mtu
	}
}

// quotes reports whether what an ICMP error quotes is an echo of ours: anybody can send one in the name of
// a router, and knows where packets go, but not by what ours are told from others.
func (s *sizer) quotes(b []byte) bool {
	dst, ok := quotedDst(b)
	at, request := ipv6.HeaderLen, byte(ipv6.ICMPTypeEchoRequest)
	if s.to.Is4() {
		request = byte(ipv4.ICMPTypeEcho)
		if len(b) > 0 {
			at = int(b[0]&0x0f) * 4
		}
	}
	if !ok || dst != s.to.WithZone("") || len(b) < at+icmpHeader || b[at] != request {
		return false
	}
	id, seq := int(binary.BigEndian.Uint16(b[at+4:])), int(binary.BigEndian.Uint16(b[at+6:]))
	return id == s.id && seq <= s.seq
}

// possible reports whether a path can be as narrow as a router says: less than the packet, and not
// less than what each link takes. With IPv4 it need not say how narrow (RFC 1191, section 5).
func (s *sizer) possible(mtu int) bool {
	if s.to.Is6() {
		return mtu >= leastSize6 && mtu < s.size
	}
	return mtu == 0 || mtu >= leastLink4 && mtu < s.size
}

// leastLink4 is what every link with IPv4 takes (RFC 791), in bytes.
const leastLink4 = 68

// quotedDst is the destination of a packet that an ICMP error quotes.
func quotedDst(b []byte) (netip.Addr, bool) {
	switch {
	case len(b) >= ipv4.HeaderLen && b[0]>>4 == 4:
		return netip.AddrFrom4([4]byte(b[16:20])), true
	case len(b) >= ipv6.HeaderLen && b[0]>>4 == 6:
		return netip.AddrFrom16([16]byte(b[24:40])), true
	}
	return netip.Addr{}, false
}

// farPort is where nobody listens, as with traceroute(8).
const farPort = 33434

// oneWay reports whether a packet of that size gets there, by the small answer
// to it: a host says that nobody listens at the port. That it does not say so
// proves nothing.
func (s *sizer) oneWay(ctx context.Context, size int) bool {
	network, header := "udp4", ipv4.HeaderLen+8
	if s.to.Is6() {
		network, header = "udp6", ipv6.HeaderLen+8
	}
	var d net.Dialer
	for try := range sizeTries {
		c, err := d.DialContext(ctx, network, netip.AddrPortFrom(s.to, uint16(farPort+try)).String())
		if err != nil {
			return false
		}
		refused := func() bool {
			defer c.Close()
			if socket.DontFragment(c.(*net.UDPConn), s.to.Is6()) != nil || c.SetReadDeadline(time.Now().Add(s.patience)) != nil {
				return false
			}
			if _, err := c.Write(make([]byte, size-header)); err != nil {
				return errors.Is(err, unix.ECONNREFUSED)
			}
			_, err := c.Read(make([]byte, 1))
			return errors.Is(err, unix.ECONNREFUSED)
		}()
		if refused {
			return true
		}
	}
	return false
}
