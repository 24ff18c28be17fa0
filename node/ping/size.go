package ping

import (
	"bytes"
	"context"
	"fmt"
	"sync"
	"time"

	"golang.org/x/net/ipv4"
	"golang.org/x/net/ipv6"

	"github.com/wgnode/wgnode/probe/legs"
)

const (
	// leastSize4 and leastSize6 are what every IPv4 host takes (RFC 791), and every IPv6 link
	// (RFC 8200).
	leastSize4, leastSize6 = 576, 1280
	// sizeTries is how often a size is tried: one packet may be lost for other reasons.
	sizeTries = 3
	// leastPatience is how long the answer to a size is awaited at least.
	leastPatience = 500 * time.Millisecond
	// mostSizes bounds how many sizes are tried.
	mostSizes = 64
)

// Headers is how much of a packet of an echo is not its content, in bytes.
func Headers(v6 bool) int {
	if v6 {
		return ipv6.HeaderLen + icmpHeader
	}
	return ipv4.HeaderLen + icmpHeader
}

// sizer tries sizes.
type sizer struct {
	*series
	socket   Echoes
	patience time.Duration
	number   uint64
	tried    []legs.SizeTry

	mu    sync.Mutex
	sent  map[uint16]*sized // guarded by mu
	wake  chan struct{}     // of capacity 1
	ended bool              // guarded by mu
}

// sized is one packet.
type sized struct {
	data   []byte
	at     time.Time
	answer bool
	took   time.Duration
	said   *Answer
}

// refusedHere reports whether this host has not sent it.
func (p *sized) refusedHere() bool { return p.said != nil && !p.said.From.IsValid() }

// sizes finds the largest packet that is answered, and tells of each size that it tries.
func (s *series) sizes(ctx context.Context) error {
	socket, err := s.prober.Echoes(s.Target.Addr(), true)
	if err != nil {
		return err
	}
	z := &sizer{series: s, socket: socket, patience: min(s.Wait, MostWait), sent: make(map[uint16]*sized), wake: make(chan struct{}, 1)}
	s.tell(Sample{What: Began, Key: socket.ID()})
	done := make(chan struct{})
	go func() {
		defer close(done)
		z.receive()
	}()
	why := z.search(ctx)
	err = socket.Close()
	<-done
	if ctx.Err() != nil {
		why = "it was broken off"
	}
	s.tell(Sample{What: Searched, Text: why})
	return err
}

// search tries sizes between what always fits and the limit. It returns why no size can be
// named, "" if one can.
func (z *sizer) search(ctx context.Context) (why string) {
	head := Headers(z.Target.Addr().Is6())
	small := min(head+len(cookie()), z.Limit)
	if !z.answered(ctx, small) {
		return "the destination does not answer ICMP echo"
	}
	if z.answered(ctx, z.Limit) {
		return ""
	}
	least := leastSize4
	if z.Target.Addr().Is6() {
		least = leastSize6
	}
	passes, fails := small, z.Limit
	if least < z.Limit && z.answered(ctx, least) {
		passes = least
	} else if least < z.Limit {
		fails = least
	}
	for fails-passes > 1 && ctx.Err() == nil && len(z.tried) < mostSizes {
		if middle := passes + (fails-passes)/2; z.answered(ctx, middle) {
			passes = middle
		} else {
			fails = middle
		}
	}
	if ctx.Err() == nil && !z.answered(ctx, passes) { // it may have stopped answering meanwhile
		return fmt.Sprintf("packets of %d bytes were answered, and later were not: the path loses packets, or has changed", passes)
	}
	return ""
}

// answered tries a size.
func (z *sizer) answered(ctx context.Context, size int) bool {
	try := legs.SizeTry{Size: size}
	for here := false; try.Packets < sizeTries && !try.Answered && !here && ctx.Err() == nil; {
		try.Packets++
		p, seq := z.send(size)
		z.await(ctx, p)
		z.mu.Lock()
		if try.Answered = p.answer; p.answer {
			z.patience = min(max(leastPatience, 4*p.took), z.Wait)
		} else if p.said != nil {
			try.From, try.Said, here = p.said.From, p.said.Said, p.refusedHere()
		}
		delete(z.sent, seq-sizeTries) // what is older counts no more
		z.mu.Unlock()
	}
	if ctx.Err() != nil && !try.Answered {
		return false
	}
	z.tried = append(z.tried, try)
	z.tell(Sample{What: Tried, Size: &try})
	return try.Answered
}

func (z *sizer) send(size int) (*sized, uint16) {
	z.number++
	seq := uint16(z.number)
	p := &sized{data: content(max(size-Headers(z.Target.Addr().Is6()), 0))}
	z.tell(Sample{What: Sending, Number: z.number, Key: seq})
	z.mu.Lock()
	defer z.mu.Unlock()
	p.at = time.Now()
	z.sent[seq] = p
	if err := z.socket.Send(seq, p.data); err != nil {
		p.said = &Answer{Said: plain(err)}
	}
	return p, seq
}

// await waits until a packet is answered, somebody complains of it, or patience ends.
func (z *sizer) await(ctx context.Context, p *sized) {
	timer := time.NewTimer(z.patience)
	defer timer.Stop()
	for {
		z.mu.Lock()
		// What others say is heard, and not believed: anybody could have sent it.
		done := p.answer || p.refusedHere() || z.ended
		z.mu.Unlock()
		if done {
			return
		}
		select {
		case <-z.wake:
		case <-timer.C:
			return
		case <-ctx.Done():
			return
		}
	}
}

func (z *sizer) receive() {
	for {
		a, err := z.socket.Receive()
		at := time.Now()
		z.mu.Lock()
		if z.ended = err != nil; !z.ended {
			if p := z.sent[a.Seq]; p != nil {
				switch {
				case a.Said != "":
					said := a
					said.Data = nil
					p.said = &said
				case bytes.Equal(a.Data, p.data):
					p.answer, p.took = true, at.Sub(p.at)
				}
			}
		}
		ended := z.ended
		z.mu.Unlock()
		select {
		case z.wake <- struct{}{}:
		default:
		}
		if ended {
			return
		}
	}
}
