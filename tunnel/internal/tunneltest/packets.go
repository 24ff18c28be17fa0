package tunneltest

import (
	"encoding/binary"
	"net/netip"
	"testing"

	"golang.org/x/crypto/blake2s"

	"github.com/wgnode/wgnode/probe"
)

// UDP4 is an inner UDP packet over IPv4 with a payload of n bytes.
func UDP4(src, dst netip.Addr, sport, dport uint16, n int) []byte {
	b := make([]byte, 28+n)
	b[0], b[8], b[9] = 0x45, 64, 17
	b[2], b[3] = byte(len(b)>>8), byte(len(b))
	copy(b[12:], src.AsSlice())
	copy(b[16:], dst.AsSlice())
	b[20], b[21], b[22], b[23] = byte(sport>>8), byte(sport), byte(dport>>8), byte(dport)
	b[24], b[25] = byte((8+n)>>8), byte(8+n)
	return b
}

// TCP4 is an inner TCP segment over IPv4.
func TCP4(src, dst netip.Addr) []byte {
	b := UDP4(src, dst, 4000, 443, 1300)
	b[9], b[32], b[33] = probe.ProtoTCP, 0x50, probe.TCPAck
	return b
}

// TCP6 is one over IPv6.
func TCP6(src, dst netip.Addr) []byte {
	b := make([]byte, 40+20+1300)
	b[0], b[6], b[7] = 0x60, probe.ProtoTCP, 64
	binary.BigEndian.PutUint16(b[4:], uint16(len(b)-40))
	copy(b[8:], src.AsSlice())
	copy(b[24:], dst.AsSlice())
	binary.BigEndian.PutUint16(b[40:], 4000)
	binary.BigEndian.PutUint16(b[42:], 443)
	b[52], b[53] = 0x50, probe.TCPAck
	return b
}

// InitiationTo is no initiation but for its mac1, which is made for the owner of k.
func InitiationTo(t testing.TB, k *[32]byte) []byte {
	t.Helper()
	msg := make([]byte, probe.LenInitiation)
	h, err := blake2s.New128(k[:])
	if err != nil {
		t.Fatal(err)
	}
	at := len(msg) - 32 // mac1 and mac2
	h.Write(msg[:at])
	copy(msg[at:], h.Sum(nil))
	return msg
}
