package tunnel_test

import (
	"fmt"
	"log"
	"net/netip"

	"github.com/wgnode/wgnode/probe/key"
	"github.com/wgnode/wgnode/tunnel"
	"github.com/wgnode/wgnode/tunnel/netstack"
	"github.com/wgnode/wgnode/tunnel/udp"
)

// A tunnel between a network stack in this process and UDP. Package node does this, and all that a
// configuration says besides.
func Example() {
	dev, _, err := netstack.New([]netip.Addr{netip.MustParseAddr("10.0.0.1")}, 1420)
	if err != nil {
		log.Fatal(err)
	}
	t, err := tunnel.New(dev, udp.New(udp.Options{}), tunnel.Options{})
	if err != nil {
		log.Fatal(err)
	}
	defer t.Close()
	if err := t.Configure(tunnel.Config{PrivateKey: key.GeneratePrivate(), Peers: []tunnel.PeerConfig{{
		Name: "bob", PublicKey: key.GeneratePrivate().Public(), AllowedIPs: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/24")},
	}}}); err != nil {
		log.Fatal(err)
	}

	for _, to := range []string{"10.0.0.2", "192.0.2.1"} {
		r, ok := t.Lookup(netip.MustParseAddr(to))
		if !ok {
			fmt.Println(to, "is in no peer's AllowedIPs")
			continue
		}
		_, name, _ := t.Peer(r.Peer)
		fmt.Println(to, "goes to", name, "by", r.Prefix)
	}
	// Output:
	// 10.0.0.2 goes to bob by 10.0.0.0/24
	// 192.0.2.1 is in no peer's AllowedIPs
}
