// Package seam has the three places at which a tunnel stands around the WireGuard device:
//
//	host  <->  [TUN]  <->  device  <->  [UDP]  <->  network
//	                         |
//	                 [Watch.Logger]
//
// At the two packet seams every packet is decoded once, tagged, counted and recorded as a
// [probe.Event]. The logger is called with format and arguments, so that it is a stream of
// events with the peer attached.
//
// # A batch
//
// The device calls a seam with the packets of a batch. The lane of the flight recorder is
// held for all of it, and so are the ordinals of a peer: what goroutines share is touched
// once a batch, or once a series of one peer's packets, not once a packet. What is noted of
// a batch is published before the device, or the host, gets it.
//
// # The hot path
//
// No packet allocates, takes a lock that the other direction takes, or waits for an
// observer. Each direction remembers the flows of its latest packets, so that prefix and
// flow are looked up once for many. What it calls are concrete types, so that what is
// short is inlined.
//
// # The gate
//
// The device takes as many packets as it is given. So who hands it more than it can do
// waits, and the rest waits in the kernel.
package seam

import (
	"sync/atomic"

	"github.com/wgnode/wgnode/probe"
	"github.com/wgnode/wgnode/tunnel/internal/account"
	"github.com/wgnode/wgnode/tunnel/internal/handshake"
	"github.com/wgnode/wgnode/tunnel/internal/mirror"
	"github.com/wgnode/wgnode/tunnel/internal/refuse"
	"github.com/wgnode/wgnode/tunnel/internal/tag"
	"github.com/wgnode/wgnode/tunnel/internal/tap"
)

// Watch is what the seams of one device look with, and whom they tell. All but its
// counters is set before they are made.
type Watch struct {
	Recorder   *probe.Recorder
	Mirror     *mirror.Mirror
	Flows      *probe.Flows
	Tags       *tag.Tags
	Taps       *tap.Set
	Handshakes *handshake.Tracker
	Accountant *account.Accountant
	Refuser    *refuse.Refuser

	Untagged   atomic.Uint64 // data messages that could not be tied to their inner packet
	Mismatches atomic.Uint64 // packets whose peer was not the one that the mirror named
}

// next returns the event of a batch's next packet, which passes a seam at a time. The
// caller must not keep the pointer beyond the next call.
func next(b *probe.Batch, seam probe.Seam, now int64) *probe.Event {
	e := b.Next()
	e.Time, e.Seam, e.PrefixBits = now, seam, probe.NoPrefix
	return e
}
