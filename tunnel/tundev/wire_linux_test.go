package tundev

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net"

	"golang.org/x/sys/unix"
)

// What the tests outside of this package use of those within.
type Traffic = traffic

func NewTraffic(seed uint64, mtu int, unusual bool) *Traffic {
	t := newTraffic(seed, mtu)
	t.ordinary = !unusual
	return t
}

func Addresses(pkt []byte) string      { return addresses(pkt) }
func SameButAtomicID(a, b []byte) bool { return sameButAtomicID(a, b) }

// Message is next with a virtio header before it, or a super packet.
func (t *traffic) Message() (msg []byte, pkts [][]byte) {
	if t.IntN(8) > 0 {
		pkt := t.next()
		return append(make([]byte, headerLen), pkt...), [][]byte{pkt}
	}
	s := &t.flows[t.IntN(len(t.flows))]
	s.seq += uint32(len(s.payload))
	s.id++
	s.corrupt, s.fragment, s.ext, s.flags = 0, 0, nil, tcpACK
	size := 100 + t.IntN(1000)
	payload := make([]byte, size+1+t.IntN(20*size))
	for i := range payload {
		payload[i] = byte(t.Uint32())
	}
	one := *s
	one.payload = payload
	if !t.ordinary && t.IntN(4) == 0 {
		one.flags |= []byte{tcpPSH, tcpFIN, tcpECE}[t.IntN(3)]
	}
	msg, pkts = super(one, size)
	s.payload = payload // what follows begins behind it
	s.id += uint16(len(pkts) - 1)
	s.seq += uint32(len(payload))
	s.payload = make([]byte, min(size, len(payload)))
	s.seq -= uint32(len(s.payload))
	unfinish(&one, msg)
	return msg, pkts
}

// unfinish leaves in a super packet's checksum what the kernel would.
func unfinish(s *spec, msg []byte) {
	var h header
	h.get(msg)
	t := msg[headerLen+int(h.checksumStart):]
	protocol := byte(protoTCP)
	if s.udp {
		protocol = protoUDP
	}
	h.hdrLen = uint16(len(msg) - headerLen - len(s.payload))
	h.put(msg)
	binary.BigEndian.PutUint16(t[h.checksumFromStart:], ^slowChecksum(s.pseudo(protocol, len(t))))
}

// Wire is a socket that puts packets into an interface as if the host sent
// them, and sees what comes out of it for the host.
type Wire struct {
	fd       int
	index    int
	buf      []byte
	Messages int // super packets and single ones that were received
}

// OpenWire opens it in the network namespace of the calling thread.
func OpenWire(name string) (*Wire, error) {
	i, err := net.InterfaceByName(name)
	if err != nil {
		return nil, err
	}
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	err = errors.Join(
		unix.SetsockoptInt(fd, unix.SOL_PACKET, unix.PACKET_VNET_HDR, 1),
		unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, 64<<20),
		unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &unix.Timeval{Sec: 10}),
		unix.Bind(fd, &unix.SockaddrLinklayer{Protocol: swap(unix.ETH_P_ALL), Ifindex: i.Index}),
	)
	if err != nil {
		return nil, errors.Join(err, unix.Close(fd))
	}
	return &Wire{fd: fd, index: i.Index, buf: make([]byte, 1<<17)}, nil
}

func swap(v uint16) uint16 { return v<<8 | v>>8 }

func (w *Wire) Close() { _ = unix.Close(w.fd) }

// Send sends a packet with a virtio header before it.
func (w *Wire) Send(msg []byte) error {
	proto := uint16(unix.ETH_P_IP)
	if msg[headerLen]>>4 == 6 {
		proto = unix.ETH_P_IPV6
	}
	return unix.Sendto(w.fd, msg, 0, &unix.SockaddrLinklayer{Protocol: swap(proto), Ifindex: w.index})
}

// Receive waits for packets from the hosts that traffic is from.
func (w *Wire) Receive() ([][]byte, error) {
	for {
		n, from, err := unix.Recvfrom(w.fd, w.buf, 0)
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if err != nil {
			return nil, err
		}
		if ll, ok := from.(*unix.SockaddrLinklayer); ok && ll.Pkttype == unix.PACKET_OUTGOING || n < headerLen+20 {
			continue
		}
		var h header
		h.get(w.buf)
		pkt := append([]byte(nil), w.buf[headerLen:n]...)
		if pkt[0]>>4 == 4 && [4]byte(pkt[12:]) != [4]byte{10, 0, 0, 1} || pkt[0]>>4 == 6 && (pkt[8] != 0xfd || pkt[23] != 1) {
			continue // what the host itself has to say
		}
		w.Messages++
		if h.gsoType == gsoNone {
			return [][]byte{pkt}, finishChecksum(&h, pkt)
		}
		s, err := shapeOf(&h, pkt)
		if err != nil {
			return nil, fmt.Errorf("%+v: %w", h, err)
		}
		var c cutter
		c.start(s, &h, pkt, len(pkt))
		c.payload = pkt[s.headers:]
		var pkts [][]byte
		for c.left > 0 {
			out := make([]byte, 65535)
			pkts = append(pkts, out[:c.next(out)])
		}
		return pkts, nil
	}
}
