package seam

import (
	"runtime"
	"time"

	"golang.zx2c4.com/wireguard/conn"

	"github.com/wgnode/wgnode/tunnel/internal/mirror"
)

// The device holds packets in buffers of 64 KiB, of which it has as many as are asked
// for: 16,384 wait for a peer without a session (device.QueueStagedSize batches), and
// 131,072 for a processor. A host that sends with large windows fills gigabytes. So
// who hands packets to the device looks how many of a peer are inside.

// MaxInside is for how many packets of one peer and direction the device is given more:
// a batch for each processor to encrypt, two at least, and 64 MiB of buffers at most, as
// many packets as the kernel's WireGuard keeps (MAX_QUEUED_PACKETS). What is beyond that
// only waits, in memory that is in no processor's cache any more.
var MaxInside = uint64(min(1024, conn.IdealBatchSize*max(2, runtime.GOMAXPROCS(0))))

const (
	// insideEvery is at how many packets of a peer that is looked at.
	insideEvery = 64
	// roomPause, roomMoves: who waits for room looks that often, and gives up if
	// nothing has left in so many looks. It does not wait for longer than roomWait.
	roomPause = 200 * time.Microsecond
	roomMoves = 10
	roomWait  = 50 * time.Millisecond
	// stillFor is after how long, in nanoseconds, a peer that lets nothing through
	// and owes us an answer counts as one without a session.
	stillFor = int64(5 * time.Millisecond)
)

// gate makes one goroutine wait that hands packets to the device faster than these get
// through. Then they wait in the kernel, which knows how to deal with that.
type gate struct {
	crowded *mirror.Way // too many are on it; nil: none is known
	still   *mirror.Way // waiting for room on it was in vain,
	left    uint64      // as long as no more than this have left
}

// enter is for packets that enter on w: the last of them is number last.
func (g *gate) enter(w *mirror.Way, last uint64) {
	before := w.Entered.Load()
	w.Entered.Store(last)
	if before/insideEvery != last/insideEvery && last-w.Left.Load() > MaxInside {
		g.crowded = w
	}
}

// wait waits for room, if there was none and packets do get through.
func (g *gate) wait() {
	w := g.crowded
	if w == nil {
		return
	}
	g.crowded = nil
	left := w.Left.Load()
	if g.still == w && g.left == left {
		return
	}
	start, before := time.Now(), left
	for idle := 0; idle < roomMoves && w.Inside() > MaxInside; idle++ {
		if time.Since(start) > roomWait {
			if left != before {
				return // it is slow, and not still
			}
			break
		}
		time.Sleep(roomPause)
		if now := w.Left.Load(); now != left {
			left, idle = now, 0
		}
	}
	if w.Inside() > MaxInside {
		g.still, g.left = w, left
	}
}

// overflows reports whether too many packets wait for a peer that has no session: an
// answer of its is due, and nothing leaves. It is for the goroutine that reads the TUN
// device. Of a batch one packet enters even then: it takes the place of the oldest that
// waits, and has the device go on calling.
func overflows(p *mirror.Peer, now int64) bool {
	left := p.Out.Left.Load()
	if left != p.StillLeft {
		p.StillLeft, p.StillSince = left, now
	}
	return p.Out.Entered.Load()-left > MaxInside && p.Handshake.Pending.Load() != 0 && now-p.StillSince > stillFor
}
