package account

import (
	"encoding/binary"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"golang.zx2c4.com/wireguard/device"

	"github.com/wgnode/wgnode/probe"
	"github.com/wgnode/wgnode/tunnel/internal/tag"
)

// poolSpin bounds how long the goroutines that search the pool wait for each
// other.
const poolSpin = 200 * time.Microsecond

// poolLook bounds how many of the device's pooled buffers the accountant looks
// at in search of a dropped packet.
const poolLook = 64

// remains is what was found in a dropped packet's buffer.
type remains struct {
	reason probe.Reason
	inner  probe.Event // inner fields only
}

// Look examines the buffers that come out of the pool next. It is for the
// device's log to start: a new goroutine as a rule runs on the same processor
// as soon as the one that starts it waits, and so finds in that processor's
// pool the very packet that the log was about.
func (a *Accountant) Look() {
	if a.looking.CompareAndSwap(false, true) {
		go func() {
			defer a.looking.Store(false)
			a.lookPool()
			a.kick()
		}()
	}
}

// Reclaim looks at a buffer that the device hands out anew: one whose tag says
// that it came in and never went out holds a packet that was dropped.
func (a *Accountant) Reclaim(b []byte) {
	g, state := a.tags.Find(b)
	if state != tag.Inbound4 && state != tag.Inbound6 {
		return
	}
	id := packetID{g.Peer(), state, g.Ordinal()}
	var e probe.Event
	g.GetInbound(&e)
	g.Clear(a.tags.Magic)
	r, ok := a.examine(&e, b[:cap(b)])
	if !ok {
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.evidence.put(id, r)
}

// examine tells from the content of a data message that came in and was
// dropped why that was. Decryption happens in place: what fails to
// authenticate is overwritten with zeros, the rest is an inner packet.
func (a *Accountant) examine(e *probe.Event, buf []byte) (remains, bool) {
	end := int(e.OuterLen) - 16
	if end <= tag.Headroom || end > len(buf) {
		return remains{}, false // a keepalive: nothing in it to judge by
	}
	if peer, _ := a.m.Local.Lookup(binary.LittleEndian.Uint32(buf[4:])); peer != e.Peer || binary.LittleEndian.Uint32(buf) != probe.TypeData {
		return remains{}, false // the device has made a keepalive of its own in it since
	}
	inner := buf[tag.Headroom:end]
	if allZero(inner) {
		return remains{reason: probe.AuthenticationFailed}, true
	}
	var r remains
	if n, ok := innerLength(inner); ok && r.inner.DecodeInner(inner[:n]) {
		r.reason = probe.Replayed
		if from, _ := a.m.Allowed.Lookup(r.inner.InnerSrc.Netip()); from != e.Peer {
			r.reason = probe.DisallowedSource
		}
		return r, true
	}
	return remains{reason: probe.BadInnerPacket}, true
}

// innerLength is the length that an IP packet states, without padding, and
// whether the device would have accepted it.
func innerLength(b []byte) (int, bool) {
	switch {
	case len(b) >= 20 && b[0]>>4 == 4:
		n := int(b[2])<<8 | int(b[3])
		return n, n >= 20 && n <= len(b)
	case len(b) >= 40 && b[0]>>4 == 6:
		n := 40 + (int(b[4])<<8 | int(b[5]))
		return n, n <= len(b)
	}
	return 0, false
}

func allZero(b []byte) bool {
	for _, c := range b {
		if c != 0 {
			return false
		}
	}
	return true
}

// searchPool looks at the buffers in the device's pool, where the packets that
// were dropped last lie. The pool keeps some for each processor, out of reach
// of the others, so one goroutine a processor looks, all at once.
func (a *Accountant) searchPool() {
	n := runtime.GOMAXPROCS(0)
	var running atomic.Int32
	var wg sync.WaitGroup
	start := time.Now()
	for range n {
		wg.Go(func() {
			running.Add(1)
			for int(running.Load()) < n && time.Since(start) < poolSpin {
			}
			a.lookPool()
		})
	}
	wg.Wait()
}

// lookPool takes buffers out of the pool, looks at them and puts them back.
func (a *Accountant) lookPool() {
	var held []*[device.MaxMessageSize]byte
	for range poolLook {
		buf := a.dev.GetMessageBuffer()
		held = append(held, buf)
		if allZero(tag.Near(buf[:])) {
			break // a new one: there are no more
		}
		a.Reclaim(buf[:])
	}
	for _, buf := range held {
		a.dev.PutMessageBuffer(buf)
	}
}
