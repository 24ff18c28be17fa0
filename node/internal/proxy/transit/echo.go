package transit

import (
	"context"
	"net"
	"net/netip"
	"sync"
	"syscall"

	"golang.org/x/net/icmp"
	"golang.org/x/net/ipv4"
	"golang.org/x/net/ipv6"

	"github.com/wgnode/wgnode/probe"
	"github.com/wgnode/wgnode/tunnel/netstack"
)

// echoFlow is the echo requests of one identifier from one peer to one host.
type echoFlow struct {
	*flow
	out chan netstack.Echo
}

// waitingEchoes is how many requests wait while the socket is opened.
const waitingEchoes = 16

// Types of ICMP messages (RFC 792, RFC 4443).
const (
	request4, reply4 = 8, 0
	request6, reply6 = 128, 129
)

// echo gets each request. It does not wait.
func (r *Router) echo(e netstack.Echo) {
	r.mu.Lock()
	defer r.mu.Unlock()
	f := r.echoes[e.Flow]
	if f == nil || f.ctx.Err() != nil {
		if r.ended {
			return
		}
		one, leave := r.flows.open(r.ctx)
		f = &echoFlow{one, make(chan netstack.Echo, waitingEchoes)}
		r.echoes[e.Flow] = f
		r.running.Go(func() {
			defer func() {
				leave()
				r.mu.Lock()
				defer r.mu.Unlock()
				if r.echoes[e.Flow] == f {
					delete(r.echoes, e.Flow)
				}
			}()
			r.echoFlow(f, e)
		})
	}
	f.touch()
	select {
	case f.out <- e:
	default: // as any queue that is full
	}
}

// echoFlow sends what comes to f.out and answers with what comes back, until nothing
// has passed for a while. first is the first of it.
func (r *Router) echoFlow(f *echoFlow, first netstack.Echo) {
	w := witness{r.record, first.Flow}
	far, err := openEcho(first.To.Addr())
	if err != nil {
		r.opt.Logger.Warn("route: echo requests cannot be forwarded", "to", first.To.Addr().String(), "error", err)
		w.echo(probe.B5, first.Len, first.Seq)
		w.failed(syscall.EACCES)
		first.Unreachable(syscall.EACCES)
		return
	}
	stop := context.AfterFunc(f.ctx, func() { _ = far.Close() }) // packets may get lost
	defer stop()
	defer far.Close()
	var wg sync.WaitGroup
	defer wg.Wait()
	defer f.end()
	told := func(err error) { first.Unreachable(w.failed(err)) }
	wg.Go(func() {
		for {
			select {
			case e := <-f.out:
				w.echo(probe.B5, e.Len, e.Seq)
				if err := far.send(e.Seq, e.Data); errnoOf(err) != 0 {
					told(err)
				}
			case <-f.ctx.Done():
				return
			}
		}
	})
	head := first.Len - len(first.Data)
	r.copy(f.flow, far, func(b []byte) {
		if seq, data, ok := far.reply(b); ok {
			w.echo(probe.B6, head+len(data), seq)
			first.Reply(seq, data)
		}
	}, told)
}

// echo tells of a request, or of its answer.
func (w witness) echo(at probe.Checkpoint, length int, seq uint16) {
	w.flow.To = netip.AddrPortFrom(w.flow.To.Addr(), seq)
	request, reply := uint8(request4), uint8(reply4)
	if w.flow.Proto == probe.ProtoICMPv6 {
		request, reply = request6, reply6
	}
	if at == probe.B5 {
		w.sent(length, request)
		return
	}
	w.got(length, reply)
}

// echoSocket is a socket for echo requests to one host.
type echoSocket struct {
	net.Conn
	id  int // that is used; the kernel changes it where the socket is no raw one
	six bool
	raw bool // what comes may be for others, and has a header of IPv4
}

// send sends a request.
func (s *echoSocket) send(seq uint16, data []byte) error {
	m := icmp.Message{Type: ipv4.ICMPTypeEcho, Body: &icmp.Echo{ID: s.id, Seq: int(seq), Data: data}}
	if s.six {
		m.Type = ipv6.ICMPTypeEchoRequest
	}
	b, err := m.Marshal(nil) // of IPv6 the kernel makes the checksum
	if err != nil {
		return err
	}
	_, err = s.Write(b)
	return err
}

// reply reads what came, and reports whether it is an answer to a request.
func (s *echoSocket) reply(b []byte) (seq uint16, data []byte, ok bool) {
	proto := int(probe.ProtoICMP)
	if s.six {
		proto = int(probe.ProtoICMPv6)
	} else if s.raw {
		if len(b) < 20 || len(b) < int(b[0]&0x0f)*4 {
			return 0, nil, false
		}
		b = b[int(b[0]&0x0f)*4:]
	}
	m, err := icmp.ParseMessage(proto, b)
	if err != nil || m.Type != ipv4.ICMPTypeEchoReply && m.Type != ipv6.ICMPTypeEchoReply {
		return 0, nil, false
	}
	e, ok := m.Body.(*icmp.Echo)
	if !ok || s.raw && e.ID != s.id {
		return 0, nil, false
	}
	return uint16(e.Seq), e.Data, true
}
