//go:build linux

package kernelwg

import (
	"encoding/binary"
	"net/netip"
	"slices"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/wgnode/wgnode/probe"
	"github.com/wgnode/wgnode/probe/key"
)

// made is a record that a test makes.
type made struct{ raw }

func newRecord(w what, at time.Duration) *made {
	m := &made{make(raw, recordLen)}
	m.put64(atTime, uint64(at))
	m.put32(atWhat, uint32(w))
	return m
}

func (m *made) put32(at int, v uint32) *made {
	binary.NativeEndian.PutUint32(m.raw[at:], v)
	return m
}

func (m *made) put64(at int, v uint64) *made {
	binary.NativeEndian.PutUint64(m.raw[at:], v)
	return m
}

// of makes it one of the peer with a number.
func (m *made) of(peer byte) *made {
	m.put64(atPeer, uint64(peer))
	k := key.Public{peer}
	copy(m.raw[atKey:], k[:])
	return m
}

func (m *made) at(ep string) *made {
	a := netip.MustParseAddrPort(ep)
	binary.NativeEndian.PutUint16(m.raw[atEndpoint:], unix.AF_INET)
	binary.BigEndian.PutUint16(m.raw[atEndpoint+2:], a.Port())
	copy(m.raw[atEndpoint+4:], a.Addr().AsSlice())
	return m
}

func (m *made) with(b []byte) *made {
	copy(m.raw[atHeader:], b[:min(len(b), header)])
	return m.put32(atLength, uint32(len(b))).put32(atLinear, uint32(len(b)))
}

func (m *made) numbered(index uint32, counter uint64) *made {
	binary.LittleEndian.PutUint32(m.raw[atIndex:], index)
	return m.put64(atCounter, counter)
}

// datagram is an IPv4 packet with a UDP datagram and n bytes in it.
func datagram(src, dst string, n int) []byte {
	b := make([]byte, 28+n)
	b[0], b[9] = 0x45, probe.ProtoUDP
	binary.BigEndian.PutUint16(b[2:], uint16(len(b)))
	copy(b[12:], netip.MustParseAddr(src).AsSlice())
	copy(b[16:], netip.MustParseAddr(dst).AsSlice())
	binary.BigEndian.PutUint16(b[20:], 1000)
	binary.BigEndian.PutUint16(b[22:], 53)
	return b
}

// data is a data message with n encrypted bytes.
func data(index uint32, counter uint64, n int) []byte {
	b := make([]byte, 32+n)
	b[0] = probe.TypeData
	binary.LittleEndian.PutUint32(b[4:], index)
	binary.LittleEndian.PutUint64(b[8:], counter)
	return b
}

type translation struct {
	*translator
	t *testing.T
}

func newTranslation(t *testing.T) *translation {
	rec, err := probe.NewRecorder(probe.MinRecorderBytes)
	if err != nil {
		t.Fatal(err)
	}
	return &translation{newTranslator(log{Recorder: rec}, probe.NewFlows(64)), t}
}

// events are those of all lanes.
func (t *translation) events() (all []probe.Event) {
	for lane := probe.LaneTUNRead; lane <= probe.LaneControl; lane++ {
		t.rec.Recorder.Scan(lane, func(e *probe.Event) bool { all = append(all, *e); return true })
	}
	return all
}

// one is the only event that matches.
func (t *translation) one(match func(*probe.Event) bool) probe.Event {
	t.t.Helper()
	all := slices.DeleteFunc(t.events(), func(e probe.Event) bool { return !match(&e) })
	if len(all) != 1 {
		t.t.Fatalf("%d events, want one: %+v", len(all), all)
	}
	return all[0]
}

func atSeam(s probe.Seam) func(*probe.Event) bool {
	return func(e *probe.Event) bool { return e.Seam == s }
}

