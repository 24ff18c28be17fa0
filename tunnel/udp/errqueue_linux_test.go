package udp

import (
	"net/netip"
	"testing"

	"golang.org/x/sys/unix"
)

func TestClosedPortIsReported(t *testing.T) {
	for _, family := range families {
		t.Run(family.name, func(t *testing.T) {
			a, b := newNode(t, Options{}), newNode(t, Options{})
			closed := closedPort(t)
			a.mustSend(t, a.endpoint(t, family.addr, closed), []byte("anybody there?"))

			e := a.nextICMP(t)
			addr := netip.MustParseAddr(family.addr)
			if e.Dst != netip.AddrPortFrom(addr, closed) || e.From != addr {
				t.Errorf("got an error about %v from %v, want about %s:%d from %s", e.Dst, e.From, family.addr, closed, family.addr)
			}
			want := [2]uint8{3, 3} // RFC 792: destination unreachable, port unreachable
			if family.name == "v6" {
				want = [2]uint8{1, 4} // RFC 4443
			}
			if got := [2]uint8{e.Type, e.Code}; got != want || e.V6 != addr.Is6() || e.Local || e.Errno != unix.ECONNREFUSED {
				t.Errorf("got %+v, want type and code %v, ECONNREFUSED", e, want)
			}
			if string(e.Data) != "anybody there?" || e.MTU != 0 || e.Time.IsZero() {
				t.Errorf("got %+v, want the datagram's payload, no MTU, a time", e)
			}

			// Both directions go on as if nothing had been.
			a.mustSend(t, a.endpoint(t, family.addr, b.port), []byte("you there?"))
			b.mustSend(t, b.nextPacket(t).ep, []byte("yes"))
			a.expect(t, [][]byte{[]byte("yes")})
		})
	}
}

// Errors about one peer, arriving all the time, must not cost another peer a
// packet, whoever gets to hear of them: the sender or the receiver.
func TestErrorsAboutOnePeerDoNotTouchAnother(t *testing.T) {
	for _, family := range families {
		for _, noOffload := range []bool{false, true} {
			a, b := newNode(t, Options{DisableOffload: noOffload}), newNode(t, Options{})
			dead := a.endpoint(t, family.addr, closedPort(t))
			live := a.endpoint(t, family.addr, b.port)
			packets := numbered(20, func(int) int { return 500 })
			for range 50 {
				if err := a.Send(packets, dead); err != nil {
					t.Fatalf("send to the dead peer: %v", err)
				}
				a.mustSend(t, live, packets...)
				ep := b.expect(t, packets).ep
				b.mustSend(t, ep, packets...)
				a.expect(t, packets)
			}
			if e := a.nextICMP(t); e.Errno != unix.ECONNREFUSED {
				t.Errorf("got %v, want ECONNREFUSED", e.Errno)
			}
		}
	}
}

func TestTooLongAPacketIsReportedOnce(t *testing.T) {
	a := newNode(t, Options{})
	if err := a.Send([][]byte{make([]byte, 65530)}, a.endpoint(t, "127.0.0.1", a.port)); err == nil {
		t.Fatal("a packet of 65530 bytes went out")
	}
	e := a.nextICMP(t)
	if !e.Local || e.Errno != unix.EMSGSIZE || e.MTU == 0 {
		t.Errorf("got %+v, want a local EMSGSIZE with the MTU", e)
	}
	select {
	case e := <-a.icmp:
		t.Errorf("reported again: %+v", e)
	default:
	}
}

func TestReaction(t *testing.T) {
	src := source{addr: netip.MustParseAddr("192.0.2.1")}
	for _, c := range []struct {
		name    string
		errno   unix.Errno
		packets int
		src     source
		tries   int
		queue   drained
		want    reaction
	}{
		{name: "interface without checksums", errno: unix.EIO, packets: 2, src: source{}, queue: drained{}, want: sendAnew},
		{name: "single packet, disk error", errno: unix.EIO, packets: 1, src: source{}, queue: drained{}, want: giveUp},
		{name: "longer than the path's MTU", errno: unix.EINVAL, packets: 2, src: src, queue: drained{}, want: sendAnew},
		{name: "full queue", errno: unix.ENOBUFS, packets: 2, src: source{}, queue: drained{}, want: sendOthers},
		{name: "pending", errno: unix.ECONNREFUSED, packets: 2, src: source{}, queue: drained{entries: 1}, want: sendAgain},
		{name: "pending, another goroutine drained", errno: unix.ECONNREFUSED, packets: 2, src: source{}, queue: drained{}, want: sendAgain},
		{name: "no route", errno: unix.ENETUNREACH, packets: 1, src: source{}, tries: 1, queue: drained{}, want: giveUp},
		{name: "no route from this source", errno: unix.ENETUNREACH, packets: 1, src: src, tries: 1, queue: drained{}, want: sendAnew},
		{name: "errors without end", errno: unix.ECONNREFUSED, packets: 1, src: source{}, tries: maxTries,
			queue: drained{entries: 1}, want: giveUp},
		{name: "too long", errno: unix.EMSGSIZE, packets: 1, src: source{}, queue: drained{entries: 1, local: true}, want: sendOthers},
		{name: "firewall", errno: unix.EPERM, packets: 1, src: src, queue: drained{entries: 1}, want: giveUp},
	} {
		m := &sender{socket: &socket{}, dst: &Endpoint{gen: new(generation)}, src: c.src, segment: true}
		m.ends[0], m.count = c.packets, 1
		m.errno, m.queue = c.errno, c.queue
		if got := m.react(c.tries); got != c.want {
			t.Errorf("%s: got reaction %d, want %d", c.name, got, c.want)
		}
		if off := m.socket.refusesJoined(m.dst, c.src); off != (c.errno == unix.EIO && c.packets > 1) {
			t.Errorf("%s: UDP_SEGMENT turned off from now on: %v", c.name, off)
		}
	}
}
