package tundev

import (
	"bytes"
	"encoding/binary"
	"math/rand/v2"
	"testing"
)

const testOffset = 16

// inBuffers puts packets where the device has them.
func inBuffers(pkts [][]byte) [][]byte {
	bufs := make([][]byte, len(pkts))
	for i, p := range pkts {
		bufs[i] = append(make([]byte, testOffset, 65535), p...)
	}
	return bufs
}

// cutApart makes the packets of a group by way of its super packet.
func cutApart(t testing.TB, j *joiner, g *group, bufs [][]byte) (pkts [][]byte) {
	t.Helper()
	if g.packets == 1 {
		return [][]byte{bufs[g.first][testOffset:]}
	}
	super := g.appendHeaders(nil, bufs[g.first][testOffset:])
	for i := g.first; i >= 0; i = j.next[i] {
		super = append(super, bufs[i][testOffset+g.layout.headers:]...)
	}
	var h header
	h.get(super)
	super = super[headerLen:]
	if len(super) > 65575 || len(super) != g.size {
		t.Fatalf("super packet of %d bytes, said to be %d", len(super), g.size)
	}
	s, err := shapeOf(&h, super)
	if err != nil {
		t.Fatal(err)
	}
	var c cutter
	c.start(s, &h, super, len(super))
	c.payload = super[s.headers:]
	for c.left > 0 {
		out := make([]byte, 65535)
		pkts = append(pkts, out[:c.next(out)])
	}
	return pkts
}

// sameButAtomicID reports whether a and b are equal, or differ only in the
// identification, and so the checksum, of an IPv4 header that forbids
// fragmentation.
func sameButAtomicID(a, b []byte) bool {
	if bytes.Equal(a, b) {
		return true
	}
	if len(a) != len(b) || len(a) < 20 || a[0]>>4 != 4 || a[6]&0x40 == 0 {
		return false
	}
	a, b = bytes.Clone(a), bytes.Clone(b)
	for _, p := range [][]byte{a, b} {
		if slowChecksum(p[:20]) != 0 {
			return false
		}
		p[4], p[5], p[10], p[11] = 0, 0, 0, 0
	}
	return bytes.Equal(a, b)
}

// checkJoined sorts packets into groups and looks whether cutting these up gives
// the same packets again. It returns how many are in super packets.
func checkJoined(t testing.TB, j *joiner, pkts [][]byte) (joined int) {
	t.Helper()
	bufs := inBuffers(pkts)
	j.sort(bufs, testOffset)
	seen, latest := make([]bool, len(pkts)), make(map[string]int)
	for i := range j.groups {
		g := &j.groups[i]
		if g.packets > 1 {
			joined += int(g.packets)
		}
		apart := cutApart(t, j, g, bufs)
		if len(apart) != int(g.packets) {
			t.Fatalf("super packet of %d packets has %d segments", g.packets, len(apart))
		}
		n := 0
		for p := int(g.first); p >= 0; p, n = int(j.next[p]), n+1 {
			if seen[p] {
				t.Fatalf("packet %d is in two groups", p)
			}
			seen[p] = true
			if !sameButAtomicID(pkts[p], apart[n]) {
				t.Fatalf("packet %d of %d bytes\n%x became\n%x", p, len(pkts[p]), pkts[p][:min(80, len(pkts[p]))], apart[n][:min(80, len(apart[n]))])
			}
			if f := addresses(pkts[p]); f != "" {
				if last, ok := latest[f]; ok && last > p {
					t.Fatalf("packet %d overtakes %d of the same addresses", last, p)
				}
				latest[f] = p
			}
		}
		if n != int(g.packets) {
			t.Fatalf("group of %d packets has %d", g.packets, n)
		}
	}
	for p := range seen {
		if !seen[p] {
			t.Fatalf("packet %d is lost", p)
		}
		if !bytes.Equal(bufs[p][testOffset:], pkts[p]) {
			t.Fatalf("packet %d was changed in its buffer", p)
		}
	}
	return joined
}

func addresses(pkt []byte) string {
	switch {
	case len(pkt) >= 20 && pkt[0]>>4 == 4:
		return string(pkt[12:20])
	case len(pkt) >= 40 && pkt[0]>>4 == 6:
		return string(pkt[8:40])
	}
	return ""
}

// sequences is how many random ones a test tries.
func sequences() uint64 {
	if testing.Short() {
		return 16
	}
	return 80
}

func TestWhatIsJoinedCanBeCutApart(t *testing.T) {
	var j joiner
	total, joined := 0, 0
	for seed := range sequences() {
		mtu := []int{1280, 1420, 9000, 60000}[seed%4]
		gen := newTraffic(seed, mtu)
		pkts := make([][]byte, 1+gen.IntN(128))
		for i := range pkts {
			pkts[i] = gen.next()
		}
		j.joins = joins{tcp: seed%16 != 5, udp: seed%8 != 5}
		joined += checkJoined(t, &j, pkts)
		total += len(pkts)
	}
	if joined < total/4 {
		t.Errorf("%d of %d packets were joined", joined, total)
	}
}

