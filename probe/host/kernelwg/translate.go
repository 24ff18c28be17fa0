//go:build linux

package kernelwg

import (
	"encoding/binary"
	"net/netip"
	"syscall"
	"time"

	"github.com/wgnode/wgnode/probe"
	"github.com/wgnode/wgnode/probe/host/bpf"
)

const (
	maxMessage = 1 << 16

	// What is known of packets on their way through the device. The kernel keeps 1,024
	// messages in each of its queues.
	packetsKept = 8192
	// undelivered is how long after a packet was decrypted it is sure not to come.
	undelivered = int64(2 * time.Second)
)

// translator makes events of records. It is used by one goroutine.
type translator struct {
	rec   log
	flows *probe.Flows
	peers *Peers
	allow allowed       // the AllowedIPs
	lost  func() uint64 // how many records were lost

	entered    *waiting[uint64, uint64]        // by packet: the Seq of its event as it entered
	sealed     *waiting[message, probe.Event]  // what is in messages that are to be sent
	opened     *waiting[message, opened]       // what was decrypted, until it is delivered
	endpoints  map[probe.PeerID]netip.AddrPort // the latest
	handshakes map[uint32]*handshake           // by the thread that reads them

	now      int64  // the time of the latest record, or later
	lostThen uint64 // how many were lost when that was looked at last
	doubtful int64  // of what was before that nobody knows what has become of it
	begun
}

// watch has what the records lack taken into account.
func (t *translator) watch(p *programs) {
	t.lost = func() uint64 {
		n, err := p.lost()
		if err != nil {
			return ^uint64(0) // not known: as many as can be
		}
		return n
	}
}

// message tells messages of a device apart.
type message struct {
	peer    uint64
	index   uint32
	counter uint64
}

// opened is a received message that was decrypted.
type opened struct {
	seq   uint64
	at    int64
	event probe.Event
}

func newTranslator(rec log, flows *probe.Flows) *translator {
	t := &translator{
		rec: rec, flows: flows, peers: newPeers(), lost: func() uint64 { return 0 },
		endpoints: make(map[probe.PeerID]netip.AddrPort), handshakes: make(map[uint32]*handshake),
	}
	t.entered = newWaiting[uint64, uint64](packetsKept, nil)
	t.sealed = newWaiting[message, probe.Event](packetsKept, nil)
	t.opened = newWaiting(packetsKept, t.undelivered)
	return t
}

// event is one of the record's time, peer and device.
func (t *translator) event(r raw, seam probe.Seam, kind probe.Kind) probe.Event {
	e := probe.Event{Time: bpf.Since(r.long(atTime)).UnixNano(), Seam: seam, Kind: kind, PrefixBits: probe.NoPrefix}
	if r.long(atPeer) != 0 {
		e.Peer = t.peers.ID(r.key())
	}
	return e
}

// to says where a message goes, from says where one comes from.
func (t *translator) to(e *probe.Event, r raw) {
	e.OuterSrcPort = r.port()
	if ep, ok := r.endpoint(); ok {
		e.OuterDst, e.OuterDstPort = probe.AddrFrom(ep.Addr()), ep.Port()
	}
}

func (t *translator) from(e *probe.Event, r raw) {
	e.OuterDstPort = r.port()
	if ep, ok := r.endpoint(); ok {
		e.OuterSrc, e.OuterSrcPort = probe.AddrFrom(ep.Addr()), ep.Port()
	}
}

// side says which side of its flow the packet b is on, from which e was decoded.
func (t *translator) side(e *probe.Event, b []byte, outbound bool, a, other probe.Checkpoint) {
	k, quoted := t.flows.Key(e, b)
	e.Checkpoint = other
	if t.flows.Here(k, e, outbound, quoted, e.Time) {
		e.Checkpoint = a
		e.Flags |= probe.FlagInitiatedHere
	}
}

// take makes events of a record.
func (t *translator) take(r raw) {
	switch what(r.word(atWhat)) {
	case routed:
		t.routed(r)
	case encrypted:
		t.encrypted(r)
	case sent:
		t.sent(r)
	case failed:
		t.failed(r)
	case replied:
		t.replied(r)
	case decrypted:
		t.decrypted(r)
	case delivered:
		t.delivered(r)
	case checked:
		t.checked(r)
	case looked, indexed, consumed:
		t.handshake(r)
	case cookie:
		e := t.event(r, probe.SeamUDPReceive, probe.KindCookie)
		e.DecodeOuter(t.packet(r))
		e.Checkpoint, e.OuterDstPort = probe.A3, r.port()
		t.rec.Record(probe.LaneControl, &e)
	}
	t.expire(int64(r.long(atTime)))
}

// expire gives up what has waited too long.
func (t *translator) expire(now int64) {
	t.now = max(t.now, now)
	t.opened.until(t.now - undelivered)
}