// What goes into a message is told of it as it is sent, with the packet that it came from.
func TestSent(t *testing.T) {
	tr := newTranslation(t)
	p := datagram("10.7.0.1", "10.7.0.2", 10)
	tr.take(newRecord(routed, 1).of(1).at("192.0.2.2:51820").with(p).put64(atSkb, 77).raw)
	tr.take(newRecord(encrypted, 2).of(1).with(p).numbered(5, 6).put64(atSkb, 77).raw)
	tr.take(newRecord(sent, 3).of(1).at("192.0.2.2:51820").with(data(5, 6, 48)).raw)
	in, out := tr.one(atSeam(probe.SeamTUNRead)), tr.one(atSeam(probe.SeamUDPSend))
	if in.Checkpoint != probe.A1 || in.InnerDstPort != 53 || in.Reason != probe.ReasonNone {
		t.Errorf("entered: %+v", in)
	}
	if out.Checkpoint != probe.A4 || out.Pair != in.Seq || out.Receiver != 5 || out.Counter != 6 || out.InnerLen != 38 ||
		out.OuterLen != 80 || out.Peer != in.Peer || out.OuterDst.Netip() != netip.MustParseAddr("192.0.2.2") {
		t.Errorf("sent: %+v", out)
	}
	// What is in another message is not known.
	tr.take(newRecord(sent, 4).of(1).at("192.0.2.2:51820").with(data(5, 7, 48)).raw)
	other := tr.one(func(e *probe.Event) bool { return e.Seam == probe.SeamUDPSend && e.Counter == 7 })
	if other.InnerLen != 0 || other.Checkpoint != probe.CheckpointNone {
		t.Errorf("sent without content: %+v", other)
	}
}

// A decrypted packet is delivered, or its source is another peer's, or nobody asks for
// its source: then it came before.
func TestReceived(t *testing.T) {
	tr := newTranslation(t)
	for counter, source := range []string{"10.7.0.2", "10.7.0.3", "10.7.0.2"} {
		tr.take(newRecord(decrypted, 1).of(1).at("192.0.2.2:51820").put32(atResult, 1).
			numbered(9, uint64(counter)).with(append(datagram(source, "10.7.0.1", 10), make([]byte, 10)...)).raw)
	}
	tr.take(newRecord(delivered, 2).of(1).at("192.0.2.2:51820").numbered(9, 0).with(datagram("10.7.0.2", "10.7.0.1", 10)).raw)
	tr.take(newRecord(delivered, 2).numbered(9, 1).with(datagram("10.7.0.3", "10.7.0.1", 10)).raw)
	numbered := func(s probe.Seam, counter uint64) probe.Event {
		t.Helper()
		return tr.one(func(e *probe.Event) bool { return e.Seam == s && e.Kind != probe.KindEndpoint && e.Counter == counter })
	}
	for counter, reason := range []probe.Reason{probe.ReasonNone, probe.DisallowedSource} {
		in, out := numbered(probe.SeamUDPReceive, uint64(counter)), numbered(probe.SeamTUNWrite, uint64(counter))
		if in.Checkpoint != probe.B3 || in.InnerLen != 38 || in.OuterLen != 80 || out.Pair != in.Seq || out.Peer != in.Peer ||
			out.Checkpoint != probe.B4 || out.Reason != reason {
			t.Errorf("counter %d: received %+v, delivered %+v", counter, in, out)
		}
	}
	tr.expire(int64(time.Hour))
	if e := numbered(probe.SeamDevice, 2); e.Reason != probe.Replayed || e.Pair != numbered(probe.SeamUDPReceive, 2).Seq {
		t.Errorf("not delivered: %+v", e)
	}
}

// Of two messages with one counter one was replayed, even before the other is delivered.
func TestTwice(t *testing.T) {
	tr := newTranslation(t)
	for range 2 {
		tr.take(newRecord(decrypted, 1).of(1).put32(atResult, 1).numbered(9, 1).with(datagram("10.7.0.2", "10.7.0.1", 1)).raw)
	}
	tr.take(newRecord(delivered, 2).of(1).numbered(9, 1).with(datagram("10.7.0.2", "10.7.0.1", 1)).raw)
	tr.expire(int64(time.Hour))
	if e := tr.one(func(e *probe.Event) bool { return e.Dropped() }); e.Reason != probe.Replayed {
		t.Errorf("dropped: %+v", e)
	}
	tr.one(atSeam(probe.SeamTUNWrite))
}

// Where records were lost nobody says that a packet came before.
func TestLostRecords(t *testing.T) {
	tr := newTranslation(t)
	tr.lost = func() uint64 { return 1 }
	tr.take(newRecord(decrypted, 1).of(1).put32(atResult, 1).numbered(9, 1).with(datagram("10.7.0.2", "10.7.0.1", 1)).raw)
	tr.expire(int64(time.Hour))
	for _, e := range tr.events() {
		if e.Dropped() {
			t.Errorf("dropped: %+v", e)
		}
	}
}

