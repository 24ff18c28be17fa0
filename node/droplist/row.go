package droplist

import (
	"fmt"
	"time"

	"github.com/wgnode/wgnode/probe"
	"github.com/wgnode/wgnode/probe/eventtext"
	"github.com/wgnode/wgnode/probe/key"
	"github.com/wgnode/wgnode/probe/schema"
)

// Row is what the kernel drops for one reason at one place, and the latest such packet. It
// is what is printed as JSON: keys may be added, none is renamed.
type Row struct {
	Schema  schema.Version `json:"schema"`
	Time    time.Time      `json:"time"`             // of the latest packet, UTC
	Segment string         `json:"segment"`          // "inner" or "outer"
	Reason  string         `json:"reason"`           // the kernel's: "TC_EGRESS"
	Place   string         `json:"place,omitempty"`  // the kernel's function: "__dev_queue_xmit"
	Hook    string         `json:"hook,omitempty"`   // part of the path of the latest: "ingress", "prerouting", "input", ...
	Device  string         `json:"device,omitempty"` // that it was at
	Socket  bool           `json:"socket,omitempty"` // the latest was to be received by a socket
	// Proven says that this reason at this place proves that the packets are lost. Else
	// it is a hint: packets of connections that work may have it, too.
	Proven    bool    `json:"proven"`
	Count     uint64  `json:"count"`              // of packets, since the list began
	AtLeast   bool    `json:"at_least,omitempty"` // there were more, of which the filter has seen nothing
	PerSecond float64 `json:"per_second"`         // over the last one or two seconds
	Packet    Packet  `json:"packet"`             // the latest
	// Lost is how many reports of the list, of any row, found no room. Count has their packets.
	Lost uint64 `json:"lost,omitempty"`

	event probe.Event // of the latest packet
	peer  Peer
}

// Packet is what the headers say of a dropped packet. Of an encrypted one the addresses
// are those of the hosts, and what is in it is not known.
type Packet struct {
	Src      string `json:"src"`
	Dst      string `json:"dst"`
	SPort    uint16 `json:"sport,omitempty"`
	DPort    uint16 `json:"dport,omitempty"`
	Proto    string `json:"proto"` // "tcp", "udp", "icmp", "icmp6", or a number as a string
	Len      int    `json:"len"`   // in bytes, with the IP header
	Fragment bool   `json:"fragment,omitempty"`
	Kind     string `json:"kind"` // "inner"; of an encrypted one "data", "initiation", ...
	Sender   uint32 `json:"sender,omitempty"`
	Receiver uint32 `json:"receiver,omitempty"` // receiver index and counter tell which event of `watch` it is
	Counter  uint64 `json:"counter,omitempty"`
	Peer     string `json:"peer,omitempty"` // public key in base64
	PeerName string `json:"peer_name,omitempty"`

	detail string
}

// Detail says in a line what the packet was.
func (p *Packet) Detail() string { return p.detail }

// Where is the place, and the part of the path.
func (r *Row) Where() string { d := r.Drop(); return d.Where() }

// Drop is what the kernel says of the latest packet.
func (r *Row) Drop() eventtext.Drop {
	return eventtext.Drop{Segment: r.Segment, Place: r.Place, Hook: r.Hook, Device: r.Device, Proven: r.Proven,
		Count: r.Count, AtLeast: r.AtLeast}
}

// Event has the headers of the latest packet. Its peer is one of the row's, see [Row.Peer].
func (r *Row) Event() *probe.Event { return &r.event }

// Peer implements [eventtext.Names] for the latest packet.
func (r *Row) Peer(probe.PeerID) (k key.Public, name string, ok bool) {
	return r.peer.PublicKey, r.peer.Name, !r.peer.PublicKey.IsZero()
}

// describe fills the packet from an event that has its headers.
func (p *Packet) describe(e *probe.Event, length int) {
	e.InnerLen = uint16(length)
	if e.Kind == probe.KindInner {
		src, dst := e.Inner()
		*p = Packet{Src: src.Addr().String(), Dst: dst.Addr().String(), Proto: eventtext.ProtoName(e.Proto),
			Fragment: e.Flags&probe.FlagFragment != 0, detail: string(eventtext.AppendDetail(nil, e, &eventtext.Options{}))}
		if e.Proto == probe.ProtoTCP || e.Proto == probe.ProtoUDP {
			p.SPort, p.DPort = src.Port(), dst.Port()
		}
	} else {
		src, dst := e.Outer()
		*p = Packet{Src: src.Addr().String(), Dst: dst.Addr().String(), SPort: src.Port(), DPort: dst.Port(),
			Proto: eventtext.ProtoName(probe.ProtoUDP), Sender: e.Sender, Receiver: e.Receiver, Counter: e.Counter}
		p.detail = fmt.Sprintf("%s > %s %s len %d", src, dst, e.Kind, length)
		switch e.Kind {
		case probe.KindData, probe.KindKeepalive:
			p.detail += fmt.Sprintf(" receiver %#08x counter %d", e.Receiver, e.Counter)
		case probe.KindInitiation, probe.KindResponse:
			p.detail += fmt.Sprintf(" sender %#08x", e.Sender)
		}
	}
	p.Len, p.Kind = length, e.Kind.String()
}
