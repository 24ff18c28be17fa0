//go:build linux

package conntrack

import (
	"testing"

	"github.com/mdlayher/netlink"
)

// Whatever comes as an entry, it is read or refused, and what is read is shown.
func FuzzDecode(f *testing.F) {
	attr := func(typ uint16, data []byte) []byte {
		b, err := netlink.MarshalAttributes([]netlink.Attribute{{Type: typ, Data: data}})
		if err != nil {
			f.Fatal(err)
		}
		return b
	}
	const nested = 1 << 15
	ip := attr(nested|tupleIP, append(attr(ipV4Src, []byte{10, 0, 0, 1}), attr(ipV4Dst, []byte{10, 0, 0, 2})...))
	proto := attr(nested|tupleProto, append(attr(protoNum, []byte{6}), attr(protoSrcPort, []byte{0, 80})...))
	head := make([]byte, nfgenmsg)
	f.Add(append(head, attr(nested|ctaTupleOrig, append(ip, proto...))...))
	f.Add(append(head, attr(nested|ctaProtoinfo, attr(nested|protoinfoTCP, attr(tcpState, []byte{200})))...))
	f.Add(append(head, attr(ctaStatus, []byte{0xff, 0xff, 0xff, 0xff})...))
	f.Add(append(head, attr(nested|ctaCountersOrig, attr(countBytes, []byte{1, 2, 3, 4, 5, 6, 7, 8}))...))
	f.Add(head[:2])
	f.Fuzz(func(t *testing.T, b []byte) {
		e, err := decode(b)
		if err != nil {
			return
		}
		_ = e.String()
	})
}
