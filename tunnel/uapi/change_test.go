package uapi

import (
	"net/netip"
	"testing"

	"github.com/wgnode/wgnode/probe/key"
)

func TestChangeText(t *testing.T) {
	var private key.Private
	unhex(t, private[:], secret)
	var first, second key.Public
	unhex(t, first[:], "b85996fecc9c7f1fc6d2572a76eda11d59bcd20be8e543b15ce4bd85a8e75a33")
	unhex(t, second[:], "58402e695ba1772b1cc9309755f043251ea77fdcf10fbe63989ceb7e19321376")
	port, mark, keepalive := uint16(12912), uint32(0), uint16(25)
	c := Change{
		PrivateKey: &private, ListenPort: &port, FwMark: &mark, ReplacePeers: true,
		Peers: []PeerChange{{
			PublicKey: first, PresharedKey: &key.Preshared{15: 1}, Endpoint: netip.MustParseAddrPort("[abcd:23::33%eth2]:51820"),
			Keepalive: &keepalive, ReplaceIPs: true,
			AllowedIPs: []netip.Prefix{netip.MustParsePrefix("192.168.4.4/32")},
			RemovedIPs: []netip.Prefix{netip.MustParsePrefix("fd00::/8")},
		}, {
			PublicKey: second, Remove: true, Keepalive: &keepalive,
		}},
	}
	const want = "private_key=" + secret + `
listen_port=12912
fwmark=0
replace_peers=true
public_key=b85996fecc9c7f1fc6d2572a76eda11d59bcd20be8e543b15ce4bd85a8e75a33
preshared_key=0000000000000000000000000000000100000000000000000000000000000000
endpoint=[abcd:23::33%eth2]:51820
persistent_keepalive_interval=25
replace_allowed_ips=true
allowed_ip=192.168.4.4/32
allowed_ip=-fd00::/8
public_key=58402e695ba1772b1cc9309755f043251ea77fdcf10fbe63989ceb7e19321376
remove=true
`
	if got := c.Text(); got != want {
		t.Errorf("text\n%swant\n%s", got, want)
	}
	if c.IsZero() || !(&Change{}).IsZero() {
		t.Error("a change is none, or none is a change")
	}
	if got := (&Change{}).Text(); got != "" {
		t.Errorf("no change is %q", got)
	}
}
