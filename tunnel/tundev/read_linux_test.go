package tundev

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"syscall"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"
	"golang.zx2c4.com/wireguard/tun"
)

// kernel hands out messages, virtio header included, as readv(2) does.
type kernel struct{ queue [][]byte }

func (k *kernel) readv(_ uintptr, iov []unix.Iovec) (int, syscall.Errno) {
	if len(k.queue) == 0 {
		return 0, unix.EAGAIN
	}
	msg := k.queue[0]
	k.queue = k.queue[1:]
	n := 0
	for _, v := range iov {
		n += copy(unsafe.Slice(v.Base, v.Len), msg[n:])
	}
	return n, 0
}

// read is Device.Read over a kernel of which nothing is to be waited for.
func (r *reader) read(bufs [][]byte, sizes []int, offset int) (int, error) {
	if r.cut.left > 0 {
		if n := r.cut.rest(bufs, sizes, offset); n > 0 {
			return n, nil
		}
	}
	r.bufs, r.sizes, r.offset, r.n, r.err = bufs, sizes, offset, 0, nil
	r.drainInto(0)
	return r.n, r.err
}

// super makes a super packet of the given spec, of which each segment but the
// last has size bytes of payload, and the packets that it stands for.
func super(s spec, size int) (msg []byte, pkts [][]byte) {
	h := header{flags: needsChecksum, gsoSize: uint16(size)}
	whole := s.bytes()
	all, index, flags := s.payload, 0, s.flags
	for rest := all; len(rest) > 0; index++ {
		one := s
		one.payload = rest[:min(size, len(rest))]
		rest = rest[len(one.payload):]
		one.seq, one.id = s.seq+uint32(index*size), s.id+uint16(index)
		if one.flags = flags; len(rest) > 0 {
			one.flags &^= tcpPSH | tcpFIN
		}
		if index > 0 {
			one.flags &^= tcpCWR
		}
		pkts = append(pkts, one.bytes())
	}
	transport := len(whole) - len(s.payload) - tcpLen - len(s.options)
	h.checksumFromStart = tcpChecksum
	switch {
	case s.udp:
		transport = len(whole) - len(s.payload) - udpLen
		h.gsoType, h.checksumFromStart = gsoUDP, udpChecksum
	case s.v6:
		h.gsoType = gsoTCP6
	default:
		h.gsoType = gsoTCP4
	}
	if s.flags&tcpCWR != 0 && !s.udp {
		h.gsoType |= gsoECN
	}
	h.checksumStart = uint16(transport)
	msg = make([]byte, headerLen, headerLen+len(whole))
	h.put(msg)
	return append(msg, whole...), pkts
}

// plain is a message of one packet. The checksum may be left to us.
func plain(s spec, unfinished bool) (msg []byte, pkts [][]byte) {
	pkt := s.bytes()
	msg = make([]byte, headerLen, headerLen+len(pkt))
	if !unfinished {
		return append(msg, pkt...), [][]byte{pkt}
	}
	protocol, at, n := byte(protoTCP), tcpChecksum, tcpLen+len(s.options)+len(s.payload)
	if s.udp {
		protocol, at, n = protoUDP, udpChecksum, udpLen+len(s.payload)
	}
	h := header{flags: needsChecksum, checksumStart: uint16(len(pkt) - n), checksumFromStart: uint16(at)}
	h.put(msg)
	msg = append(msg, pkt...)
	c := ^slowChecksum(s.pseudo(protocol, n))
	msg[headerLen+len(pkt)-n+at], msg[headerLen+len(pkt)-n+at+1] = byte(c>>8), byte(c)
	return msg, [][]byte{pkt}
}

func newBuffers(n int) ([][]byte, []int) {
	bufs := make([][]byte, n)
	for i := range bufs {
		bufs[i] = make([]byte, 65535)
	}
	return bufs, make([]int, n)
}

// TestReadsWhatTheKernelMeans mixes super packets of few shapes, so that guesses
// are right and wrong, with single packets, and reads them with few buffers and
// with many.
func TestReadsWhatTheKernelMeans(t *testing.T) {
	for seed := range sequences() {
		r := rand.New(rand.NewPCG(seed, 3))
		var k kernel
		var want [][]byte
		shapes := []int{1 + r.IntN(1400), 1000, 60000}[:1+r.IntN(3)]
		for range 1 + r.IntN(40) {
			s := spec{v6: r.IntN(3) == 0, udp: r.IntN(3) == 0, ttl: 64, flags: tcpACK, seq: r.Uint32(), id: uint16(r.Uint32()), flow: 3}
			if r.IntN(4) == 0 {
				s.options = make([]byte, 12)
			}
			if s.v6 && r.IntN(4) == 0 {
				s.ext = make([]byte, 8)
			}
			if r.IntN(4) == 0 {
				s.flags = byte(r.Uint32()) | tcpACK
			}
			size := r.IntN(60000)
			single := r.IntN(2) == 0
			if single && r.IntN(2) == 0 {
				size = r.IntN(1400)
			}
			s.payload = make([]byte, size)
			for i := range s.payload {
				s.payload[i] = byte(r.Uint32())
			}
			msg, pkts := plain(s, r.IntN(2) == 0)
			if shape := shapes[r.IntN(len(shapes))]; !single && shape < size && (shape > 50 || size < 4000) {
				msg, pkts = super(s, shape)
			}
			k.queue = append(k.queue, msg)
			want = append(want, pkts...)
		}
		rd := reader{readv: k.readv}
		var got [][]byte
		bufs, sizes := newBuffers(1 + r.IntN(128))
		for {
			n, err := rd.read(bufs, sizes, testOffset)
			if err != nil {
				t.Fatal(err)
			}
			if n == 0 {
				break
			}
			for i := range n {
				got = append(got, bytes.Clone(bufs[i][testOffset:testOffset+sizes[i]]))
			}
		}
		if len(got) != len(want) {
			t.Fatalf("seed %d: %d packets, want %d", seed, len(got), len(want))
		}
		for i := range got {
			if !bytes.Equal(got[i], want[i]) {
				t.Fatalf("seed %d: packet %d of %d bytes is\n%x, want\n%x", seed, i, len(got[i]), got[i][:min(80, len(got[i]))],
					want[i][:min(80, len(want[i]))])
			}
		}
	}
}

