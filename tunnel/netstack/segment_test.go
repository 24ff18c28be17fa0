package netstack

import (
	"bytes"
	"encoding/binary"
	"testing"

	"gvisor.dev/gvisor/pkg/buffer"
	"gvisor.dev/gvisor/pkg/tcpip/checksum"
	"gvisor.dev/gvisor/pkg/tcpip/header"
	"gvisor.dev/gvisor/pkg/tcpip/stack"
)

// packetOf is what a stack sends, with the bytes of b in several pieces.
func packetOf(b []byte, piece int, gso stack.GSO) *stack.PacketBuffer {
	var payload buffer.Buffer
	for len(b) > 0 {
		n := min(max(piece, 1), len(b))
		if err := payload.Append(buffer.NewViewWithData(b[:n])); err != nil {
			panic(err)
		}
		b = b[n:]
	}
	pkt := stack.NewPacketBuffer(stack.PacketBufferOptions{Payload: payload})
	pkt.GSOOptions = gso
	return pkt
}

// segmentOf is a segment of TCP as a stack sends it: headers without checksums.
func segmentOf(six bool, ipOptions, tcpOptions int, seq uint32, flags byte, payload []byte) (b []byte, ip int) {
	ip = ipv4Header + ipOptions
	if six {
		ip = ipv6Header
	}
	b = make([]byte, ip+tcpHeader+tcpOptions, ip+tcpHeader+tcpOptions+len(payload))
	if six {
		b[0], b[6], b[7], b[23], b[39] = 0x60, protoTCP, 64, 1, 2
		binary.BigEndian.PutUint16(b[4:], uint16(len(b)-ip+len(payload)))
	} else {
		b[0], b[8], b[9], b[12], b[16] = 0x40|byte(ip/4), 64, protoTCP, 10, 11
		binary.BigEndian.PutUint16(b[2:], uint16(len(b)+len(payload)))
		binary.BigEndian.PutUint16(b[4:], 0xfffe)
	}
	tcp := b[ip:]
	binary.BigEndian.PutUint16(tcp, 80)
	binary.BigEndian.PutUint16(tcp[2:], 1080)
	binary.BigEndian.PutUint32(tcp[4:], seq)
	tcp[12], tcp[13] = byte((tcpHeader+tcpOptions)/4)<<4, flags
	for i := range tcpOptions {
		tcp[tcpHeader+i] = 1 // no operation
	}
	return append(b, payload...), ip
}

func gsoOf(six bool, ip, mss int) stack.GSO {
	kind := stack.GSOTCPv4
	if six {
		kind = stack.GSOTCPv6
	}
	return stack.GSO{Type: kind, NeedsCsum: true, MSS: uint16(mss), L3HdrLen: uint16(ip)}
}

// handedOut returns copies of all packets that s makes, in a buffer of room bytes.
func handedOut(t *testing.T, s *segments, room int) [][]byte {
	t.Helper()
	var all [][]byte
	buf := make([]byte, room)
	for range 1 << 17 {
		if s.empty() {
			return all
		}
		if n := s.next(buf); n > 0 {
			all = append(all, bytes.Clone(buf[:n]))
		}
	}
	t.Fatal("it does not end")
	return nil
}

