package legs

import (
	"net/netip"

	"github.com/wgnode/wgnode/probe"
	"github.com/wgnode/wgnode/probe/key"
	"github.com/wgnode/wgnode/probe/schema"
)

// Report is what a series of probes told. Its JSON form is a public contract: keys may be
// added, none is renamed.
type Report struct {
	Schema    schema.Version `json:"schema"`
	Interface string         `json:"interface"`
	// Level is how much is told of the tunnel's packets; "" of a node of an earlier release.
	Level    probe.Level `json:"level,omitempty"`
	Target   string      `json:"target"`
	Peer     key.Public  `json:"peer,omitzero"`
	PeerName string      `json:"peer_name,omitempty"`
	// Probe is what was sent: icmp, tcp or udp.
	Probe string `json:"probe"`
	// PacketSize is that of each probe's packet inside of the tunnel, with its IP header, in
	// bytes; 0 where it was not seen.
	PacketSize int `json:"packet_size,omitempty"`
	Counts
	// RTT is from socket to socket; nil where nothing was answered.
	RTT  *Times `json:"rtt_ns"`
	Legs []Leg  `json:"legs"`
	// Errors are what other hosts, or this one, said of probes.
	Errors []Said `json:"errors,omitempty"`
	// Size is what --size auto found.
	Size    *Sizes   `json:"size,omitempty"`
	Remarks []string `json:"remarks,omitempty"`
}

// Counts are what became of a number of probes.
type Counts struct {
	Sent     uint64 `json:"sent"`
	Answered uint64 `json:"answered"` // in time; also by a refusal
	// Refused are those of the answered ones whose answer was that nobody listens there.
	Refused uint64 `json:"refused,omitempty"`
	// Late are answers that came when their probe counted as lost, Duplicates those to what
	// was answered already.
	Late       uint64 `json:"late,omitempty"`
	Duplicates uint64 `json:"duplicates,omitempty"`
	// Repeated are connections that came about only after the kernel had sent their first
	// segment again: that probe was lost.
	Repeated uint64 `json:"repeated,omitempty"`
	// Waiting were under way when the series ended. They are not among Sent.
	Waiting uint64 `json:"waiting,omitempty"`
	// Loss is the part of those sent that was not answered in time, 0 to 1.
	Loss float64 `json:"loss"`
}

// Leg is one part of the way, between two places: a checkpoint, or the socket.
type Leg struct {
	From string `json:"from"`
	To   string `json:"to"`
	Text string `json:"text"`
	// Entered are the probes that were seen at its beginning, Lost those of them that were
	// never answered and seen nowhere later.
	Entered uint64  `json:"entered"`
	Lost    uint64  `json:"lost"`
	Loss    float64 `json:"loss"` // Lost of Entered, 0 to 1
	// Dropped are those of the lost ones that a node says it dropped, by reason.
	Dropped map[string]uint64 `json:"dropped,omitempty"`
	// RTT is how long answered probes took on this leg alone; nil where that is not known.
	RTT *Times `json:"rtt_ns"`
	// Open is by how much the least, average and most may be more or less than they say, for
	// all probes alike: the clocks of two hosts are known only so far. Jitter has no part in it.
	Open int64 `json:"clock_open_ns,omitempty"`
}

// Said is what was said of some probes in place of an answer.
type Said struct {
	From  netip.Addr `json:"from,omitzero"` // none: this host itself
	Text  string     `json:"text"`
	Count uint64     `json:"count"`
}

// Sizes are which sizes of packets are answered. All are of the packet inside of the tunnel,
// with its IP header, and nobody may fragment it.
type Sizes struct {
	// Largest is the largest that was answered, 0 for none; the answer is as large.
	Largest int `json:"largest"`
	// Data is what `ping -s` takes for it.
	Data int `json:"data,omitempty"`
	// Unanswered is the smallest that was tried and not answered; 0 if all were.
	Unanswered int `json:"unanswered,omitempty"`
	// Limit is the MTU of the interface: nothing larger was tried.
	Limit int `json:"limit"`
	// Encrypted is the size of the packet that carries the largest, with its IP and UDP
	// headers; 0 where it was not seen. Whether that was whole on its way is not known.
	Encrypted int `json:"encrypted,omitempty"`
	// Unknown is why no size was found.
	Unknown string    `json:"unknown,omitempty"`
	Tried   []SizeTry `json:"tried"`
}

// SizeTry is one size, and whether it was answered.
type SizeTry struct {
	Size     int        `json:"size"`
	Packets  int        `json:"packets"` // that were sent of it
	Answered bool       `json:"answered"`
	From     netip.Addr `json:"said_by,omitzero"` // who said that it is too big
	Said     string     `json:"said,omitempty"`
}
