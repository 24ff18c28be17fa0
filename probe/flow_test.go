package probe

import (
	"testing"
	"time"
)

// crossing is a packet that crosses towards the tunnel (out) or out of it.
type crossing struct {
	b    []byte
	out  bool
	peer PeerID
}

// here notes a packet and reports whose flow it belongs to.
func here(t *testing.T, f *Flows, c crossing, now time.Duration) bool {
	t.Helper()
	e := Event{Peer: c.peer}
	if !e.DecodeInner(c.b) {
		t.Fatalf("%x: no IP packet", c.b)
	}
	k, quoted := f.Key(&e, c.b)
	return f.Here(k, &e, c.out, quoted, 1e18+int64(now))
}

func udpPacket(src, dst string, sport, dport uint16) []byte {
	return packet4(src, dst, ProtoUDP, 0, udpHeader(sport, dport)...)
}

func TestFlowBelongsToItsFirstSender(t *testing.T) {
	f := NewFlows(1024)
	request, reply := udpPacket(here4, there4, 4000, 53), udpPacket(there4, here4, 53, 4000)
	for i, c := range []crossing{{request, true, 1}, {reply, false, 1}, {request, true, 1}} {
		if !here(t, f, c, 0) {
			t.Errorf("packet %d: not ours", i)
		}
	}
	other := udpPacket(there4, here4, 4001, 53)
	if here(t, f, crossing{other, false, 1}, 0) || here(t, f, crossing{udpPacket(here4, there4, 53, 4001), true, 1}, 0) {
		t.Error("the other side's flow is taken for ours")
	}
	// After a long silence whoever speaks first begins anew.
	if here(t, f, crossing{reply, false, 1}, time.Hour) {
		t.Error("an idle flow is remembered for an hour")
	}
}

func TestFlowOfTCP(t *testing.T) {
	tcp := func(out bool, flags byte) crossing {
		if out {
			return crossing{packet4(here4, there4, ProtoTCP, 0, tcpHeader(40000, 8080, flags)...), true, 1}
		}
		return crossing{packet4(there4, here4, ProtoTCP, 0, tcpHeader(8080, 40000, flags)...), false, 1}
	}
	f := NewFlows(1024)
	if !here(t, f, tcp(true, TCPAck), 0) {
		t.Error("in the middle of a connection the sender counts")
	}
	if here(t, f, tcp(false, TCPSyn), 0) || here(t, f, tcp(true, TCPSyn|TCPAck), 0) {
		t.Error("a SYN proves who began")
	}
	if here(t, f, tcp(true, TCPAck), time.Hour) {
		t.Error("an idle connection changed sides")
	}
	f = NewFlows(1024)
	if here(t, f, crossing{packet4(here4, there4, ProtoTCP, 0, tcpHeader(443, 40000, TCPAck)...), true, 1}, 0) {
		t.Error("a server's port is taken for the client's")
	}
	f = NewFlows(1024)
	if !here(t, f, tcp(false, TCPSyn|TCPAck), 0) {
		t.Error("a SYN-ACK that comes in answers our SYN")
	}
}

func TestFlowOfEchoAndICMPError(t *testing.T) {
	f := NewFlows(1024)
	// Whichever comes first, request or reply.
	if !here(t, f, crossing{packet4(there4, here4, ProtoICMP, 0, icmpHeader(0, 0, 7, 1)...), false, 1}, 0) {
		t.Error("an echo reply that comes in answers our request")
	}
	if !here(t, f, crossing{packet4(here4, there4, ProtoICMP, 0, icmpHeader(8, 0, 7, 2)...), true, 1}, 0) {
		t.Error("our echo request, another sequence number")
	}
	// An error about our packet belongs to our flow, whoever sends it.
	request := udpPacket(here4, there4, 4000, 99)
	here(t, f, crossing{request, true, 1}, 0)
	answer := packet4("10.0.0.254", here4, ProtoICMP, 0, icmpHeader(3, 3, 0, 0, request...)...)
	if !here(t, f, crossing{answer, false, 1}, 0) {
		t.Error("an ICMP error about our packet is taken for another flow")
	}
	request6 := packet6(here6, there6, ProtoUDP, udpHeader(1, 2)...)
	here(t, f, crossing{request6, true, 1}, 0)
	if !here(t, f, crossing{packet6("fd00::fe", here6, ProtoICMPv6, icmpHeader(1, 4, 0, 0, request6...)...), false, 1}, 0) {
		t.Error("an ICMPv6 error about our packet is taken for another flow")
	}
	// About a packet of theirs, never seen here: their flow.
	theirs := udpPacket(there4, here4, 5000, 98)
	if here(t, f, crossing{packet4(here4, there4, ProtoICMP, 0, icmpHeader(3, 3, 0, 0, theirs...)...), true, 1}, 0) {
		t.Error("our ICMP error about their packet is taken for our flow")
	}
}

