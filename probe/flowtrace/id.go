package flowtrace

import (
	"crypto/sha256"
	"encoding/binary"
	"math"
	"strings"

	"github.com/wgnode/wgnode/probe"
	"github.com/wgnode/wgnode/probe/flows"
	"github.com/wgnode/wgnode/probe/key"
)

// TraceID and SpanID are as OpenTelemetry has them. Zero is none.
type (
	TraceID [16]byte
	SpanID  [8]byte
)

// What an id is made of begins with its kind, so that no two kinds are ever the same.
const (
	ofConnection = "wgnode connection\x00"
	ofEcho       = "wgnode echo\x00"
	ofMessage    = "wgnode message\x00"
	ofHandshake  = "wgnode handshake\x00"
	ofWire       = "wgnode wire\x00"
)

// hashed collects what an id is made of.
type hashed []byte

func (h hashed) number(n uint64) hashed { return binary.BigEndian.AppendUint64(h, n) }

func (h hashed) trace() (id TraceID) {
	sum := sha256.Sum256(h)
	copy(id[:], sum[:])
	return id
}

func (h hashed) span() (id SpanID) {
	sum := sha256.Sum256(h)
	copy(id[:], sum[:])
	return id
}

// message is what tells one message between two hosts from all others that they have exchanged.
type message struct {
	receiver uint32
	counter  uint64
	known    bool
}

func messageOf(e *probe.Event) message { return message{e.Receiver, e.Counter, true} }

// traceOfMessage is the trace of a flow that only two hosts can join, by the message that its first
// packet was in.
func traceOfMessage(m message, from, to key.Public) TraceID {
	h := append(hashed(ofMessage), from[:]...)
	h = append(h, to[:]...)
	return h.number(uint64(m.receiver)).number(m.counter).trace()
}

// traceOfHandshake is the trace of a handshake, by the index that the initiator has chosen for it.
func traceOfHandshake(index uint32, initiator, responder key.Public) TraceID {
	h := append(hashed(ofHandshake), initiator[:]...)
	h = append(h, responder[:]...)
	return h.number(uint64(index)).trace()
}

// wire is the span of what is between sending a message and receiving its answer: its sender's, and
// the parent of the receiver's.
func wire(t TraceID, m message) SpanID {
	return append(hashed(ofWire), t[:]...).number(uint64(m.receiver)).number(m.counter).span()
}

// traceOfContent is the trace of a flow by what every host on its way sees of the first packet, and
// false if that is not enough to be sure. See the package's documentation.
func traceOfContent(e *probe.Event, k *flows.Key, anonymize bool) (id TraceID, ok bool) {
	if s, has := e.Segment(); has && s.Stamp != 0 {
		return append(hashed(ofConnection), 0).number(uint64(s.Seq)).number(uint64(s.Stamp)).trace(), true
	}
	if request, _ := e.ICMPEcho(); request && !anonymize {
		h := append(hashed(ofEcho), e.InnerSrc[:]...)
		h = append(h, e.InnerDst[:]...)
		return h.number(uint64(k.Proto)).number(uint64(e.InnerSrcPort)).number(uint64(e.InnerDstPort)).trace(), true
	}
	return id, false
}

// Threshold is what the low 56 bits of a trace's id must reach to be traced, where a part of all is:
// the rule of OpenTelemetry's consistent probability sampling, by which all hosts keep the same.
type Threshold uint64

const allTraces = 1 << 56

// ThresholdOf is that of a part of all, from 0 to 1.
func ThresholdOf(ratio float64) Threshold {
	return Threshold(allTraces - uint64(math.Round(min(max(ratio, 0), 1)*allTraces)))
}

// Keeps reports whether a trace is one of those that are traced.
func (t Threshold) Keeps(id TraceID) bool {
	return binary.BigEndian.Uint64(id[8:])&(allTraces-1) >= uint64(t)
}

// State is the threshold as a trace state has it: "ot=th:fd70a4".
func (t Threshold) State() string {
	if t == 0 {
		return "ot=th:0"
	}
	const digits = "0123456789abcdef"
	var b [14]byte
	for i := range b {
		b[i] = digits[uint64(t)>>(4*(13-i))&0xf]
	}
	return "ot=th:" + strings.TrimRight(string(b[:]), "0")
}
