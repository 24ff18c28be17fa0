package ping

import (
	"bytes"
	"context"
	"sync"
	"time"
)

// echoes is the state of a series of echoes.
type echoes struct {
	*series
	socket Echoes
	data   []byte

	mu      sync.Mutex
	probes  map[uint16]*request // guarded by mu: the latest of each sequence number
	waiting int                 // guarded by mu: of them without an answer
	all     bool                // guarded by mu: all have been sent
	settled chan struct{}       // closed when all have been answered
}

// request is one echo request.
type request struct {
	number uint64
	at     time.Time
	answer bool
}

// echo sends a series of echoes.
func (s *series) echo(ctx context.Context) error {
	socket, err := s.prober.Echoes(s.Target.Addr(), false)
	if err != nil {
		return err
	}
	e := &echoes{series: s, socket: socket, data: content(s.Data), probes: make(map[uint16]*request), settled: make(chan struct{})}
	s.tell(Sample{What: Began, Key: socket.ID()})
	done := make(chan struct{})
	go func() {
		defer close(done)
		e.receive()
	}()
	s.pace(ctx, e.send)
	e.mu.Lock()
	if e.all = true; e.waiting == 0 {
		close(e.settled)
	}
	e.mu.Unlock()
	select {
	case <-e.settled:
	case <-time.After(s.Wait):
	case <-ctx.Done():
	}
	err = socket.Close()
	<-done
	return err
}

// content is that of an echo: a cookie as far as it fits, and then what ping(8) has.
func content(n int) []byte {
	b := make([]byte, n)
	for i := copy(b, cookie()); i < n; i++ {
		b[i] = byte(i)
	}
	return b
}

func (e *echoes) send(number uint64) {
	seq := uint16(number)
	e.tell(Sample{What: Sending, Number: number, Key: seq})
	r := &request{number: number, at: time.Now()}
	e.mu.Lock()
	if old := e.probes[seq]; old != nil && !old.answer {
		e.waiting--
	}
	e.probes[seq] = r
	e.waiting++
	e.mu.Unlock()
	err := e.socket.Send(seq, e.data)
	e.tell(Sample{What: Sent, Number: number, At: r.at})
	if err != nil {
		e.tell(Sample{What: Said, Number: number, At: time.Now(), Text: plain(err)})
	}
}

func (e *echoes) receive() {
	for {
		a, err := e.socket.Receive()
		at := time.Now()
		if err != nil {
			return // closed
		}
		e.mu.Lock()
		r := e.probes[a.Seq]
		switch {
		case r == nil:
		case a.Said != "":
			e.series.tell(Sample{What: Said, Number: r.number, At: at, From: a.From, Text: a.Said})
		case !bytes.Equal(a.Data, e.data):
		case r.answer:
			e.tell(Sample{What: Duplicate, Number: r.number, At: at, From: a.From, Took: at.Sub(r.at)})
		default:
			e.answered(r, &a, at)
		}
		e.mu.Unlock()
	}
}

// answered takes the first answer to a request. It is called with mu held.
func (e *echoes) answered(r *request, a *Answer, at time.Time) {
	r.answer = true
	e.waiting--
	m := Sample{What: Answered, Number: r.number, At: at, Took: at.Sub(r.at), From: a.From, Bytes: len(a.Data)}
	if m.Took > e.Wait {
		m.What = Late
	}
	e.tell(m)
	if e.all && e.waiting == 0 {
		close(e.settled)
	}
}
