//go:build linux

package explain

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"syscall"
	"time"

	"golang.org/x/net/icmp"
	"golang.org/x/net/ipv4"
	"golang.org/x/net/ipv6"
	"golang.org/x/sys/unix"

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
	// sizeTries is how often a size is tried: one packet may be lost for other
	// reasons.
	sizeTries = 2
	// leastPatience is how long an answer is awaited at least.
	leastPatience = 250 * time.Millisecond
	// sizeTime bounds the whole measurement, or that many times the patience where the way is
	// long: a search may meet ten sizes that are not answered, each tried twice.
	sizeTime     = 10 * time.Second
	sizePatience = 30
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
	m.Link = l.MTU
	s, err := newSizer(target)
	if err != nil {
		m.Untested = err.Error()
		return m
	}
	defer s.close()
	s.patience = max(leastPatience, 4*x.flow.Probe.Took)
	began := time.Now()
	ctx, cancel := context.WithTimeout(ctx, max(sizeTime, sizePatience*s.patience))
	defer cancel()
	least := leastSize4
	if target.Is6() {
		least = leastSize6
	}
	echo := func(size int) bool { return s.echo(ctx, size) }
	if m.Largest, m.Untested = largest(min(least, l.MTU), l.MTU, echo); ctx.Err() != nil {
		m.Largest, m.Untested = 0, fmt.Sprintf("%v did not suffice", time.Since(began).Round(time.Second))
	}
	if m.Untested == "" && m.Largest < m.Link {
		m.ToldBy, m.Told = s.toldBy, s.told
		m.Forth = s.oneWay(ctx, l.MTU)
	}
	return m
}

// largest finds the size of the largest packet up to the greatest that is answered, in
// steps of sizeStep. least is a size below which nothing is expected. It returns why it
// could not, "" if it could.
//
// A single loss must not pass for a limit, such as while a tunnel recovers. So the size
// above what was found is tried once more, and if nothing as large as the least came back,
// one that did before.
func largest(least, greatest int, answered func(size int) bool) (size int, untested string) {
	small := least / 2
	if !answered(small) {
		return 0, "the destination does not answer ICMP echo"
	}
	if answered(greatest) {
		return greatest, ""
	}
	size = small
	if answered(least) {
		size = least
	}
	for fails := greatest; fails-size > 0; {
		for fails-size > sizeStep {
			middle := size + (fails-size)/(2*sizeStep)*sizeStep
			if middle == size {
				middle += sizeStep
			}
			if answered(middle) {
				size = middle
			} else {
				fails = middle
			}
		}
		if !answered(fails) {
			break
		}
		size, fails = fails, greatest
	}
	if size < least && !answered(small) {
		return 0, "the destination stopped answering ICMP echo meanwhile"
	}
	return size, ""
}

// sizer sends packets of exact sizes that nobody may fragment.
type sizer struct {
	to       netip.Addr
	conn     *icmp.PacketConn
	id, seq  int
	patience time.Duration
	toldBy   netip.Addr // who said that a packet is too big, and what he takes
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
	if err := dontFragment(s.raw(), to.Is6()); err != nil {
		return nil, errors.Join(err, c.Close())
	}
	return s, nil
}

func (s *sizer) close() { _ = s.conn.Close() } // nothing is awaited any more

func (s *sizer) raw() syscall.Conn {
	if p := s.conn.IPv4PacketConn(); p != nil {
		return p.PacketConn.(syscall.Conn)
	}
	return s.conn.IPv6PacketConn().PacketConn.(syscall.Conn)
}

// dontFragment has packets leave whole, whatever the kernel believes of the way
// (IP_PMTUDISC_PROBE in ip(7)).
func dontFragment(c syscall.Conn, v6 bool) error {
	raw, err := c.SyscallConn()
	if err != nil {
		return err
	}
	cerr := raw.Control(func(fd uintptr) {
		if v6 {
			err = unix.SetsockoptInt(int(fd), unix.IPPROTO_IPV6, unix.IPV6_MTU_DISCOVER, unix.IPV6_PMTUDISC_PROBE)
			return
		}
		err = unix.SetsockoptInt(int(fd), unix.IPPROTO_IP, unix.IP_MTU_DISCOVER, unix.IP_PMTUDISC_PROBE)
	})
	return errors.Join(cerr, err)
}

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
		if s.await(ctx, s.seq) {
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
	if dst, ok := quotedDst(quoted); !ok || dst != s.to.WithZone("") {
		return
	}
	if ip, ok := from.(*net.IPAddr); ok {
		s.toldBy, _ = netip.AddrFromSlice(ip.IP)
		s.toldBy, s.told = s.toldBy.Unmap(), mtu
	}
}

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
			if dontFragment(c.(*net.UDPConn), s.to.Is6()) != nil || c.SetReadDeadline(time.Now().Add(s.patience)) != nil {
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
