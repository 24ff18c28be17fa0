package ping

import (
	"context"
	"errors"
	"net"
	"os"
	"sync"
	"syscall"
	"time"
)

// each sends probes that have a socket of their own each. They are waited for twice as long as
// until they count as lost: what comes meanwhile is late.
// When all have been answered there is nothing more to wait for.
func (s *series) each(ctx context.Context, one func(ctx context.Context, number uint64, settled func())) error {
	s.tell(Sample{What: Began})
	rest, cancel := context.WithCancel(ctx)
	defer cancel()
	var unsettled sync.WaitGroup // not answered, and not given up
	s.pace(ctx, func(number uint64) {
		select {
		case s.room <- struct{}{}:
		case <-ctx.Done():
			return
		}
		s.wg.Add(1)
		unsettled.Add(1)
		go func() {
			defer s.wg.Done()
			defer func() { <-s.room }()
			settled := sync.OnceFunc(unsettled.Done)
			defer settled()
			one(rest, number, settled)
		}()
	})
	all := make(chan struct{})
	go func() { defer close(all); unsettled.Wait() }()
	select {
	case <-all:
	case <-time.After(s.Wait):
	}
	cancel()
	s.wg.Wait()
	<-all
	return nil
}

// connect is one probe by TCP.
func (s *series) connect(ctx context.Context, number uint64, _ func()) {
	ctx, cancel := context.WithTimeout(ctx, 2*s.Wait)
	defer cancel()
	var at time.Time
	repeated, err := s.prober.Connect(ctx, s.Target, func(port uint16) {
		s.tell(Sample{What: Sending, Number: number, Key: port})
		at = time.Now()
	})
	now := time.Now()
	if at.IsZero() { // there was not even a socket
		s.tell(Sample{What: Sending, Number: number})
		at = now
	}
	s.tell(Sample{What: Sent, Number: number, At: at})
	m := Sample{What: Answered, Number: number, At: now, Took: now.Sub(at), Refused: refused(err), From: s.Target.Addr()}
	switch {
	case err != nil && !m.Refused:
		if ctx.Err() == nil {
			s.tell(Sample{What: Said, Number: number, At: now, Text: plain(err)})
		}
		return
	case repeated:
		m.What = Repeated
	case m.Took > s.Wait:
		m.What = Late
	}
	s.tell(m)
}

// datagram is one probe by UDP.
func (s *series) datagram(ctx context.Context, number uint64, settled func()) {
	ctx, cancel := context.WithTimeout(ctx, 2*s.Wait)
	defer cancel()
	c, err := s.prober.Datagrams(ctx, s.Target)
	if err != nil {
		s.tell(Sample{What: Sending, Number: number})
		s.tell(Sample{What: Said, Number: number, At: time.Now(), Text: plain(err)})
		return
	}
	defer c.Close()
	stop := context.AfterFunc(ctx, func() { _ = c.SetReadDeadline(time.Now()) }) // wakes the reader
	defer stop()
	s.tell(Sample{What: Sending, Number: number, Key: portOf(c.LocalAddr())})
	at := time.Now()
	_, err = c.Write(s.Payload)
	s.tell(Sample{What: Sent, Number: number, At: at})
	if err != nil {
		s.tell(Sample{What: Said, Number: number, At: time.Now(), Text: plain(err)})
		return
	}
	s.answers(ctx, c, number, at, settled)
}

// answers waits for what comes back to a datagram's socket.
func (s *series) answers(ctx context.Context, c net.Conn, number uint64, at time.Time, settled func()) {
	buf := make([]byte, 1<<16)
	for answered := false; ; answered = true {
		n, err := c.Read(buf)
		m := Sample{What: Answered, Number: number, At: time.Now(), Refused: refused(err), From: s.Target.Addr(), Bytes: n}
		m.Took = m.At.Sub(at)
		switch {
		case ctx.Err() != nil || errors.Is(err, os.ErrDeadlineExceeded):
			return
		case err != nil && !m.Refused:
			s.tell(Sample{What: Said, Number: number, At: m.At, Text: plain(err)})
			return
		case answered:
			m.What = Duplicate
		case m.Took > s.Wait:
			m.What = Late
		}
		s.tell(m)
		settled()
	}
}

func refused(err error) bool { return errors.Is(err, syscall.ECONNREFUSED) }

// plain is what the system says, without the operation and the addresses, which are known.
func plain(err error) string {
	var errno syscall.Errno
	if errors.As(err, &errno) {
		return errno.Error()
	}
	return err.Error()
}

func portOf(a net.Addr) uint16 {
	if u, ok := a.(*net.UDPAddr); ok {
		return u.AddrPort().Port()
	}
	return 0
}
