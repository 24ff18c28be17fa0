//go:build linux

package kernelwg

import (
	"context"
	"encoding/binary"
	"net/netip"
	"testing"
	"time"

	"golang.org/x/crypto/blake2s"

	"github.com/wgnode/wgnode/probe"
	"github.com/wgnode/wgnode/probe/key"
)

// udp4 is a datagram with its IP header.
func udp4(src, dst netip.AddrPort, payload []byte) []byte {
	b := make([]byte, 28, 28+len(payload))
	b[0], b[9] = 0x45, probe.ProtoUDP
	binary.BigEndian.PutUint16(b[2:], uint16(28+len(payload)))
	copy(b[12:], src.Addr().AsSlice())
	copy(b[16:], dst.Addr().AsSlice())
	binary.BigEndian.PutUint16(b[20:], src.Port())
	binary.BigEndian.PutUint16(b[22:], dst.Port())
	return append(b, payload...)
}

// icmp4 is an ICMP error that quotes a packet.
func icmp4(from, to netip.Addr, code byte, quoted []byte) []byte {
	b := make([]byte, 28)
	b[0], b[9], b[20], b[21] = 0x45, probe.ProtoICMP, 3, code
	copy(b[12:], from.AsSlice())
	copy(b[16:], to.AsSlice())
	return append(b, quoted...)
}

// only is a source that does nothing.
type only struct {
	Source
	peers *Peers
	late  func() // comes when all that has happened is asked for; may be nil
}

func (o only) Peers() *Peers      { return o.peers }
func (o only) Level() probe.Level { return probe.LevelExact }
func (o only) Know(*Device)       {}
func (o only) Sync(context.Context) {
	if o.late != nil {
		o.late()
	}
}

// An ICMP error is about a peer if it quotes a message that was sent to where the peer is; one
// that quotes less, or another message, is a claim about who has the address.
func TestRefusal(t *testing.T) {
	rec, err := probe.NewRecorder(probe.MinRecorderBytes)
	if err != nil {
		t.Fatal(err)
	}
	here, there, elsewhere := netip.MustParseAddrPort("192.0.2.1:51820"), netip.MustParseAddrPort("192.0.2.2:51820"),
		netip.MustParseAddrPort("192.0.2.3:51820")
	var got []probe.Event
	alice := key.Public{7}
	peers := newPeers()
	id := peers.ID(alice)
	r := &refusals{Source: only{peers: peers}, rec: rec, told: func(_ probe.Level, e *probe.Event) { got = append(got, *e) }, port: 51820,
		sent: make(map[index]probe.PeerID), where: make(map[probe.PeerID]netip.AddrPort),
		local: func(a netip.Addr) bool { return a == here.Addr() }}
	r.Know(&Device{Peers: []Peer{{Public: alice, Endpoint: there}}})
	sent := func(kind probe.Kind, sender, receiver uint32, to netip.AddrPort) {
		r.saw(probe.LevelExact, &probe.Event{Seam: probe.SeamUDPSend, Kind: kind, Peer: id, Sender: sender, Receiver: receiver,
			OuterDst: probe.AddrFrom(to.Addr()), OuterDstPort: to.Port()})
	}
	message := func(kind byte, n uint32) []byte {
		return binary.LittleEndian.AppendUint32([]byte{kind, 0, 0, 0}, n)
	}
	sent(probe.KindData, 0, 77, there)
	sent(probe.KindInitiation, 99, 0, there)
	for _, c := range []struct {
		name             string
		b                []byte
		none             bool
		peer             probe.PeerID
		sender, receiver uint32
	}{
		{name: "our initiation", b: udp4(here, there, message(probe.TypeInitiation, 99)), peer: id, sender: 99},
		{name: "our data", b: udp4(here, there, message(probe.TypeData, 77)), peer: id, receiver: 77},
		{name: "another index", b: udp4(here, there, message(probe.TypeData, 78)), peer: id},
		{name: "an index of another kind", b: udp4(here, there, message(probe.TypeData, 99)), peer: id},
		{name: "the UDP header alone", b: udp4(here, there, nil), peer: id},
		{name: "our data, from where it was not sent", b: udp4(here, elsewhere, message(probe.TypeData, 77))},
		{name: "another port of ours", b: udp4(netip.AddrPortFrom(here.Addr(), 53), there, message(probe.TypeData, 77)), none: true},
		{name: "another host's", b: udp4(elsewhere, there, message(probe.TypeData, 77)), none: true},
		{name: "cut off", b: udp4(here, there, nil)[:27], none: true},
	} {
		got = nil
		r.take(&copied{b: icmp4(there.Addr(), here.Addr(), 3, c.b)})
		if c.none {
			if len(got) > 0 {
				t.Errorf("%s: %+v", c.name, got)
			}
			continue
		}
		if len(got) != 1 || got[0].Kind != probe.KindICMP || got[0].Reason != probe.ICMPPortUnreachable || got[0].Peer != c.peer ||
			got[0].Sender != c.sender || got[0].Receiver != c.receiver {
			t.Errorf("%s: %+v", c.name, got)
		}
	}
	got = nil
	r.take(&copied{b: icmp4(there.Addr(), here.Addr(), 3, udp4(here, there, nil)), out: true})
	if len(got) > 0 {
		t.Errorf("one that leaves: %+v", got)
	}
	// The source tells of a message later than the error comes.
	got, r.asked = nil, time.Time{}
	r.Source = only{peers: peers, late: func() { sent(probe.KindInitiation, 111, 0, there) }}
	r.take(&copied{b: icmp4(there.Addr(), here.Addr(), 3, udp4(here, there, message(probe.TypeInitiation, 111)))})
	if len(got) != 2 || got[1].Sender != 111 || got[1].Peer != id {
		t.Errorf("told late: %+v", got)
	}
	sent(probe.KindData, 0, 77, elsewhere) // alice has moved
	got = nil
	r.take(&copied{b: icmp4(there.Addr(), here.Addr(), 3, udp4(here, there, message(probe.TypeData, 77)))})
	if len(got) != 1 || got[0].Receiver != 0 {
		t.Errorf("of where it was before: %+v", got)
	}
}

