package udp

import (
	"bytes"
	"encoding/binary"
	"math/rand/v2"
	"net/netip"
	"slices"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"
	"golang.zx2c4.com/wireguard/conn"
)

// fakeKernel does to a receiver what recvmmsg does: it writes messages where
// the receiver has said.
func (r *receiver) fakeKernel(room int, trains []train, data [][]byte) (took int) {
	for i := range r.count {
		r.rewind(i)
	}
	r.count = min(room, len(trains))
	for m := range r.count {
		left := data[m]
		for _, iov := range unsafe.Slice(r.msgs[m].Iov, r.msgs[m].Iovlen) {
			left = left[copy(unsafe.Slice(iov.Base, iov.Len), left):]
		}
		if len(left) > 0 {
			r.msgs[m].Flags = unix.MSG_TRUNC
		}
		r.msgs[m].bytes = uint32(len(data[m]))
		r.names[m].set(netip.MustParseAddrPort("192.0.2.1:1"), 0)
		used := 0
		if trains[m].segment != 0 {
			// The kernel's is an int.
			at, next := r.ctrl[m].add(0, unix.IPPROTO_UDP, unix.UDP_GRO, 4)
			*(*int32)(at) = int32(trains[m].segment)
			used = next
		}
		r.msgs[m].SetControllen(used)
	}
	return r.count
}

// cut is what a plain socket would have received.
func (t train) cut(data []byte) [][]byte {
	if len(data) == 0 {
		return nil
	}
	if t.segment <= 0 {
		return [][]byte{data}
	}
	return slices.Collect(slices.Chunk(data, t.segment))
}

// FuzzScatter lets the kernel join packets in any way, and say of it what it
// likes: what comes out is what the messages held, cut up as was said, whole
// and in order, for any number of buffers.
func FuzzScatter(f *testing.F) {
	f.Add(uint64(1), 128, true, []byte{45, 5, 172, 0, 1, 0, 96, 0, 9, 5, 172, 7})
	f.Add(uint64(2), 128, false, []byte{1, 5, 172, 0, 1, 0, 96, 0})
	f.Add(uint64(3), 10, true, []byte{64, 3, 232, 0, 64, 3, 232, 1, 64, 0, 1, 0})
	f.Add(uint64(4), 128, true, []byte{255, 255, 255, 255, 0, 0, 0, 1})
	seeds := uint64(20)
	if testing.Short() {
		seeds = 2 // nothing here is concurrent
	}
	for seed := range seeds {
		random := rand.New(rand.NewPCG(seed, 0))
		trains := make([]byte, 400)
		for i := range trains {
			trains[i] = byte(random.IntN(256)) >> random.IntN(8)
		}
		f.Add(seed, 1+random.IntN(128), true, trains)
	}
	f.Fuzz(func(t *testing.T, seed uint64, room int, join bool, spec []byte) {
		room = min(max(room, 1), batchSize)
		random := rand.New(rand.NewPCG(seed, 1))
		r := newReceiver(&socket{join: join}, new(generation))
		packets, sizes, eps := make([][]byte, room), make([]int, room), make([]conn.Endpoint, room)
		for i := range packets {
			packets[i] = make([]byte, 1<<16-1)
		}
		var trains []train
		var data [][]byte
		var want, got [][]byte
		for ; len(spec) >= 4 && len(trains) < 300; spec = spec[4:] {
			// Packets, their length, and what is missing of the last.
			n, segment, missing := int(spec[0]), int(binary.BigEndian.Uint16(spec[1:])), int(spec[3])
			length := min(max(n*segment-missing, 0), 1<<16-1)
			tr := train{segment: segment}
			if !join || n == 1 && missing == 0 {
				tr.segment = 0
			}
			message := make([]byte, length)
			for i := range message {
				message[i] = byte(random.Uint32())
			}
			trains, data = append(trains, tr), append(data, message)
			want = append(want, tr.cut(message)...)
		}
		for len(trains) > 0 || !r.rest.empty() {
			n := r.rest.handOut(packets, sizes, eps)
			if n == 0 {
				took := r.fakeKernel(r.point(packets), trains, data)
				trains, data = trains[took:], data[took:]
				n = r.place(packets, sizes, eps)
			}
			for i := range n {
				if sizes[i] > 0 {
					got = append(got, bytes.Clone(packets[i][:sizes[i]]))
				}
			}
		}
		if len(got) != len(want) {
			t.Fatalf("%d packets came out, want %d", len(got), len(want))
		}
		for i := range want {
			if !bytes.Equal(got[i], want[i]) {
				t.Fatalf("packet %d of %d: %d bytes, want %d, or others", i, len(want), len(got[i]), len(want[i]))
			}
		}
	})
}

