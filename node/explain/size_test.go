//go:build linux

package explain

import (
	"encoding/binary"
	"net"
	"net/netip"
	"testing"

	"golang.org/x/net/icmp"
	"golang.org/x/net/ipv4"
)

// A path's limit is found to the step, whatever else is lost while it is looked for, and
// is never invented where answers stop.
func TestLargest(t *testing.T) {
	upTo := func(limit int) func(int, int) bool { return func(size, _ int) bool { return size <= limit } }
	for _, c := range []struct {
		name            string
		least, greatest int
		answered        func(size, try int) bool
		want            int
		tested          bool
	}{
		{name: "all", least: 576, greatest: 1420, answered: upTo(1500), want: 1420, tested: true},
		{name: "a limit", least: 576, greatest: 1420, answered: upTo(1232), want: 1232, tested: true},
		{name: "a limit between steps", least: 576, greatest: 1420, answered: upTo(1235), want: 1232, tested: true},
		{name: "a limit of IPv6", least: 1280, greatest: 1420, answered: upTo(1300), want: 1300, tested: true},
		{name: "just below the full size", least: 576, greatest: 1420, answered: upTo(1419), want: 1416, tested: true},
		{name: "a limit below what every path takes", least: 576, greatest: 1420, answered: upTo(400), want: 400, tested: true},
		{name: "an MTU of the least", least: 1280, greatest: 1280, answered: upTo(1280), want: 1280, tested: true},
		{name: "no answers any more", least: 576, greatest: 1420, answered: upTo(0)},
		{name: "answers stop", least: 576, greatest: 1420, answered: func(size, try int) bool { return size <= 1232 && try < 6 }},
		{name: "the tunnel recovers", least: 576, greatest: 1420, answered: func(_, try int) bool { return try > 4 }, want: 1420, tested: true},
		{name: "it does not", least: 576, greatest: 1420, answered: func(_, try int) bool { return try > 9 }},
		{name: "one more is lost", least: 576, greatest: 1420, answered: func(size, try int) bool { return try != 5 && size <= 1232 }, want: 1232,
			tested: true},
		{name: "another is lost", least: 576, greatest: 1420, answered: func(size, try int) bool { return try != 4 && size <= 1232 }, want: 1232,
			tested: true},
		{name: "the first two of full size are lost", least: 576, greatest: 1420, answered: twiceLost(1420), want: 1420, tested: true},
		{name: "every third is answered", least: 576, greatest: 1420, answered: func(_, try int) bool { return try%3 == 0 }, want: 1420,
			tested: true},
		{name: "every seventh is", least: 576, greatest: 1420, answered: func(_, try int) bool { return try%7 == 6 }},
		{name: "a way narrower than any", least: 1280, greatest: 1420, answered: upTo(100), want: 100, tested: true},
	} {
		t.Run(c.name, func(t *testing.T) {
			try := 0
			size, why := largest(c.least, c.greatest, func(size int) bool {
				try++
				return c.answered(size, try)
			})
			if size != c.want || (why == "") != c.tested {
				t.Errorf("%d bytes, untested: %q; want %d", size, why, c.want)
			}
		})
	}
}

// twiceLost answers all, but not the first two of a size.
func twiceLost(full int) func(int, int) bool {
	tries := 0
	return func(size, _ int) bool {
		if size == full {
			tries++
		}
		return size < full || tries > 2
	}
}

// Who says that a packet is too big counts if he quotes one of ours, and says what can be.
func TestNote(t *testing.T) {
	to := netip.MustParseAddr("192.168.200.22")
	const id, seq = 0xbeef, 7
	quote := func(change func(b []byte)) []byte {
		b := make([]byte, 28)
		b[0], b[9] = 0x45, 1
		copy(b[16:], to.AsSlice())
		b[20] = 8
		binary.BigEndian.PutUint16(b[24:], id)
		binary.BigEndian.PutUint16(b[26:], seq)
		change(b)
		return b
	}
	same := func([]byte) {}
	for name, c := range map[string]struct {
		mtu    int
		quoted []byte
		counts bool
	}{
		"a router":                 {1340, quote(same), true},
		"one that names no size":   {0, quote(same), true},
		"less than any link takes": {67, quote(same), false},
		"no less than was sent":    {1420, quote(same), false},
		"of another echo":          {1340, quote(func(b []byte) { b[24]++ }), false},
		"of one not yet sent":      {1340, quote(func(b []byte) { b[27]++ }), false},
		"of an answer":             {1340, quote(func(b []byte) { b[20] = 0 }), false},
		"to another":               {1340, quote(func(b []byte) { b[19]++ }), false},
		"too little of it":         {1340, quote(same)[:26], false},
	} {
		s := &sizer{to: to, id: id, seq: seq, size: 1420}
		raw := make([]byte, 8)
		binary.BigEndian.PutUint16(raw[6:], uint16(c.mtu))
		m := &icmp.Message{Type: ipv4.ICMPTypeDestinationUnreachable, Code: 4, Body: &icmp.DstUnreach{Data: c.quoted}}
		s.note(m, &net.IPAddr{IP: net.IPv4(203, 0, 113, 9)}, raw)
		if s.toldBy.IsValid() != c.counts || c.counts && s.told != c.mtu {
			t.Errorf("%s: told by %v: %d", name, s.toldBy, s.told)
		}
	}
}