// A message that does not decrypt, and one for which the key is too old.
func TestNotDecrypted(t *testing.T) {
	for reason, content := range map[probe.Reason][]byte{
		probe.AuthenticationFailed: make([]byte, 64),
		probe.ExpiredKey:           data(9, 3, 48),
	} {
		tr := newTranslation(t)
		tr.take(newRecord(decrypted, 1).of(1).numbered(9, 3).with(content).raw)
		if e := tr.one(atSeam(probe.SeamUDPReceive)); e.Reason != reason || e.OuterLen != 80 {
			t.Errorf("%s, want %s: %+v", e.Reason, reason, e)
		}
	}
}

// What becomes of a handshake message the thread that reads it tells, whatever other threads
// do meanwhile.
func TestHandshakes(t *testing.T) {
	initiation := make([]byte, probe.LenInitiation)
	initiation[0] = probe.TypeInitiation
	response := make([]byte, probe.LenResponse)
	response[0] = probe.TypeResponse
	const thread = 8
	by := func(m *made) *made { return m.put32(atThread, thread) }
	for _, test := range []struct {
		name    string
		message []byte
		mac     uint32
		then    []*made
		want    probe.Reason
		peer    byte
	}{
		{"accepted", initiation, macNoCookie, []*made{newRecord(looked, 2).of(3), newRecord(consumed, 3).of(3)}, probe.ReasonNone, 3},
		{"another's key", initiation, macInvalid, nil, probe.InvalidMAC1, 0},
		{"cookie wanted", initiation, macNoCookie | 1<<8, nil, probe.UnderLoad, 0},
		{"too many", initiation, macRateLimited | 1<<8, nil, probe.UnderLoad, 0},
		{"with cookie", initiation, macCookie | 1<<8, []*made{newRecord(consumed, 3).of(3)}, probe.ReasonNone, 3},
		{"does not decrypt", initiation, macNoCookie, []*made{newRecord(consumed, 3)}, probe.InvalidInitiation, 0},
		{"unknown", initiation, macNoCookie, []*made{newRecord(looked, 2).of(3).put64(atPeer, 0), newRecord(consumed, 3)}, probe.UnknownPeer, 0},
		{"refused", initiation, macNoCookie, []*made{newRecord(looked, 2).of(3), newRecord(consumed, 3)}, probe.InitiationRefused, 3},
		{"rejected", response, macNoCookie,
			[]*made{newRecord(indexed, 2).of(3).put32(atResult, initiationSent), newRecord(consumed, 3)}, probe.ResponseRejected, 3},
		{"stale", response, macNoCookie, []*made{newRecord(indexed, 2), newRecord(consumed, 3)}, probe.ResponseStale, 0},
	} {
		t.Run(test.name, func(t *testing.T) {
			tr := newTranslation(t)
			tr.take(by(newRecord(checked, 1).at("192.0.2.9:5").with(test.message).put32(atResult, test.mac)).raw)
			tr.take(newRecord(looked, 1).of(7).put32(atThread, thread+1).raw)
			for _, m := range test.then {
				tr.take(by(m).raw)
			}
			e := tr.one(atSeam(probe.SeamUDPReceive))
			if e.Reason != test.want || tr.peers.Key(e.Peer) != (key.Public{test.peer}) {
				t.Errorf("%s of peer %v, want %s of %d", e.Reason, tr.peers.Key(e.Peer), test.want, test.peer)
			}
			if k, _ := e.StaticKey(); test.want == probe.UnknownPeer && k != (key.Public{3}) {
				t.Errorf("unknown key %v", k)
			}
		})
	}
}

// What waits is bounded: the oldest goes, and what has waited long enough.
func TestWaiting(t *testing.T) {
	var gone []int
	w := newWaiting(3, func(_ int, v int) { gone = append(gone, v) })
	for i := range 5 {
		w.put(i, i*10, int64(i))
	}
	if v, ok := w.take(3); v != 30 || !ok {
		t.Errorf("%d, %v", v, ok)
	}
	if _, ok := w.take(0); ok {
		t.Error("what has gone is there")
	}
	w.put(2, 21, 9) // in place of the one before
	w.until(9)
	if !slices.Equal(gone, []int{0, 10, 40}) || len(w.all) != 1 || len(w.at) != 1 {
		t.Errorf("gone %v, left %v %v", gone, w.all, w.at)
	}
}