// On a hub the same packet is of one flow towards the spoke that it comes from
// and of another towards the one that it goes to.
func TestFlowOnAHub(t *testing.T) {
	f := NewFlows(1024)
	request, reply := udpPacket(here4, there4, 4000, 53), udpPacket(there4, here4, 53, 4000)
	if here(t, f, crossing{request, false, 1}, 0) {
		t.Error("from spoke 1: not ours")
	}
	if !here(t, f, crossing{request, true, 2}, 0) {
		t.Error("towards spoke 2: ours")
	}
	if !here(t, f, crossing{reply, false, 2}, 0) {
		t.Error("reply from spoke 2: ours")
	}
	if here(t, f, crossing{reply, true, 1}, 0) {
		t.Error("reply towards spoke 1: not ours")
	}
}

func TestFlowOfFragments(t *testing.T) {
	for name, fragments := range map[string][2][]byte{
		"IPv4": {
			fragment4(packet4(there4, here4, ProtoUDP, 0, udpHeader(53, 4000)...), 0, true, 7),
			fragment4(packet4(there4, here4, ProtoUDP, 0, 1, 2, 3, 4, 5, 6, 7, 8), 1, false, 7),
		},
		"IPv6": {
			packet6(there6, here6, protoHopByHop, concat(extension(protoFragment, 0), fragment6(ProtoUDP, 0, true, 9), udpHeader(53, 4000))...),
			packet6(there6, here6, protoFragment, concat(fragment6(ProtoUDP, 1, false, 9), make([]byte, 8))...),
		},
	} {
		f := NewFlows(1024)
		request := udpPacket(here4, there4, 4000, 53)
		if name == "IPv6" {
			request = packet6(here6, there6, ProtoUDP, udpHeader(4000, 53)...)
		}
		here(t, f, crossing{request, true, 1}, 0)
		if !here(t, f, crossing{fragments[0], false, 1}, 0) || !here(t, f, crossing{fragments[1], false, 1}, 0) {
			t.Errorf("%s: a fragmented reply to us is not of our flow", name)
		}
		if here(t, f, crossing{fragments[1], false, 2}, 0) {
			t.Errorf("%s: the same fragment from another peer is of our flow", name)
		}
	}
}

// The flow that was idle longest gives way.
func TestFlowEviction(t *testing.T) {
	f := NewFlows(8) // one set
	theirs := crossing{udpPacket(there4, here4, 4000, 53), false, 1}
	answer := crossing{udpPacket(here4, there4, 53, 4000), true, 1}
	here(t, f, theirs, 0)
	for i := range 7 {
		here(t, f, crossing{udpPacket(here4, there4, uint16(i), 9), true, 1}, time.Duration(i+1)*8*time.Second)
	}
	if here(t, f, answer, time.Minute) {
		t.Error("forgotten, though there is room for 8")
	}
	for i := range 8 {
		here(t, f, crossing{udpPacket(here4, there4, uint16(100+i), 9), true, 1}, time.Minute+time.Duration(i+1)*8*time.Second)
	}
	if !here(t, f, answer, 3*time.Minute) {
		t.Error("still known after 8 others")
	}
}
