package explain

import "net/netip"

// Payload is what a datagram to a port has in it: a question that a server there answers, or
// some text, or else own, if that is not empty.
func Payload(port uint16, own []byte) []byte {
	r := Request{Target: netip.AddrPortFrom(netip.Addr{}, port), Payload: own}
	return r.payload()
}
