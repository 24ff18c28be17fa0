package wgtool

import (
	"fmt"
	"net/netip"
	"testing"
	"time"

	"github.com/wgnode/wgnode/probe/key"
	"github.com/wgnode/wgnode/tunnel/uapi"
)

// syncconf keeps the session of a peer that stays, and removes one that goes.
func TestSyncconfKeepsSession(t *testing.T) {
	if !inOwnNamespaces(t) {
		return
	}
	a, b, gone := key.GeneratePrivate(), key.GeneratePrivate(), key.GeneratePrivate().Public()
	serveDevice(t, "wga")
	serveDevice(t, "wgb")
	wgSet(t, "wgb", "private-key", secretFile(t, b.Base64()), "listen-port", "51821", "peer", a.Public().Base64(), "allowed-ips", "0.0.0.0/0")
	text := fmt.Sprintf("[Interface]\nPrivateKey = %s\nListenPort = 51820\n"+
		"[Peer]\nPublicKey = %s\nEndpoint = 127.0.0.1:51821\nPersistentKeepalive = 25\nAllowedIPs = 10.0.0.0/8", a.Base64(), b.Public())
	if got := runWgnode([]string{"syncconf", "wga", secretFile(t, text+"\n[Peer]\nPublicKey = "+gone.Base64())}); got != (result{}) {
		t.Fatal(got)
	}
	awaitHandshake(t, "wga", b.Public())
	before, err := uapi.Get("wga")
	if err != nil {
		t.Fatal(err)
	}
	if before.Peer(gone) == nil {
		t.Fatal("the second peer is not there")
	}
	for _, more := range []string{"", ", fd00::/8"} {
		if got := runWgnode([]string{"syncconf", "wga", secretFile(t, text+more)}); got != (result{}) {
			t.Fatal(got)
		}
		after, err := uapi.Get("wga")
		if err != nil {
			t.Fatal(err)
		}
		p := after.Peer(b.Public())
		if p == nil || after.Peer(gone) != nil {
			t.Fatalf("peers after syncconf: %v", after.Peers)
		}
		if old := before.Peer(b.Public()); !p.LastHandshake.Equal(old.LastHandshake) || p.RxBytes < old.RxBytes || p.TxBytes < old.TxBytes {
			t.Errorf("the session was lost: handshake %v, was %v", p.LastHandshake, old.LastHandshake)
		}
	}
}

// Nothing is asked of a device that is as the file says.
func TestSyncconfAsksForDifferences(t *testing.T) {
	pub := key.GeneratePrivate().Public()
	private, port, mark, keepalive := key.GeneratePrivate(), uint16(1), uint32(2), uint16(25)
	prefixes := []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("fd00::/8")}
	whole := func() *uapi.Change {
		return &uapi.Change{PrivateKey: &private, ListenPort: &port, FwMark: &mark, ReplacePeers: true, Peers: []uapi.PeerChange{
			{PublicKey: pub, Keepalive: &keepalive, ReplaceIPs: true, AllowedIPs: prefixes},
		}}
	}
	status := &uapi.Status{PrivateKey: private, ListenPort: port, FwMark: mark, Peers: []uapi.PeerStatus{{
		PublicKey: pub, PersistentKeepalive: 25 * time.Second, AllowedIPs: []netip.Prefix{prefixes[1], prefixes[0]},
	}}}
	c := whole()
	if c.Reduce(status); !c.IsZero() {
		t.Errorf("asks for %+v of a device that is so already", c)
	}
	c = whole()
	c.Peers = append(c.Peers, uapi.PeerChange{PublicKey: key.GeneratePrivate().Public(), AllowedIPs: prefixes[:1], ReplaceIPs: true})
	if c.Reduce(status); len(c.Peers) != 2 {
		t.Error("a prefix that two peers claim goes to whom it would not go at once")
	}
}
