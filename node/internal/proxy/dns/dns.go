package dns

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"time"

	"golang.org/x/net/dns/dnsmessage"

	"github.com/wgnode/wgnode/node/internal/proxy"
)

const (
	maxMessage = 65535 // bytes, RFC 1035 4.2.2
	// maxAsking is how many questions by UDP are under way; more are dropped, and
	// whoever asks asks again.
	maxAsking = 512
	// idleTime is how long a connection lasts without a question (RFC 7766 6.2.3).
	idleTime = 30 * time.Second
)

// Exchanger asks a name server. network is udp or tcp.
type Exchanger interface {
	Exchange(ctx context.Context, network string, query []byte) (reply []byte, err error)
}

// UDP answers the questions that c receives. It closes c in the end, and returns
// nil when ctx has ended and all that it began.
func UDP(ctx context.Context, c net.PacketConn, to Exchanger, o proxy.Options) error {
	s := server{to, o.WithDefaults()}
	ctx, cancel := context.WithCancel(ctx)
	var wg sync.WaitGroup
	defer wg.Wait()
	defer cancel()
	stop := context.AfterFunc(ctx, func() { _ = c.Close() }) // reading tells
	defer stop()
	slots := make(chan struct{}, maxAsking)
	buf := make([]byte, maxMessage)
	for {
		n, from, err := c.ReadFrom(buf)
		if ctx.Err() != nil {
			return nil
		}
		if err != nil {
			if proxy.Told(err) {
				continue
			}
			return fmt.Errorf("receive at %s: %w", c.LocalAddr(), errors.Join(err, c.Close()))
		}
		if !isQuestion(buf[:n]) {
			continue
		}
		select {
		case slots <- struct{}{}:
		default:
			continue
		}
		query := bytes.Clone(buf[:n])
		wg.Go(func() {
			defer func() { <-slots }()
			reply := s.answer(ctx, "udp", query)
			if _, err := c.WriteTo(reply, from); err != nil && ctx.Err() == nil {
				s.opt.Logger.Debug("dns: answer not delivered", "client", from.String(), "error", err)
			}
		})
	}
}

// TCP answers the questions of clients that connect to l, one after the other.
// It closes l in the end, and returns nil when ctx has ended and all that it
// began.
func TCP(ctx context.Context, l net.Listener, to Exchanger, o proxy.Options) error {
	s := server{to, o.WithDefaults()}
	return proxy.Serve(ctx, l, s.opt.MaxConns, func(ctx context.Context, c net.Conn) {
		for {
			if err := s.next(ctx, c); err != nil {
				if !errors.Is(err, io.EOF) && ctx.Err() == nil {
					s.opt.Logger.Debug("dns", "client", proxy.Client(c), "error", err)
				}
				return
			}
		}
	})
}

type server struct {
	to  Exchanger
	opt proxy.Options
}

// next answers one question.
func (s *server) next(ctx context.Context, c net.Conn) error {
	if err := c.SetDeadline(time.Now().Add(idleTime)); err != nil {
		return err
	}
	var length [2]byte
	if _, err := io.ReadFull(c, length[:]); err != nil {
		return err
	}
	query := make([]byte, binary.BigEndian.Uint16(length[:]))
	if _, err := io.ReadFull(c, query); err != nil {
		return err
	}
	if !isQuestion(query) {
		return errors.New("not a question")
	}
	reply := s.answer(ctx, "tcp", query)
	_, err := c.Write(append(binary.BigEndian.AppendUint16(nil, uint16(len(reply))), reply...))
	return err
}

// answer returns a server's answer, or that there is none.
func (s *server) answer(ctx context.Context, network string, query []byte) []byte {
	reply, err := s.to.Exchange(ctx, network, query)
	if err == nil {
		return reply
	}
	if ctx.Err() == nil {
		s.opt.Logger.Info("dns", "error", err)
	}
	return serverFailure(query)
}

// isQuestion reports whether b is a message with a question in it.
func isQuestion(b []byte) bool {
	var p dnsmessage.Parser
	h, err := p.Start(b)
	if err != nil || h.Response {
		return false
	}
	_, err = p.Question()
	return err == nil
}

// serverFailure is the answer SERVFAIL to a message that isQuestion.
func serverFailure(query []byte) []byte {
	var p dnsmessage.Parser
	h, err := p.Start(query)
	var q dnsmessage.Question
	if err == nil {
		q, err = p.Question()
	}
	m := dnsmessage.Message{
		Header: dnsmessage.Header{ID: h.ID, Response: true, OpCode: h.OpCode,
			RecursionDesired: h.RecursionDesired, RecursionAvailable: true, RCode: dnsmessage.RCodeServerFailure},
		Questions: []dnsmessage.Question{q},
	}
	b, perr := m.Pack()
	if err != nil || perr != nil {
		return query[:0] // never: it was read before
	}
	return b
}
