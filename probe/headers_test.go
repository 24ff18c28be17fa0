package probe

import (
	"testing"
	"time"
)

func TestHeaderLen(t *testing.T) {
	ip4 := func(proto byte, rest ...byte) []byte {
		b := make([]byte, 20, 200)
		b[0], b[9] = 0x45, proto
		return append(b, rest...)
	}
	ip6 := func(next byte, rest ...byte) []byte {
		b := make([]byte, 40, 200)
		b[0], b[6] = 0x60, next
		return append(b, rest...)
	}
	zero := make([]byte, 64)
	tcp := append([]byte{0, 1, 0, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0x80}, zero...) // 12 bytes of options
	fragment := ip4(ProtoUDP, zero...)
	fragment[7] = 1
	for _, test := range []struct {
		name string
		pkt  []byte
		want int
	}{
		{"nothing", nil, 0},
		{"no IP packet", zero, 0},
		{"tcp", ip4(ProtoTCP, tcp...), 52},
		{"tcp over IPv6", ip6(ProtoTCP, tcp...), 72},
		{"tcp cut off", ip4(ProtoTCP, tcp[:14]...), 34},
		{"udp", ip4(ProtoUDP, zero...), 28},
		{"udp behind an extension header", ip6(0, append([]byte{ProtoUDP, 0, 0, 0, 0, 0, 0, 0}, zero...)...), 56},
		{"a fragment that is not the first", fragment, 20},
		{"echo", ip4(ProtoICMP, append([]byte{8}, zero...)...), 28},
		{"port unreachable", ip4(ProtoICMP, append([]byte{3, 3, 0, 0, 0, 0, 0, 0}, ip4(ProtoUDP, zero...)...)...), 56},
		{"another protocol", ip4(47, zero...), 20},
	} {
		if got := HeaderLen(test.pkt); got != test.want {
			t.Errorf("%s: %d bytes, want %d", test.name, got, test.want)
		}
	}
}

// What a subscription since some time begins with and what it goes on with are
// all events, each once.
func TestSubscribeSince(t *testing.T) {
	r, err := NewRecorder(MinRecorderBytes)
	if err != nil {
		t.Fatal(err)
	}
	stop := make(chan struct{})
	done := make(chan uint64)
	go func() {
		var n uint64
		for {
			select {
			case <-stop:
				done <- n
				return
			default:
				n = r.Record(LaneTUNRead, &Event{Time: time.Now().UnixNano(), Seam: SeamTUNRead, Kind: KindInner})
				time.Sleep(10 * time.Microsecond)
			}
		}
	}()
	for r.Recorded() < 100 {
		time.Sleep(time.Millisecond)
	}
	past, lost, s := r.SubscribeSince(time.Time{}, nil)
	defer s.Close()
	seen := uint64(0)
	for i := range past {
		if seen++; past[i].Seq != seen {
			t.Fatalf("event %d comes as number %d", past[i].Seq, seen)
		}
	}
	close(stop)
	n := <-done
	if len(past) == 0 || lost != 0 {
		t.Fatalf("%d events of the past, %d lost", len(past), lost)
	}
	buf := make([]Event, 100)
	for seen < n {
		got, err := s.Read(t.Context(), buf)
		if err != nil {
			t.Fatal(err)
		}
		for i := range buf[:got] {
			if seen++; buf[i].Seq != seen {
				t.Fatalf("event %d comes as number %d", buf[i].Seq, seen)
			}
		}
	}
}
