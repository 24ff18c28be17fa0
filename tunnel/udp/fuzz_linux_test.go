package udp

import (
	"bytes"
	"testing"

	"golang.org/x/sys/unix"
)

// Whatever stands in the control messages of an error queue, an error is read or there
// is none, and its offender is an address or none.
func FuzzExtendedErr(f *testing.F) {
	message := func(level, kind int32, data []byte) []byte {
		b := make([]byte, unix.CmsgSpace(len(data)))
		b[0] = byte(unix.CmsgLen(len(data)))
		b[8], b[12] = byte(level), byte(kind)
		copy(b[unix.CmsgLen(0):], data)
		return b
	}
	icmp := append([]byte{113, 0, 0, 0, unix.SO_EE_ORIGIN_ICMP, 3, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0}, 2, 0, 0, 0, 192, 0, 2,
		1, 0, 0, 0, 0, 0, 0, 0, 0)
	f.Add(message(unix.IPPROTO_IP, unix.IP_RECVERR, icmp))
	f.Add(message(unix.IPPROTO_IP, unix.IP_RECVERR, icmp[:16]))
	f.Add(message(unix.IPPROTO_IPV6, unix.IPV6_RECVERR,
		append([]byte{90, 0, 0, 0, unix.SO_EE_ORIGIN_ICMP6, 2, 0, 0, 0, 0, 5, 0, 0, 0, 0, 0}, 10, 0)))
	f.Add(append(message(unix.SOL_SOCKET, 29, make([]byte, 16)), message(unix.IPPROTO_IP, unix.IP_RECVERR, icmp)...))
	f.Add(message(unix.IPPROTO_IP, unix.IP_RECVERR, []byte{1, 0, 0, 0, unix.SO_EE_ORIGIN_LOCAL}))
	f.Fuzz(func(t *testing.T, text []byte) {
		b := make([]byte, len(text)) // aligned, as what the kernel fills
		copy(b, text)
		e, ok := parseExtendedErr(b)
		if !ok {
			return
		}
		if e.From.IsValid() && !bytes.Contains(text, e.From.Unmap().WithZone("").AsSlice()) {
			t.Errorf("%s is not in %x", e.From, text)
		}
		if e.MTU != 0 && e.Errno != unix.EMSGSIZE {
			t.Errorf("an MTU without EMSGSIZE: %+v", e)
		}
	})
}
