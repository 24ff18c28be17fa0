package netstack

import (
	"bytes"
	"encoding/binary"
	"math/rand/v2"
	"testing"

	"gvisor.dev/gvisor/pkg/buffer"
	"gvisor.dev/gvisor/pkg/tcpip/checksum"
	"gvisor.dev/gvisor/pkg/tcpip/header"
)

// packetWithSums is a packet of TCP from port 2000+conn as it comes from a network.
func packetWithSums(six bool, conn byte, seq uint32, flags byte, payload []byte) []byte {
	b, ip := segmentOf(six, 0, 12, seq, flags, payload)
	tcp := b[ip:]
	binary.BigEndian.PutUint16(tcp, 2000+uint16(conn))
	addrs := b[8:40]
	if !six {
		addrs = b[12:20]
		b[6] = 0x40 // do not fragment
		checksum.Put(b[10:], ^checksum.Checksum(b[:ip], 0))
	}
	pseudo := checksum.Combine(checksum.Checksum(addrs, 0), checksum.Combine(protoTCP, uint16(len(tcp))))
	checksum.Put(tcp[16:], ^checksum.Checksum(tcp, pseudo))
	return b
}

// delivered is what a joiner has delivered.
type delivered struct {
	t      *testing.T
	apart  [][]byte   // packets that are to be delivered as they are
	got    [16][]byte // by connection
	gotSeq [16]uint32
}

func (d *delivered) take(v *buffer.View, six, verified bool) {
	defer v.Release()
	b := v.AsSlice()
	if !verified {
		if len(d.apart) == 0 || !bytes.Equal(d.apart[0], b) {
			d.t.Fatalf("%x is delivered apart", b)
		}
		d.apart = d.apart[1:]
		return
	}
	ip := ipv4Header
	if six {
		ip = ipv6Header
	}
	tcp := header.TCP(b[ip:])
	c := tcp.SourcePort() - 2000
	if d.got[c] != nil && tcp.SequenceNumber() != d.gotSeq[c] {
		d.t.Fatalf("connection %d: %d follows %d", c, tcp.SequenceNumber(), d.gotSeq[c])
	}
	body := b[ip+int(tcp.DataOffset()):]
	d.got[c] = append(d.got[c], body...)
	d.gotSeq[c] = tcp.SequenceNumber() + uint32(len(body))
	if length := binary.BigEndian.Uint16(b[2:]); !six && int(length) != len(b) {
		d.t.Fatalf("length %d of %d", length, len(b))
	}
	if length := binary.BigEndian.Uint16(b[4:]); six && int(length) != len(b)-ip {
		d.t.Fatalf("length %d of %d", length, len(b))
	}
}

// What a joiner delivers is, connection by connection, what it was given, in its
// order; and what is damaged, or is no plain data, it leaves alone.
func FuzzJoiner(f *testing.F) {
	f.Add([]byte{0, 200, 0, 0, 200, 0, 0, 200, 0, 1, 90, 0, 0, 17, 1, 0, 200, 0})
	f.Add([]byte{8, 255, 0, 8, 255, 2, 8, 255, 0, 8, 255, 4, 8, 255, 0})
	f.Add(bytes.Repeat([]byte{1, 250, 0, 2, 250, 0, 3, 250, 8, 12, 250, 0}, 30))
	f.Fuzz(func(t *testing.T, script []byte) {
		type stream struct {
			seq  uint32
			data []byte
		}
		var sent [16]stream
		var j joiner
		d := delivered{t: t}
		j.deliver = d.take
		r := rand.New(rand.NewPCG(1, 2))
		for len(script) >= 3 {
			c, n, what := script[0]%16, int(script[1])*6, script[2]%8
			script = script[3:]
			s := &sent[c]
			payload := make([]byte, n)
			for i := range payload {
				payload[i] = byte(r.Uint32())
			}
			flags := byte(tcpAck)
			if what == 1 {
				flags |= tcpPsh
			}
			b := packetWithSums(c >= 8, c, s.seq, flags, payload)
			if what == 2 && n > 0 {
				b[len(b)-1] ^= 1
			}
			if what == 2 || n == 0 {
				d.apart = append(d.apart, b)
			} else {
				s.data = append(s.data, payload...)
				s.seq += uint32(n)
			}
			j.add(b)
			if what == 3 {
				j.flush()
			}
		}
		j.flush()
		if len(d.apart) > 0 {
			t.Fatalf("%d packets are missing", len(d.apart))
		}
		for c := range sent {
			if !bytes.Equal(sent[c].data, d.got[c]) {
				t.Fatalf("connection %d: %d bytes of %d", c, len(d.got[c]), len(sent[c].data))
			}
		}
	})
}

// Nothing that a peer sends does harm.
func FuzzJoinerWithAnything(f *testing.F) {
	whole := packetWithSums(false, 1, 7, tcpAck, []byte("payload"))
	f.Add(whole, uint16(len(whole)))
	f.Add(append(whole, whole[:40]...), uint16(len(whole)))
	f.Add(packetWithSums(true, 1, 7, tcpAck, []byte("payload")), uint16(20))
	f.Fuzz(func(t *testing.T, b []byte, cut uint16) {
		total := 0
		j := joiner{deliver: func(v *buffer.View, _, _ bool) {
			total++
			v.Release()
		}}
		first, second := b[:min(int(cut), len(b))], b[min(int(cut), len(b)):]
		for range 3 {
			for _, b := range [][]byte{first, second} {
				if len(b) > 0 {
					j.add(b)
				}
			}
		}
		j.flush()
		if total == 0 && len(b) > 0 {
			t.Fatal("nothing is delivered")
		}
	})
}

// A batch of one connection's packets becomes one segment; neither that nor a
// batch of segments cut allocates for each packet.
func TestAllocations(t *testing.T) {
	payload := make([]byte, 1368)
	var pkts [][]byte
	for i := range 40 {
		pkts = append(pkts, packetWithSums(false, 1, uint32(i*len(payload)), tcpAck, payload))
	}
	delivered := 0
	j := joiner{deliver: func(v *buffer.View, _, _ bool) {
		delivered++
		v.Release()
	}}
	join := func() {
		for _, b := range pkts {
			j.add(b)
		}
		j.flush()
	}
	join() // its lists grow once
	delivered = 0
	if n := testing.AllocsPerRun(100, join); n > 4 {
		t.Errorf("%v allocations to join %d packets", n, len(pkts))
	}
	if delivered != 101 {
		t.Errorf("%d segments of %d batches", delivered, 101)
	}
	whole, ip := segmentOf(false, 0, 12, 1, tcpAck, make([]byte, 40*len(payload)))
	pkt := packetOf(whole, len(whole), gsoOf(false, ip, len(payload)))
	defer pkt.DecRef()
	var s segments
	out := make([]byte, 2000)
	cut := func() {
		pkt.IncRef()
		if !s.begin(pkt) {
			t.Fatal("refused")
		}
		for !s.empty() {
			s.next(out)
		}
	}
	if n := testing.AllocsPerRun(100, cut); n > 0 {
		t.Errorf("%v allocations to cut a segment", n)
	}
}
