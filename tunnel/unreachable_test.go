package tunnel

import (
	"bytes"
	"encoding/binary"
	"net/netip"
	"syscall"
	"testing"

	"github.com/wgnode/wgnode/probe"
	"github.com/wgnode/wgnode/probe/key"
	"github.com/wgnode/wgnode/tunnel/internal/tunneltest"
	"github.com/wgnode/wgnode/tunnel/udp"
)

func TestICMP(t *testing.T) {
	tn := newDown(t)
	peer := key.GeneratePrivate().Public()
	endpoint := netip.MustParseAddrPort("192.0.2.1:51820")
	err := tn.Configure(Config{PrivateKey: key.GeneratePrivate(), Peers: []PeerConfig{{PublicKey: peer, Endpoint: endpoint}}})
	if err != nil {
		t.Fatal(err)
	}
	router := netip.MustParseAddr("198.51.100.1")
	watch := tn.Recorder().Subscribe(probe.SubscribeOptions{})
	defer watch.Close()
	for _, test := range []struct {
		name string
		in   udp.ICMPError
		want probe.Reason
	}{
		{"port", udp.ICMPError{Type: 3, Code: 3}, probe.ICMPPortUnreachable},
		{"host", udp.ICMPError{Type: 3, Code: 1}, probe.ICMPHostUnreachable},
		{"net", udp.ICMPError{Type: 3, Code: 0}, probe.ICMPNetUnreachable},
		{"prohibited", udp.ICMPError{Type: 3, Code: 13}, probe.ICMPProhibited},
		{"too big", udp.ICMPError{Type: 3, Code: 4}, probe.ICMPOther},
		{"time exceeded", udp.ICMPError{Type: 11, Code: 0}, probe.ICMPOther},
		{"port, IPv6", udp.ICMPError{V6: true, Type: 1, Code: 4}, probe.ICMPPortUnreachable},
		{"address, IPv6", udp.ICMPError{V6: true, Type: 1, Code: 3}, probe.ICMPHostUnreachable},
		{"no route, IPv6", udp.ICMPError{V6: true, Type: 1, Code: 0}, probe.ICMPNetUnreachable},
		{"policy, IPv6", udp.ICMPError{V6: true, Type: 1, Code: 5}, probe.ICMPProhibited},
		{"too big, IPv6", udp.ICMPError{V6: true, Type: 2, Code: 0}, probe.ICMPOther},
		{"no route, here", udp.ICMPError{Local: true, Type: 9, Code: 9, Errno: syscall.ENETUNREACH}, probe.ICMPNetUnreachable},
	} {
		t.Run(test.name, func(t *testing.T) {
			test.in.Dst, test.in.From = endpoint, router
			tn.ICMP(test.in)
			e := tunneltest.Await(t, watch, test.name, func(*probe.Event) bool { return true })
			from, to := e.Outer()
			if e.Kind != probe.KindICMP || e.Reason != test.want || from.Addr() != router || to != endpoint {
				t.Errorf("recorded %v %v from %s about %s, want %v", e.Kind, e.Reason, from, to, test.want)
			}
			if k, _, _ := tn.Peer(e.Peer); k != peer {
				t.Errorf("peer %d", e.Peer)
			}
			if !test.in.Local && (e.Info != test.in.Type || e.Counter != uint64(test.in.Code)) || test.in.Local && e.Info != 0 {
				t.Errorf("type %d, code %d", e.Info, e.Counter)
			}
		})
	}
	testQuotes(t, tn, tn.m.Peers.At(endpoint), watch, endpoint)
	tn.ICMP(udp.ICMPError{Dst: netip.MustParseAddrPort("192.0.2.9:1"), Type: 3, Code: 3})
	if e := tunneltest.Await(t, watch, "stranger", func(*probe.Event) bool { return true }); e.Peer != 0 {
		t.Errorf("an endpoint of nobody's is peer %d", e.Peer)
	}
}