// TestJoinsBulk: what a transfer sends must become few super packets.
func TestJoinsBulk(t *testing.T) {
	for _, base := range []spec{
		{}, {df: true}, {v6: true}, {udp: true}, {v6: true, udp: true},
		{options: make([]byte, 12)}, {flags: tcpECE}, {tos: 3}, {v6: true, label: 77},
	} {
		base.ttl, base.flags = 64, base.flags|tcpACK
		var pkts [][]byte
		for i := range 45 {
			s := base
			s.seq, s.id, s.payload = uint32(i*1000), uint16(i), bytes.Repeat([]byte{byte(i)}, 1000)
			if i == 44 {
				s.flags |= tcpPSH
			}
			pkts = append(pkts, s.bytes())
		}
		j := joiner{joins: joins{true, true}}
		checkJoined(t, &j, pkts)
		if len(j.groups) != 1 {
			t.Errorf("%+v: %d super packets", base, len(j.groups))
		}
	}
}

// TestJoinsNoOther: one thing about the second of two packets says that they do
// not belong together.
func TestJoinsNoOther(t *testing.T) {
	for name, twist := range map[string]func(a, b *spec){
		"ECN":                 func(_, b *spec) { b.tos = 3 },
		"hop limit":           func(_, b *spec) { b.ttl-- },
		"flow label":          func(_, b *spec) { b.v6 = true; b.label = 1 },
		"don't fragment":      func(_, b *spec) { b.df = true },
		"identification":      func(_, b *spec) { b.id = 5 },
		"fragment":            func(_, b *spec) { b.fragment = 0x2000 },
		"acknowledgement":     func(_, b *spec) { b.ack = 1 },
		"window":              func(_, b *spec) { b.window = 1 },
		"gap":                 func(_, b *spec) { b.seq++ },
		"options":             func(a, b *spec) { a.options, b.options = make([]byte, 4), []byte{1, 1, 1, 1} },
		"more options":        func(_, b *spec) { b.options = make([]byte, 4) },
		"CWR":                 func(_, b *spec) { b.flags |= tcpCWR },
		"ECE":                 func(_, b *spec) { b.flags |= tcpECE },
		"SYN":                 func(_, b *spec) { b.flags |= tcpSYN },
		"RST":                 func(_, b *spec) { b.flags |= tcpRST },
		"URG":                 func(_, b *spec) { b.flags |= tcpURG },
		"no ACK":              func(a, b *spec) { a.flags, b.flags = 0, 0 },
		"PSH before":          func(a, _ *spec) { a.flags |= tcpPSH },
		"FIN before":          func(a, _ *spec) { a.flags |= tcpFIN },
		"longer":              func(_, b *spec) { b.payload = make([]byte, 101) },
		"empty":               func(_, b *spec) { b.payload = nil },
		"corrupt":             func(_, b *spec) { b.corrupt = 1 },
		"corrupt before":      func(a, _ *spec) { a.corrupt = 1 },
		"corrupt IP":          func(_, b *spec) { b.corrupt = 2 },
		"corrupt IP before":   func(a, _ *spec) { a.corrupt = 2 },
		"no checksum":         func(a, b *spec) { a.udp, b.udp = true, true; b.corrupt = 3 },
		"another flow":        func(_, b *spec) { b.flow = 2 },
		"another protocol":    func(_, b *spec) { b.udp = true },
		"extension header":    func(a, b *spec) { a.v6, b.v6 = true, true; b.ext = make([]byte, 8) },
		"no coalescing of v4": func(a, _ *spec) { a.v6 = true },
	} {
		a := spec{ttl: 64, flags: tcpACK, payload: make([]byte, 100)}
		b := spec{ttl: 64, flags: tcpACK, payload: make([]byte, 100), seq: 100, id: 1}
		twist(&a, &b)
		j := joiner{joins: joins{true, true}}
		if joined := checkJoined(t, &j, [][]byte{a.bytes(), b.bytes()}); joined != 0 {
			t.Errorf("%s: joined", name)
		}
	}
}

func TestChecksum(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	b := make([]byte, 2000)
	for range 2000 {
		b = b[:r.IntN(2000)]
		for i := range b {
			b[i] = byte(r.Uint32() | r.Uint32() | r.Uint32()) // much carrying
		}
		split := r.IntN(len(b)+1) &^ 1
		var got [2]byte
		putChecksum(got[:], sum(0).add(b[:split]).add(b[split:]).addWord(0x1234), false)
		want := slowChecksum(append(bytes.Clone(b[:len(b):len(b)]), make([]byte, len(b)%2)...))
		want = slowChecksum([]byte{byte(^want >> 8), byte(^want), 0x12, 0x34})
		if g := binary.BigEndian.Uint16(got[:]); g != want && g+want != 0xffff {
			t.Fatalf("%d bytes: checksum %#x, want %#x", len(b), g, want)
		}
		b = b[:cap(b)]
	}
}

// FuzzJoin joins whatever is no packet at all.
func FuzzJoin(f *testing.F) {
	for seed := range uint64(4) {
		gen := newTraffic(seed, 300)
		var all []byte
		for range 8 {
			p := gen.next()
			all = append(all, byte(len(p)>>8), byte(len(p)))
			all = append(all, p...)
		}
		f.Add(all)
	}
	f.Fuzz(func(t *testing.T, all []byte) {
		var pkts [][]byte
		for len(all) > 2 && len(pkts) < 128 {
			n := min(int(all[0])<<8|int(all[1]), len(all)-2)
			pkts = append(pkts, all[2:2+n])
			all = all[2+n:]
		}
		checkJoined(t, &joiner{joins: joins{true, true}}, pkts)
	})
}