// TestReadsOnAfterNonsense: what contradicts itself is dropped with an error at
// which the device goes on, and what was before it and comes after it is read.
func TestReadsOnAfterNonsense(t *testing.T) {
	good := spec{ttl: 64, flags: tcpACK, payload: make([]byte, 3000)}
	msg, pkts := super(good, 1000)
	for name, twist := range map[string]func(h *header, b []byte) []byte{
		"no header":           func(*header, []byte) []byte { return nil },
		"no segment size":     func(h *header, b []byte) []byte { h.gsoSize = 0; return b },
		"no checksum":         func(h *header, b []byte) []byte { h.flags = 0; return b },
		"unknown type":        func(h *header, b []byte) []byte { h.gsoType = 3; return b },
		"other family":        func(h *header, b []byte) []byte { h.gsoType = gsoTCP6; return b },
		"transport behind":    func(h *header, b []byte) []byte { h.checksumStart = 4000; return b },
		"transport before":    func(h *header, b []byte) []byte { h.checksumStart = 10; return b },
		"checksum elsewhere":  func(h *header, b []byte) []byte { h.checksumFromStart = 6; return b },
		"IP version":          func(_ *header, b []byte) []byte { b[0] = 0x55; return b },
		"TCP header too long": func(_ *header, b []byte) []byte { b[32] = 0xf0; return b[:60] },
		"no TCP header":       func(_ *header, b []byte) []byte { b[32] = 0x10; return b },
		"too large":           func(h *header, b []byte) []byte { h.gsoSize = 65535; return b },
		"checksum behind":     func(h *header, b []byte) []byte { h.gsoType, h.checksumStart = 0, 2999+40; return b },
	} {
		bad := bytes.Clone(msg)
		var h header
		h.get(bad)
		body := twist(&h, bad[headerLen:])
		h.put(bad)
		bad = bad[:headerLen+len(body)]
		if body == nil {
			bad = bad[:4]
		}
		k := kernel{queue: [][]byte{msg, bad, msg}}
		rd := reader{readv: k.readv}
		bufs, sizes := newBuffers(128)
		n, err := rd.read(bufs, sizes, testOffset)
		if n != len(pkts) || !errors.Is(err, tun.ErrTooManySegments) {
			t.Errorf("%s: %d packets, error %v", name, n, err)
		}
		if n, err := rd.read(bufs, sizes, testOffset); n != len(pkts) || err != nil {
			t.Errorf("%s: then %d packets, error %v", name, n, err)
		}
	}
}

// FuzzRead has the kernel say anything.
func FuzzRead(f *testing.F) {
	for _, s := range []spec{
		{ttl: 64, flags: tcpACK, payload: make([]byte, 300)}, {v6: true, udp: true, payload: make([]byte, 300)},
	} {
		msg, _ := super(s, 100)
		f.Add(append(append(bytes.Clone(msg), msg...), msg...), uint16(len(msg)), byte(3))
		msg, _ = plain(s, true)
		f.Add(msg, uint16(len(msg)), byte(1))
	}
	bufs, sizes := newBuffers(8)
	f.Fuzz(func(t *testing.T, stream []byte, length uint16, buffers byte) {
		var k kernel
		for len(stream) > 0 {
			n := min(int(length)+1, len(stream))
			k.queue = append(k.queue, stream[:n])
			stream = stream[n:]
		}
		rd := reader{readv: k.readv}
		use := bufs[:1+buffers%8]
		for limit := 70000; len(k.queue) > 0 || rd.cut.left > 0; limit-- {
			n, err := rd.read(use, sizes, testOffset)
			if n == 0 && err == nil || limit == 0 {
				t.Fatalf("read %d packets and no end, %d left", n, rd.cut.left)
			}
			if err != nil && !errors.Is(err, tun.ErrTooManySegments) {
				t.Fatal(err)
			}
			for i := range n {
				if sizes[i] < 0 || sizes[i] > 65535-testOffset {
					t.Fatalf("packet of %d bytes", sizes[i])
				}
			}
		}
	})
}

func TestReadDoesNotAllocate(t *testing.T) {
	msg, pkts := super(spec{ttl: 64, flags: tcpACK, options: make([]byte, 12), payload: make([]byte, 60000)}, 1360)
	var k kernel
	rd := reader{readv: k.readv}
	bufs, sizes := newBuffers(128)
	queue := [][]byte{msg}
	if n := testing.AllocsPerRun(100, func() {
		k.queue = queue
		if n, err := rd.read(bufs, sizes, testOffset); n != len(pkts) || err != nil {
			t.Fatalf("%d packets, error %v", n, err)
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
	var j joiner
	j.joins = joins{true, true}
	var headers []byte
	joinBufs := inBuffers(pkts)
	if n := testing.AllocsPerRun(100, func() {
		j.sort(joinBufs, testOffset)
		headers = j.groups[0].appendHeaders(headers[:0], joinBufs[0][testOffset:])
	}); n != 0 {
		t.Errorf("%v allocations to join", n)
	}
}
