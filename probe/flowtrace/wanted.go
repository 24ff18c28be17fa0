package flowtrace

import (
	"encoding/binary"
	"math/bits"
	"time"

	"github.com/wgnode/wgnode/probe"
	"github.com/wgnode/wgnode/probe/flows"
)

// Wanted reports whether a tracer has to be given an event. It is called for every event, where it was
// recorded, by the goroutine that calls Event: of connections only how they begin is looked at, and of
// other flows whatever comes before their answer.
func (t *Tracer) Wanted(e *probe.Event) bool {
	switch e.Kind {
	case probe.KindInitiation, probe.KindResponse:
		return true
	case probe.KindInner, probe.KindData:
	default:
		return false
	}
	if e.Seam == probe.SeamUDPReceive || e.Seam == probe.SeamForward {
		return false
	}
	if e.Dropped() {
		return e.HasAddrs()
	}
	switch e.Proto {
	case probe.ProtoTCP:
		return e.TCPFlags()&(probe.TCPSyn|probe.TCPRst) != 0
	case 0:
		return false
	}
	return e.ICMPError() || !t.seen.has(e)
}

// seen remembers flows of protocols without connections that are followed no more, for as long as
// packets come. It is of a fixed size: 512 KiB, for 65,536 of them.
type seen []seenSet

type seenSet [4]seenFlow

type seenFlow struct {
	tag  uint32
	last uint32 // in seconds
}

const seenSets = 1 << 14

func newSeen() seen { return make(seen, seenSets) }

func (s seen) has(e *probe.Event) bool {
	hash := hashOf(e.InnerSrc, e.InnerDst, e.InnerSrcPort, e.InnerDstPort, e.Proto, e.Peer)
	set, tag, now := &s[hash%seenSets], uint32(hash>>32)|1, uint32(e.Time/int64(time.Second))
	for i := range set {
		if f := &set[i]; f.tag == tag {
			if now-f.last > uint32(idleTime/time.Second) && now > f.last {
				f.tag = 0
				return false
			}
			f.last = max(f.last, now)
			return true
		}
	}
	return false
}

// note has a flow be seen from now on. TCP needs none: its packets say whether they begin something.
func (s seen) note(k *flows.Key, at int64) {
	if k.Proto == probe.ProtoTCP {
		return
	}
	src, dst := probe.AddrFrom(k.Client.Addr()), probe.AddrFrom(k.Server.Addr())
	hash := hashOf(src, dst, k.Client.Port(), k.Server.Port(), k.Proto, k.Peer)
	set, tag, now := &s[hash%seenSets], uint32(hash>>32)|1, uint32(at/int64(time.Second))
	oldest := &set[0]
	for i := range set {
		f := &set[i]
		if f.tag == tag || f.tag == 0 {
			oldest = f
			break
		}
		if f.last < oldest.last {
			oldest = f
		}
	}
	*oldest = seenFlow{tag, now}
}

// hashOf is the same for both directions of a flow.
func hashOf(src, dst probe.Addr, srcPort, dstPort uint16, proto uint8, peer probe.PeerID) uint64 {
	s, d := uint64(srcPort), uint64(dstPort)
	if proto == probe.ProtoICMP || proto == probe.ProtoICMPv6 {
		d = s // the identifier; the sequence number is no part of the flow
	}
	x := mix(binary.NativeEndian.Uint64(src[:]), binary.NativeEndian.Uint64(src[8:])+s<<17)
	y := mix(binary.NativeEndian.Uint64(dst[:]), binary.NativeEndian.Uint64(dst[8:])+d<<17)
	return mix(x+y, (x^y)+uint64(proto)<<32+uint64(peer))
}

func mix(a, b uint64) uint64 {
	high, low := bits.Mul64(a^0x9e3779b97f4a7c15, b^0xe7037ed1a0b428db)
	return high ^ low
}

// What is traced because something is wrong has a bound: so many a second, and as many again at once.
const (
	limitRate  = 100
	limitBurst = 200
)

// bucket is that bound.
type bucket struct {
	level float64 // taken and not yet given back
	at    int64
}

func (b *bucket) take(now int64) bool {
	if b.at != 0 && now > b.at {
		b.level = max(0, b.level-float64(now-b.at)/1e9*limitRate)
	}
	b.at = max(b.at, now)
	if b.level >= limitBurst {
		return false
	}
	b.level++
	return true
}