// routed is a packet that enters the tunnel.
func (t *translator) routed(r raw) {
	e := t.event(r, probe.SeamTUNRead, probe.KindInner)
	b := t.packet(r)
	if !e.DecodeInner(b) {
		e.Reason = probe.NotIP
		t.rec.Record(probe.LaneTUNRead, &e)
		return
	}
	t.side(&e, b, true, probe.A1, probe.B7)
	t.allow.prefix(&e, &e.InnerDst)
	_, reachable := r.endpoint()
	switch {
	case e.Peer == 0 && e.InnerDst.Multicast():
		e.Reason = probe.LinkScope
	case e.Peer == 0:
		e.Reason = probe.NoAllowedIPsMatch
	case !reachable:
		e.Reason = probe.NoEndpoint
	}
	seq := t.rec.Record(probe.LaneTUNRead, &e)
	if e.Reason == probe.ReasonNone {
		t.entered.put(r.long(atSkb), seq, 0)
	}
}

// encrypted is what will be in a message.
func (t *translator) encrypted(r raw) {
	e := t.event(r, probe.SeamUDPSend, probe.KindData)
	b := t.packet(r)
	switch {
	case len(b) == 0:
		e.Checkpoint = probe.B8
		if r.initiator() {
			e.Checkpoint = probe.A4
		}
	case e.DecodeInner(b):
		t.side(&e, b, true, probe.A4, probe.B8)
		t.allow.prefix(&e, &e.InnerDst)
	}
	// A packet that was cut into several has other memory.
	e.Pair, _ = t.entered.take(r.long(atSkb))
	t.sealed.put(r.message(), e, 0)
}

// sent is a message that is handed to the socket.
func (t *translator) sent(r raw) {
	e := t.event(r, probe.SeamUDPSend, probe.KindOther)
	if e.DecodeOuter(t.packet(r)) != probe.ReasonNone {
		return
	}
	t.to(&e, r)
	lane := probe.LaneControl
	switch e.Kind {
	case probe.KindInitiation:
		e.Checkpoint = probe.A2
	case probe.KindResponse:
		e.Checkpoint = probe.B2
	default:
		lane = probe.LaneUDPSend
		if in, ok := t.sealed.take(message{r.long(atPeer), e.Receiver, e.Counter}); ok {
			e.Checkpoint, e.Pair, e.PrefixBits = in.Checkpoint, in.Pair, in.PrefixBits
			inner(&e, &in)
		}
	}
	seq := t.rec.Record(lane, &e)
	t.endpoint(e.Peer, r, e.Time, seq, false)
}

// ofErrors are the flags of ICMP errors.
const ofErrors = probe.FlagQuotes | probe.FlagNodeSays

// inner takes over what is known of the inner packet.
func inner(e, in *probe.Event) {
	e.InnerSrc, e.InnerDst, e.InnerSrcPort, e.InnerDstPort = in.InnerSrc, in.InnerDst, in.InnerSrcPort, in.InnerDstPort
	e.InnerLen, e.Proto, e.Info = in.InnerLen, in.Proto, in.Info
	e.Flags = in.Flags &^ ofErrors // their fields are the message's here
}

// failed is a message that the socket has refused.
func (t *translator) failed(r raw) {
	e := t.event(r, probe.SeamDevice, probe.KindData)
	t.to(&e, r)
	e.SetErrno(syscall.Errno(-r.result()))
	t.rec.Record(probe.LaneControl, &e)
}

// replied is a cookie reply.
func (t *translator) replied(r raw) {
	e := t.event(r, probe.SeamUDPSend, probe.KindCookie)
	e.DecodeOuter(t.packet(r))
	t.to(&e, r)
	e.Checkpoint = probe.B2
	t.rec.Record(probe.LaneControl, &e)
}

// decrypted is a data message that was received.
func (t *translator) decrypted(r raw) {
	e := t.event(r, probe.SeamUDPReceive, probe.KindData)
	t.from(&e, r)
	e.Receiver, e.Counter = r.index(), r.long(atCounter)
	e.Checkpoint = probe.B3 // the side that began the session is as a rule the one that had something to send
	if r.initiator() {
		e.Checkpoint = probe.A5
	}
	b := t.packet(r)
	e.OuterLen = uint16(min(len(b)+probe.LenKeepalive, maxMessage-1))
	if r.result() == 0 {
		e.Reason = probe.AuthenticationFailed
		e.OuterLen = uint16(min(len(b)+probe.LenKeepalive/2, maxMessage-1))
		if tooOld(&e, b) {
			e.Reason, e.OuterLen = probe.ExpiredKey, uint16(len(b))
		}
		t.rec.Record(probe.LaneUDPReceive, &e)
		return
	}
	if len(b) == 0 {
		e.Kind = probe.KindKeepalive
		seq := t.rec.Record(probe.LaneUDPReceive, &e)
		t.endpoint(e.Peer, r, e.Time, seq, true)
		return
	}
	if b = unpadded(b); e.DecodeInner(b) {
		t.side(&e, b, false, probe.A5, probe.B3)
		t.allow.prefix(&e, &e.InnerSrc)
	}
	// The fields of what an ICMP error says are the message's here.
	e.Flags &^= ofErrors
	t.from(&e, r)
	e.OuterDst, e.Sender = probe.Addr{}, 0
	seq := t.rec.Record(probe.LaneUDPReceive, &e)
	// An index of this host's own is no other peer's.
	m, o := message{index: e.Receiver, counter: e.Counter}, opened{seq, int64(r.long(atTime)), e}
	if t.opened.has(m) {
		t.dropped(o, probe.Replayed) // of two with one counter one is delivered at the most
		return
	}
	t.opened.put(m, o, o.at)
}