// What is worth it is not copied: after a few calls each packet is received in
// its buffer.
func TestLayoutLearns(t *testing.T) {
	l := newLayout(true)
	feed := func(calls int, trains ...train) {
		for range calls {
			var s seen
			for _, tr := range trains {
				s.add(tr)
			}
			l.learn(s)
		}
	}
	long := train{bytes: 45 * 1452, segment: 1452}
	acks := train{bytes: 3 * 96, segment: 96}
	lone := train{bytes: 1452, segment: 1452}
	for _, step := range []struct {
		name           string
		calls          int
		trains         []train
		width, segment int
	}{
		{name: "nothing", calls: 5, width: 1, segment: firstSegment},
		{name: "a long train", calls: 1, trains: []train{long}, width: 64, segment: 1452},
		{name: "acknowledgements in between", calls: 3, trains: []train{acks}, width: 64, segment: 1452},
		{name: "both", calls: 1, trains: []train{acks, long}, width: 64, segment: 1452},
		{name: "no long one any more", calls: 100, trains: []train{acks}, width: 4, segment: 96},
		{name: "packets that came alone", calls: 100, trains: []train{lone, lone}, width: 1, segment: 1452},
		{name: "longer ones", calls: 1, trains: []train{{bytes: 2 * 9000, segment: 9000}}, width: 2, segment: 9000},
	} {
		feed(step.calls, step.trains...)
		if l.width != step.width || l.segment != step.segment {
			t.Errorf("%s: width %d, segment %d, want %d, %d", step.name, l.width, l.segment, step.width, step.segment)
		}
	}
}

// Several peers at once, each with packets of its own sizes: none is lost,
// changed, or overtaken by another of the same peer.
func TestPeersMixed(t *testing.T) {
	const peers, rounds = 3, 30
	random := rand.New(rand.NewPCG(7, 7))
	for _, family := range families {
		hub := newNode(t, Options{})
		var spokes [peers]*node
		for i := range spokes {
			spokes[i] = newNode(t, Options{})
		}
		for round := range rounds {
			// A burst of each, and from the hub to each, interleaved.
			sent, total := map[uint16][][]byte{}, 0
			for range 3 {
				for _, s := range spokes {
					sizes := []int{1 + random.IntN(1500), 1 + random.IntN(1500)}
					n := 1 + random.IntN(60)
					burst := numbered(n, func(i int) int { return sizes[i*2/(n+1)%2] })
					s.mustSend(t, s.endpoint(t, family.addr, hub.port), burst...)
					hub.mustSend(t, hub.endpoint(t, family.addr, s.port), burst...)
					sent[s.port] = append(sent[s.port], burst...)
					total += n
				}
			}
			got := map[uint16][][]byte{}
			for range total {
				p := hub.nextPacket(t)
				port := p.ep.(*Endpoint).DstAddrPort().Port()
				got[port] = append(got[port], p.data)
			}
			for _, s := range spokes {
				if !slices.EqualFunc(got[s.port], sent[s.port], bytes.Equal) {
					t.Fatalf("%s, round %d: what the hub got of a peer differs from what that sent", family.name, round)
				}
				s.expect(t, sent[s.port])
			}
		}
	}
}