// What comes out of a segment is, put together again, what went in: packets that
// a host accepts, none longer than it may be.
func FuzzSegments(f *testing.F) {
	f.Add(false, uint8(0), uint8(12), uint32(0xfffffff0), uint8(tcpPsh|tcpFin|tcpCwr), uint16(1380), uint16(100), make([]byte, 6000))
	f.Add(true, uint8(0), uint8(0), uint32(7), uint8(tcpPsh), uint16(1220), uint16(1220), bytes.Repeat([]byte{0xff}, 4881))
	f.Add(false, uint8(40), uint8(40), uint32(1), uint8(0x10), uint16(1), uint16(3), []byte("payload"))
	f.Add(true, uint8(0), uint8(12), uint32(1), uint8(0x10), uint16(1380), uint16(9), []byte{})
	f.Fuzz(func(t *testing.T, six bool, ipOptions, tcpOptions uint8, seq uint32, flags uint8, mss, piece uint16, payload []byte) {
		if len(payload) > maxSegment-maxHeaders-1 || len(payload)/(int(mss)+1) > 10000 {
			return
		}
		whole, ip := segmentOf(six, int(ipOptions%44)&^3, int(tcpOptions%44)&^3, seq, flags, payload)
		var s segments
		pkt := packetOf(whole, int(piece), gsoOf(six, ip, int(mss)))
		if !s.begin(pkt) {
			pkt.DecRef()
			if mss > 0 && ip+tcpHeader+int(tcpOptions%44)&^3 <= maxHeaders {
				t.Fatal("refused")
			}
			return
		}
		var got []byte
		all := handedOut(t, &s, 65535)
		for i, b := range all {
			tcp := header.TCP(b[ip:])
			body := b[ip+int(tcp.DataOffset()):]
			if len(body) > int(mss) || len(body) == 0 && len(payload) > 0 {
				t.Fatalf("packet %d carries %d bytes", i, len(body))
			}
			if tcp.SequenceNumber() != seq+uint32(len(got)) {
				t.Fatalf("packet %d: sequence number %d", i, tcp.SequenceNumber())
			}
			want := flags
			if i > 0 {
				want &^= tcpCwr
			}
			if i < len(all)-1 {
				want &^= tcpFin | tcpPsh
			}
			if byte(tcp.Flags()) != want {
				t.Fatalf("packet %d of %d: flags %#x, want %#x", i, len(all), tcp.Flags(), want)
			}
			var network header.Network
			if six {
				h := header.IPv6(b)
				if network = h; int(h.PayloadLength()) != len(b)-ip {
					t.Fatalf("packet %d: length %d", i, h.PayloadLength())
				}
			} else {
				h := header.IPv4(b)
				if network = h; !h.IsChecksumValid() || int(h.TotalLength()) != len(b) || h.ID() != uint16(0xfffe+i) {
					t.Fatalf("packet %d: header %x", i, b[:ip])
				}
			}
			if !tcp.IsChecksumValid(network.SourceAddress(), network.DestinationAddress(), checksum.Checksum(body, 0), uint16(len(body))) {
				t.Fatalf("packet %d: the checksum is wrong", i)
			}
			got = append(got, body...)
		}
		if !bytes.Equal(got, payload) {
			t.Fatalf("%d bytes came out of %d", len(got), len(payload))
		}
	})
}

// Whatever a stack says of a packet, nothing is read or written past its end.
func FuzzSegmentsOfAnything(f *testing.F) {
	whole, _ := segmentOf(false, 0, 12, 1, 0x10, make([]byte, 3000))
	f.Add(whole, uint8(1), uint16(1380), uint16(20), uint16(64), uint16(1500))
	f.Add(whole, uint8(2), uint16(0), uint16(40), uint16(1), uint16(60))
	f.Add(whole[:30], uint8(1), uint16(1), uint16(65535), uint16(1), uint16(60))
	f.Add([]byte{}, uint8(0), uint16(0), uint16(0), uint16(0), uint16(0))
	f.Fuzz(func(t *testing.T, b []byte, kind uint8, mss, ip, piece, room uint16) {
		if mss > 0 && len(b)/int(mss) > 10000 {
			return
		}
		pkt := packetOf(b, int(piece), stack.GSO{Type: stack.GSOType(kind % 4), MSS: mss, L3HdrLen: ip})
		var s segments
		if !s.begin(pkt) {
			pkt.DecRef()
			return
		}
		total := 0
		for _, out := range handedOut(t, &s, int(room)) {
			total += len(out)
		}
		if kind%4 == 0 && len(b) <= int(room) && total != len(b) {
			t.Fatalf("%d bytes came out of %d", total, len(b))
		}
	})
}
