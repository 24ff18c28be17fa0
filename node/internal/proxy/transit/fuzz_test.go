package transit

import (
	"bytes"
	"testing"

	"golang.org/x/net/icmp"
	"golang.org/x/net/ipv4"
)

// Whatever comes at a socket for echo, an answer is read or there is none: it is to the
// socket's own requests where others' come, too.
func FuzzEchoReply(f *testing.F) {
	for _, m := range []icmp.Message{
		{Type: ipv4.ICMPTypeEchoReply, Body: &icmp.Echo{ID: 7, Seq: 1, Data: []byte("x")}},
		{Type: ipv4.ICMPTypeEcho, Body: &icmp.Echo{ID: 7, Seq: 1}},
		{Type: ipv4.ICMPTypeDestinationUnreachable, Body: &icmp.DstUnreach{Data: make([]byte, 28)}},
	} {
		b, err := m.Marshal(nil)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b, false, false)
		f.Add(append(append([]byte{0x45}, make([]byte, 19)...), b...), false, true)
		f.Add(append([]byte{0x4f}, b...), false, true)
		f.Add(append([]byte{129}, b[1:]...), true, true)
	}
	f.Fuzz(func(t *testing.T, b []byte, six, raw bool) {
		s := echoSocket{id: 7, six: six, raw: raw}
		seq, data, ok := s.reply(b)
		if !ok {
			return
		}
		if raw && !bytes.Contains(b, []byte{0, 7, byte(seq >> 8), byte(seq)}) {
			t.Errorf("%x is taken for the answer to request %d", b, seq)
		}
		if len(data) > len(b) || !bytes.Contains(b, data) {
			t.Errorf("%x of an answer that is %x", data, b)
		}
	})
}
