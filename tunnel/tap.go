package tunnel

import (
	"github.com/wgnode/wgnode/probe"
	"github.com/wgnode/wgnode/tunnel/internal/tap"
)

// TapHeaders as a snaplen keeps the headers of inner packets.
const TapHeaders = tap.Headers

// Tap is a running tap. Its methods are safe for concurrent use.
type Tap struct{ tap *tap.Tap }

// Tap begins to keep the first snaplen bytes of each packet that passes, or
// [TapHeaders], or everything if snaplen is 0; of an encrypted packet at least 48
// bytes. Close must be called in the end.
func (t *Tunnel) Tap(snaplen int) *Tap { return &Tap{t.watch.Taps.Begin(snaplen)} }

// Close ends the tap.
func (p *Tap) Close() { p.tap.Close() }

// Content appends what was kept of an event's packet to dst: at the TUN seams its
// beginning, at the UDP seams that of the datagram's payload. It reports false if
// nothing was kept although it should have been: the packet is too old, came too
// fast, or passed before the tap was there.
func (p *Tap) Content(dst []byte, e *probe.Event) (content []byte, ok bool) {
	return p.tap.Content(dst, e)
}
