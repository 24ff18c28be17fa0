package probe

import (
	"encoding/binary"
	"testing"
)

// segmentOf is a packet of TCP with the numbers of s and options.
func segmentOf(s Segment, flags byte, options []byte) []byte {
	h := make([]byte, 20, 60)
	binary.BigEndian.PutUint16(h, 40000)
	binary.BigEndian.PutUint16(h[2:], 443)
	binary.BigEndian.PutUint32(h[4:], s.Seq)
	binary.BigEndian.PutUint32(h[8:], s.Ack)
	h[12], h[13] = byte(20+len(options))<<2, flags
	return packet4(here4, there4, ProtoTCP, 0, append(append(h, options...), make([]byte, s.Content)...)...)
}

func times(before []byte, stamp, echo uint32, after ...byte) []byte {
	b := append(before, 8, 10)
	return append(binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint32(b, stamp), echo), after...)
}

func TestSegment(t *testing.T) {
	s := Segment{Seq: 0xfffffffe, Ack: 77, Content: 5, Stamp: 1000, Echo: 900}
	plain, opening := s, s
	plain.Stamp, plain.Echo = 0, 0
	opening.Ack = 0
	for _, c := range []struct {
		name    string
		flags   byte
		options []byte
		want    Segment
		end     uint32
	}{
		{"of an open connection", TCPAck | TCPPsh, times([]byte{1, 1}, 1000, 900), s, 3},
		{"with selective acknowledgements", TCPAck, times([]byte{1, 1}, 1000, 900, 1, 1, 5, 10, 0, 0, 0, 1, 0, 0, 0, 2), s, 3},
		{"opens", TCPSyn, times([]byte{2, 4, 5, 0xb4, 4, 2}, 1000, 900, 1, 3, 3, 7), opening, 4},
		{"ends", TCPFin | TCPAck, times([]byte{1, 1}, 1000, 900), s, 4},
		{"without times", TCPAck, nil, plain, 3},
		{"options end before", TCPAck, times([]byte{0, 0}, 1000, 900), plain, 3},
		{"an option that is cut off", TCPAck, []byte{1, 1, 1, 8}, plain, 3},
		{"an option without length", TCPAck, []byte{8, 0, 0, 0}, plain, 3},
		{"an option that is too long", TCPAck, []byte{1, 2, 40, 0}, plain, 3},
	} {
		e := Event{Kind: KindInner}
		e.DecodeInner(segmentOf(s, c.flags, c.options))
		got, ok := e.Segment()
		if !ok || got != c.want || got.End(&e) != c.end {
			t.Errorf("%s: %+v, %t, end %d, want %+v, %d", c.name, got, ok, got.End(&e), c.want, c.end)
		}
		if _, dst := e.Outer(); dst.IsValid() {
			t.Errorf("%s: an outer address: %s", c.name, dst)
		}
		again := Event{Kind: KindInner, Proto: ProtoTCP, Info: e.Info}
		if again.SetSegment(got); again.OuterDst != e.OuterDst || again.OuterDstPort != e.OuterDstPort || again.Flags != e.Flags {
			t.Errorf("%s: set again it is %+v", c.name, again)
		}
	}
	short := segmentOf(s, TCPAck, nil)[:20+14]
	for _, e := range []Event{{Kind: KindInner}, {Kind: KindData}} {
		if e.DecodeInner(short); e.Flags != 0 {
			t.Errorf("half a header: flags %#x", e.Flags)
		}
		if _, ok := e.Segment(); ok {
			t.Error("an event that says nothing has a segment")
		}
	}
}

func TestAcknowledges(t *testing.T) {
	asked := Segment{Seq: 0xfffffff0, Content: 32, Stamp: 0xffffffff}
	const end = 0x10
	for _, c := range []struct {
		name  string
		s     Segment
		flags uint8
		stamp uint32
		want  bool
	}{
		{"all", Segment{Ack: end, Stamp: 5, Echo: 0xffffffff}, TCPAck, asked.Stamp, true},
		{"and what came later", Segment{Ack: end + 9, Stamp: 5, Echo: 3}, TCPAck, asked.Stamp, true},
		{"all but one byte", Segment{Ack: end - 1, Stamp: 5, Echo: 3}, TCPAck, asked.Stamp, false},
		{"an earlier copy", Segment{Ack: end, Stamp: 5, Echo: 0xfffffff0}, TCPAck, asked.Stamp, false},
		{"no times", Segment{Ack: end}, TCPAck, 0, true},
		{"no times back", Segment{Ack: end}, TCPAck, asked.Stamp, true},
		{"no times forth", Segment{Ack: end, Stamp: 5, Echo: 3}, TCPAck, 0, true},
		{"nothing", Segment{Seq: 1}, 0, 0, false},
	} {
		e := Event{Kind: KindInner, Proto: ProtoTCP, Info: c.flags}
		e.SetSegment(c.s)
		if got, ok := e.Acknowledges(end, c.stamp); got != c.want || !ok {
			t.Errorf("%s: %t, %t", c.name, got, ok)
		}
	}
	old := Event{Kind: KindInner, Proto: ProtoTCP, Info: TCPAck}
	if _, ok := old.Acknowledges(end, 0); ok {
		t.Error("an event without numbers says what it acknowledges")
	}
}

func BenchmarkDecodeInner(b *testing.B) {
	s := Segment{Seq: 1, Ack: 2, Content: 1300}
	for name, p := range map[string][]byte{
		"plain": segmentOf(s, TCPAck, nil), "stamped": segmentOf(s, TCPAck, times([]byte{1, 1}, 1000, 900)),
	} {
		b.Run(name, func(b *testing.B) {
			var e Event
			for b.Loop() {
				e.DecodeInner(p)
			}
		})
	}
}