// An error that quotes an index of a message of ours to the peer comes from a host that
// has seen it; all others anybody could have sent.
func testQuotes(t *testing.T, tn *Tunnel, peer probe.PeerID, watch *probe.Subscription, endpoint netip.AddrPort) {
	const ours, theirs = 0x01020304, 0x0a0b0c0d
	tn.m.Local.Add(ours, peer, true, 1)
	tn.m.Remote.Add(theirs, peer, true, 1)
	tn.m.Local.Add(ours+1, peer+1, true, 1)
	message := func(kind byte, index uint32) []byte {
		return binary.LittleEndian.AppendUint32([]byte{kind, 0, 0, 0}, index)
	}
	for _, test := range []struct {
		name             string
		quoted           []byte
		sender, receiver uint32
	}{
		{name: "eight bytes of the datagram, that is nothing of the message"},
		{name: "cut off", quoted: message(probe.TypeInitiation, ours)[:7]},
		{name: "initiation", quoted: message(probe.TypeInitiation, ours), sender: ours},
		{name: "response", quoted: message(probe.TypeResponse, ours), sender: ours},
		{name: "data", quoted: message(probe.TypeData, theirs), receiver: theirs},
		{name: "initiation, guessed", quoted: message(probe.TypeInitiation, ours+7)},
		{name: "initiation to another peer", quoted: message(probe.TypeInitiation, ours+1)},
		{name: "data with our own index", quoted: message(probe.TypeData, ours)},
		{name: "of no kind", quoted: message(9, ours)},
	} {
		tn.ICMP(udp.ICMPError{Dst: endpoint, From: endpoint.Addr(), Type: 3, Code: 3, Data: test.quoted})
		e := tunneltest.Await(t, watch, test.name, func(*probe.Event) bool { return true })
		if e.Sender != test.sender || e.Receiver != test.receiver || e.Claimed() != (test.sender|test.receiver == 0) {
			t.Errorf("%s: sender %#x, receiver %#x, claimed %v", test.name, e.Sender, e.Receiver, e.Claimed())
		}
	}
	tn.ICMP(udp.ICMPError{Dst: endpoint, Local: true, Errno: syscall.ENETUNREACH})
	if e := tunneltest.Await(t, watch, "here", func(*probe.Event) bool { return true }); e.Claimed() {
		t.Error("what this host's kernel says is no claim")
	}
}

// Whose an initiation is shows who has the node's private key, wherever the message is found;
// an index shows it of every other message.
func TestInitiator(t *testing.T) {
	a, b := pair(t, nil)
	tap := tunneltest.NewRelay(t, b.endpoint())
	if err := a.SetEndpoint(b.key.Public(), tap.Addr); err != nil {
		t.Fatal(err)
	}
	a.send(tunneltest.UDP4(a.addr, b.addr, 1, 1, 8))
	b.receive(t)
	call := tap.AwaitInitiation(t)
	edited := bytes.Clone(call)
	edited[len(edited)-40] ^= 1
	for _, c := range []struct {
		name string
		at   *end
		msg  []byte
		want probe.PeerID
	}{{"a peer's", b, call, 1}, {"edited", b, edited, 0}, {"of zeros", b, make([]byte, probe.LenInitiation), 0},
		{"cut short", b, call[:100], 0}, {"for another node", a, call, 0}} {
		if p, read := c.at.Initiator(c.msg); p != c.want || !read {
			t.Errorf("%s: peer %d, read %v, want %d", c.name, p, read, c.want)
		}
	}
	stranger := newEnd(t, "10.0.0.3")
	stranger.start(t, stranger.configFor(b))
	if p, _ := stranger.Initiator(call); p != 0 {
		t.Errorf("a node that is not called reads that it is peer %d's", p)
	}
	for _, c := range []struct {
		name string
		at   *end
		sent bool
		want probe.PeerID
	}{{"sent", a, true, 1}, {"received, and answered", b, false, 1}, {"not sent there", b, true, 0}, {"not received there", a, false, 0}} {
		if p := c.at.PeerOf(call[:HeadLen], c.sent); p != c.want {
			t.Errorf("%s: peer %d, want %d", c.name, p, c.want)
		}
	}
	refused := 0
	for range 1000 { // as fast as they are read
		if _, read := b.Initiator(call); !read {
			refused++
		}
	}
	if refused == 0 {
		t.Error("any number of initiations is read")
	}
}