// initiationTo is one that is made for the owner of a key.
func initiationTo(t *testing.T, owner key.Public) []byte {
	t.Helper()
	msg := make([]byte, probe.LenInitiation)
	msg[0] = probe.TypeInitiation
	k := blake2s.Sum256(append([]byte("mac1----"), owner[:]...))
	h, err := blake2s.New128(k[:])
	if err != nil {
		t.Fatal(err)
	}
	h.Write(msg[:probe.LenInitiation-macsSize])
	copy(msg[probe.LenInitiation-macsSize:], h.Sum(nil))
	return msg
}

// A copy of an initiation to where no peer is known to be tells which peer it is made for.
func TestAddressee(t *testing.T) {
	rec, err := probe.NewRecorder(probe.MinRecorderBytes)
	if err != nil {
		t.Fatal(err)
	}
	var got []probe.Event
	opt := Options{Recorder: rec, Flows: probe.NewFlows(64), Port: 51820, Saw: func(_ probe.Level, e *probe.Event) { got = append(got, *e) }}
	here, there := netip.MustParseAddrPort("192.0.2.1:51820"), netip.MustParseAddrPort("192.0.2.2:51820")
	c := newCaptured(&opt, probe.LevelCapture, func(a netip.Addr) bool { return a == here.Addr() })
	alice, bob := key.Public{7}, key.Public{8}
	c.know(&Device{Peers: []Peer{{Public: alice}, {Public: bob, Endpoint: netip.MustParseAddrPort("192.0.2.9:1")}}})
	c.outer(&copied{b: udp4(here, there, initiationTo(t, bob)), out: true, device: 1})
	if len(got) != 1 || got[0].Peer != c.peers.ID(bob) || got[0].Checkpoint != probe.A2 {
		t.Errorf("%+v", got)
	}
}

// A copy of a handshake message tells whom it is made for. A key that was changed since it was read is
// read once more before that is said.
func TestMadeForAnother(t *testing.T) {
	own, other := key.Public{1}, key.Public{2}
	msg := initiationTo(t, own)
	rec, err := probe.NewRecorder(probe.MinRecorderBytes)
	if err != nil {
		t.Fatal(err)
	}
	now := &Device{Public: own}
	for _, c := range []struct {
		name  string
		was   key.Public
		read  func() (*Device, error)
		wrong bool
		known bool
	}{
		{name: "its own", was: own, known: true},
		{name: "another's", was: other, known: true, wrong: true},
		{name: "another's, read once more", was: other, known: true, wrong: true,
			read: func() (*Device, error) { return &Device{Public: other}, nil }},
		{name: "its own by now", was: other, known: true, read: func() (*Device, error) { return now, nil }},
		{name: "not known", was: other},
	} {
		opt := Options{Recorder: rec, Flows: probe.NewFlows(64), Read: c.read}
		got := newCaptured(&opt, probe.LevelCapture, func(netip.Addr) bool { return true })
		if c.known {
			got.know(&Device{Public: c.was})
		}
		e := probe.Event{}
		e.Reason = e.DecodeOuter(msg)
		if wrong := got.astray(&e, msg); wrong != c.wrong {
			t.Errorf("%s: %t", c.name, wrong)
		}
	}
}