// tooOld reports whether a message that could not be decrypted was not tried: then its
// header has not been taken off.
func tooOld(e *probe.Event, b []byte) bool {
	return len(b) >= probe.LenKeepalive && binary.LittleEndian.Uint32(b) == probe.TypeData &&
		binary.LittleEndian.Uint32(b[4:]) == e.Receiver && binary.LittleEndian.Uint64(b[8:]) == e.Counter
}

// unpadded is a packet without what was added to hide its length, as far as it says so
// itself.
func unpadded(b []byte) []byte {
	n := len(b)
	switch {
	case len(b) >= 20 && b[0]>>4 == 4:
		n = int(binary.BigEndian.Uint16(b[2:]))
	case len(b) >= 40 && b[0]>>4 == 6:
		n = 40 + int(binary.BigEndian.Uint16(b[4:]))
	}
	return b[:min(n, len(b))]
}

// delivered is a decrypted packet whose source is looked up. The record's peer is the one
// whose AllowedIPs have it.
func (t *translator) delivered(r raw) {
	from, ok := t.opened.take(message{index: r.index(), counter: r.long(atCounter)})
	if !ok {
		return // whose session it is was not seen
	}
	e := t.event(r, probe.SeamTUNWrite, probe.KindInner)
	e.Pair, e.Receiver, e.Counter = from.seq, from.event.Receiver, from.event.Counter
	e.OuterSrc, e.OuterSrcPort, e.OuterLen = from.event.OuterSrc, from.event.OuterSrcPort, from.event.OuterLen
	allowed := e.Peer == from.event.Peer
	e.Peer = from.event.Peer
	b := t.packet(r)
	if e.DecodeInner(b) {
		t.side(&e, b, false, probe.A6, probe.B4)
		t.allow.prefix(&e, &e.InnerSrc)
	}
	switch {
	case allowed:
	case e.InnerDst.Multicast() || e.InnerSrc.LinkLocal():
		e.Reason = probe.LinkScope
	default:
		e.Reason = probe.DisallowedSource
	}
	t.rec.Record(probe.LaneTUNWrite, &e)
	if e.Reason == probe.ReasonNone {
		t.endpoint(e.Peer, r, e.Time, from.seq, true)
	}
}

// undelivered is a packet that was decrypted and whose source was never looked up: it
// came before, or is no IP packet.
func (t *translator) undelivered(_ message, o opened) {
	if n := t.lost(); n != t.lostThen {
		t.lostThen, t.doubtful = n, t.now
	}
	if o.at <= t.doubtful || t.now-o.at < undelivered {
		return // a record that was lost may have said so, or there was no room to wait
	}
	if o.event.InnerSrc == (probe.Addr{}) {
		t.dropped(o, probe.BadInnerPacket)
		return
	}
	t.dropped(o, probe.Replayed)
}

// dropped records what has become of a packet after it was decrypted.
func (t *translator) dropped(o opened, why probe.Reason) {
	e := o.event
	e.Time, e.Pair, e.Seam, e.Reason = time.Now().UnixNano(), o.seq, probe.SeamDevice, why
	t.rec.Record(probe.LaneControl, &e)
}

// endpoint notes where a peer's packets come from or go to, as a record says it.
func (t *translator) endpoint(id probe.PeerID, r raw, at int64, seq uint64, peers bool) {
	if ep, ok := r.endpoint(); ok && id != 0 {
		t.moved(id, ep, at, seq, peers)
	}
}

// moved records a change of a peer's endpoint beside the event that shows it: a message of the
// peer's, or one to it, whose endpoint somebody has set then.
func (t *translator) moved(id probe.PeerID, ep netip.AddrPort, at int64, seq uint64, peers bool) {
	old, known := t.endpoints[id]
	if known && old == ep {
		return
	}
	t.endpoints[id] = ep
	e := probe.Event{Time: at, Seam: probe.SeamDevice, Kind: probe.KindEndpoint, PrefixBits: probe.NoPrefix,
		Peer: id, Pair: seq, OuterDst: probe.AddrFrom(ep.Addr()), OuterDstPort: ep.Port()}
	if peers {
		e.Flags |= probe.FlagEndpointMoved
	}
	if known {
		e.OuterSrc, e.OuterSrcPort = probe.AddrFrom(old.Addr()), old.Port()
	}
	t.rec.Record(probe.LaneControl, &e)
}

// waits reports whether something will be given up in time.
func (t *translator) waits() bool { return len(t.opened.all) > 0 }
