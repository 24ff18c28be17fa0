// Package ping sends a series of probes to one host, and tells what becomes of each: by ICMP
// echo, by connections of TCP, or by datagrams. It knows nothing of tunnels; package legs joins
// what it tells with the events of one.
//
// Each answer is bound to the probe that it answers: by identifier, sequence number and content
// of an echo, and by a socket of its own for each datagram and connection.
package ping

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"time"

	"github.com/wgnode/wgnode/probe/legs"
)

// Bounds of a request.
const (
	// LeastInterval is how far apart probes are at least.
	LeastInterval = 10 * time.Millisecond
	// MostWait is how long an answer can be awaited.
	MostWait = time.Minute
	// MostData is the most content of an echo or a datagram, in bytes.
	MostData = 65507 - 8
	// openAtMost bounds how many datagrams and connections have a socket at a time.
	openAtMost = 512
)

// Request says what to send.
type Request struct {
	Target netip.AddrPort `json:"target"` // without a port: ICMP echo
	UDP    bool           `json:"udp,omitempty"`
	// Count is how many probes are sent, 0 for as many as fit before ctx ends.
	Count    uint64        `json:"count,omitempty"`
	Interval time.Duration `json:"interval_ns"`
	// Wait is how long after it was sent a probe counts as lost.
	Wait time.Duration `json:"wait_ns"`
	// Data is how much content an echo has, in bytes; of a datagram Payload is the content.
	Data    int    `json:"data,omitempty"`
	Payload []byte `json:"payload,omitempty"`
	// Sizes has it find the largest packet that is answered, of up to Limit bytes, in place
	// of a series. Least is where it begins.
	Sizes bool `json:"sizes,omitempty"`
	Limit int  `json:"limit,omitempty"`
}

// Check says what is wrong with a request.
func (r *Request) Check() error {
	switch {
	case !r.Target.Addr().IsValid() || r.Target.Addr().IsUnspecified() || r.Target.Addr().IsMulticast():
		return fmt.Errorf("ping %s: want the address of a host", r.Target.Addr())
	case r.UDP && r.Target.Port() == 0:
		return errors.New("ping by UDP: want a port")
	case r.Interval < LeastInterval:
		return fmt.Errorf("ping every %v: want at least %v", r.Interval, LeastInterval)
	case r.Wait <= 0 || r.Wait > MostWait:
		return fmt.Errorf("wait %v for an answer: want more than 0, and %v at most", r.Wait, MostWait)
	case r.Data < 0 || r.Data > MostData || len(r.Payload) > MostData:
		return fmt.Errorf("ping with %d bytes: want 0 to %d", max(r.Data, len(r.Payload)), MostData)
	case r.Sizes && r.Target.Port() != 0:
		return errors.New("ping with all sizes: want ICMP echo, which is answered in full: no port")
	}
	return nil
}

// What says what has happened to a probe. Its words pass the control socket, and do not change.
type What string

// What may happen.
const (
	Began     What = "began"     // the series: Key is the identifier of its echoes
	Sending   What = "sending"   // the probe is about to leave; Key tells it from others
	Sent      What = "sent"      // at At
	Answered  What = "answered"  // after Took
	Late      What = "late"      // answered when it counted as lost
	Duplicate What = "duplicate" // answered once more
	Repeated  What = "repeated"  // only the kernel's second segment, or a later one, was answered
	Said      What = "said"      // somebody says that it will not arrive
	Tried     What = "tried"     // a size: Size says what became of it
	Searched  What = "searched"  // all sizes; Text says why there is none
	Ended     What = "ended"     // the series, of a node; Text says why it could not go on
)

// Sample is one thing that happened.
type Sample struct {
	What    What          `json:"what"`
	Number  uint64        `json:"number,omitempty"` // of the probe, from 1
	Key     uint16        `json:"key,omitempty"`
	At      time.Time     `json:"at,omitzero"`
	Took    time.Duration `json:"took_ns,omitempty"`
	Refused bool          `json:"refused,omitempty"`
	Bytes   int           `json:"bytes,omitempty"` // of the answer's content
	From    netip.Addr    `json:"from,omitzero"`
	Text    string        `json:"text,omitempty"`
	Size    *legs.SizeTry `json:"size,omitempty"`
}

// Prober makes the sockets that probes are sent by.
type Prober interface {
	// Echoes opens a socket for ICMP echo; nobody may fragment its packets if whole is true.
	Echoes(to netip.Addr, whole bool) (Echoes, error)
	// Datagrams opens a connected socket for UDP.
	Datagrams(ctx context.Context, to netip.AddrPort) (net.Conn, error)
	// Connect connects, and ends the connection. It calls ready with the port that it comes
	// from before it sends anything. It reports whether a segment was sent again.
	Connect(ctx context.Context, to netip.AddrPort, ready func(port uint16)) (repeated bool, err error)
}

// Echoes sends ICMP echo requests. Its methods may be called concurrently.
type Echoes interface {
	ID() uint16
	Send(seq uint16, data []byte) error
	// Receive waits for what comes. The answer's data is valid until the next call. Close
	// wakes it.
	Receive() (Answer, error)
	Close() error
}

// Answer is what an echo socket has received: an answer, or what somebody says of a request.
type Answer struct {
	Seq  uint16
	Data []byte
	From netip.Addr
	Said string // not "": it is no answer
	MTU  int    // what fits, as the one who says so has it
}

// series is a run.
type series struct {
	Request
	prober Prober

	mu   sync.Mutex
	into func(Sample) error // guarded by mu: one sample at a time
	fail error              // guarded by mu: of into

	wg   sync.WaitGroup
	room chan struct{}
}

// Run sends the probes of a request and hands on what becomes of them, one sample at a time,
// until all have been answered or count as lost, ctx ends, which is no error, or into returns
// one.
func Run(ctx context.Context, p Prober, req Request, into func(Sample) error) error {
	if err := req.Check(); err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	s := &series{Request: req, prober: p, room: make(chan struct{}, openAtMost)}
	s.into = func(m Sample) error {
		err := into(m)
		if err != nil {
			cancel()
		}
		return err
	}
	var err error
	switch {
	case req.Sizes:
		err = s.sizes(ctx)
	case req.Target.Port() == 0:
		err = s.echo(ctx)
	case req.UDP:
		err = s.each(ctx, s.datagram)
	default:
		err = s.each(ctx, s.connect)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return errors.Join(s.fail, err)
}

// tell hands a sample on.
func (s *series) tell(m Sample) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.fail == nil {
		s.fail = s.into(m)
	}
}

// pace calls send for each probe of the series, at its interval, until ctx ends.
func (s *series) pace(ctx context.Context, send func(number uint64)) {
	tick := time.NewTicker(s.Interval)
	defer tick.Stop()
	for number := uint64(1); ; number++ {
		send(number)
		if number == s.Count {
			return
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// cookie is content of echoes that nobody else's have.
func cookie() []byte {
	b := make([]byte, 8)
	_, _ = rand.Read(b) // never fails, as its documentation says
	return b
}
