package merge

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/bits"

	"github.com/wgnode/wgnode/probe"
)

// samplesKept bounds how many messages of each kind and direction the first pass
// remembers of a recording.
const samplesKept = 1 << 14

// sample remembers when some of the messages passed. Which ones depends on the
// messages alone, so that samples of two recordings have the same ones.
type sample struct {
	level int // messages whose hash ends with fewer zeros are left out
	at    map[message]sampled
}

type sampled struct {
	time int64
	host int8 // the other end, -1 if it is not known
}

// add remembers when m passed for the first time.
func (s *sample) add(m message, v sampled) {
	if bits.TrailingZeros64(m.mixed()) < s.level {
		return
	}
	if s.at == nil {
		s.at = make(map[message]sampled)
	}
	if _, ok := s.at[m]; ok {
		return
	}
	s.at[m] = v
	for len(s.at) > samplesKept {
		s.level++
		for m := range s.at {
			if bits.TrailingZeros64(m.mixed()) < s.level {
				delete(s.at, m)
			}
		}
	}
}

// scanned is what the first pass learns of a recording.
type scanned struct {
	first, last int64 // times of events; 0 if there are none
	events      int
	sent, got   [2]sample // handshake messages, and data
}

// scan reads a recording once.
func (m *merger) scan(ctx context.Context, h *host) error {
	src, err := h.rec.open()
	if err != nil {
		return fmt.Errorf("read %s: %w", h.rec.name, err)
	}
	defer src.Close()
	for n := 0; ; n++ {
		if n&0xfff == 0 && ctx.Err() != nil {
			return ctx.Err()
		}
		e, _, _, err := src.Next()
		if errors.Is(err, io.EOF) {
			end := src.Ending()
			h.endedAt, h.saw, h.dropsMissed = end.at, end.saw, end.drops
			if end.peers != nil {
				h.Peers = end.peers
			}
			return checkTime(h.rec.name, h.endedAt)
		}
		if err != nil {
			return fmt.Errorf("read %s: %w", h.rec.name, err)
		}
		if e.Time <= 0 || e.Time > latestTime {
			return fmt.Errorf("read %s: %w: an event has the time %v", h.rec.name, errCorrupt, e.When().UTC())
		}
		h.scanned.add(e, h)
	}
}

// latestTime is the latest that an event may have, in nanoseconds since 1970. Times
// up to it can be subtracted from each other, and be aligned, without overflow.
const latestTime = 1 << 62

func (s *scanned) add(e *probe.Event, h *host) {
	if s.events == 0 || e.Time < s.first {
		s.first = e.Time
	}
	if s.events == 0 || e.Time > s.last {
		s.last = e.Time
	}
	s.events++
	k, ok := messageOf(e)
	if !ok {
		return
	}
	k.to = 0 // who it is for is settled when samples are compared
	i := 0
	if k.what == Data {
		i = 1
	}
	v := sampled{e.Time, h.other(e.Peer)}
	if e.Seam == probe.SeamUDPSend {
		s.sent[i].add(k, v)
	} else {
		s.got[i].add(k, v)
	}
}

// compare adds to b what the samples of two hosts say: messages from a to z are
// given to forth.
func compare(a, z *host, forth func(sent, got int64)) (common int) {
	for i := range a.scanned.sent {
		got := &z.scanned.got[i]
		for m, s := range a.scanned.sent[i].at {
			g, ok := got.at[m]
			if !ok || s.host >= 0 && s.host != z.index || g.host >= 0 && g.host != a.index {
				continue
			}
			forth(s.time, g.time)
			common++
		}
	}
	return common
}
