//go:build linux

package compare

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/netip"
	"os"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

const (
	tcpStreams = 2 // connections; each is full in both directions
	// blockSize is of what is sent over and over. It is odd, so that no packet of
	// a round size looks like another.
	blockSize = 1<<20 + 7
	// udpPause is between two UDP packets. They are there to be compared, not to
	// fill the tunnel.
	udpPause = 500 * time.Microsecond
)

// streams are traffic through a tunnel whose content is compared where it
// arrives: TCP as fast as it goes, and UDP of all sizes.
type streams struct {
	block   []byte
	failed  chan error // the first that went wrong
	ctx     context.Context
	cancel  context.CancelFunc
	stopped sync.WaitGroup
	closers []io.Closer

	received []*atomic.Int64 // bytes, of each direction of each connection
	sent     atomic.Int64    // UDP packets
	arrived  atomic.Int64
}

func startStreams(t *testing.T, p *pair) *streams {
	t.Helper()
	s := &streams{block: make([]byte, blockSize), failed: make(chan error, 1)}
	random := rand.NewChaCha8([32]byte{1})
	random.Read(s.block)
	ctx, cancel := context.WithCancel(context.Background())
	s.ctx, s.cancel = ctx, cancel
	t.Cleanup(func() { s.stop() })

	l := p.far.Listen("tcp", farAddr+":0")
	for range tcpStreams {
		near, err := p.near.Dial(ctx, "tcp", l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		far, err := l.Accept()
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range []net.Conn{near, far} {
			s.closers = append(s.closers, c)
			n := new(atomic.Int64)
			s.received = append(s.received, n)
			s.run(ctx, func() error { return s.write(c) })
			s.run(ctx, func() error { return s.compare(c, n) })
		}
	}
	to := p.far.ListenPacket("udp", farAddr+":0").(*net.UDPConn)
	from := p.near.ListenPacket("udp", nearAddr+":0").(*net.UDPConn)
	s.run(ctx, func() error { return s.writeUDP(ctx, from, to.LocalAddr().(*net.UDPAddr).AddrPort()) })
	s.run(ctx, func() error { return s.compareUDP(to) })
	// The lab closes them, too, but later.
	context.AfterFunc(ctx, func() { _ = to.SetReadDeadline(time.Now()) })
	return s
}

// run runs f in the background; that it fails once ctx is over is no failure.
func (s *streams) run(ctx context.Context, f func() error) {
	s.stopped.Go(func() {
		if err := f(); err != nil && ctx.Err() == nil {
			select {
			case s.failed <- err:
			default: // one is enough
			}
		}
	})
}

// stop ends all traffic and returns what had gone wrong, if anything.
func (s *streams) stop() error {
	s.cancel()
	for _, c := range s.closers {
		_ = c.Close() // a second time, perhaps
	}
	s.stopped.Wait()
	select {
	case err := <-s.failed:
		return err
	default:
		return nil
	}
}

// progress returns a channel that is closed once each stream has received a
// block more, and UDP a few packets.
func (s *streams) progress() <-chan struct{} {
	done := make(chan struct{})
	goals := make([]int64, len(s.received))
	for i, n := range s.received {
		goals[i] = n.Load() + blockSize
	}
	packets := s.arrived.Load() + 10
	reached := func() bool {
		for i, n := range s.received {
			if n.Load() < goals[i] {
				return false
			}
		}
		return s.arrived.Load() >= packets
	}
	go func() {
		tick := time.NewTicker(5 * time.Millisecond)
		defer tick.Stop()
		for !reached() {
			select {
			case <-tick.C:
			case <-s.ctx.Done():
				return
			}
		}
		close(done)
	}()
	return done
}

// write sends the block over and over.
func (s *streams) write(c net.Conn) error {
	for {
		if _, err := c.Write(s.block); err != nil {
			return fmt.Errorf("send over TCP: %w", err)
		}
	}
}

// compare receives what write sent.
func (s *streams) compare(c net.Conn, n *atomic.Int64) error {
	buf := make([]byte, 64<<10)
	for at := 0; ; {
		got, err := c.Read(buf[:min(len(buf), blockSize-at)])
		if err != nil {
			return fmt.Errorf("receive over TCP: %w", err)
		}
		if !bytes.Equal(buf[:got], s.block[at:at+got]) {
			return fmt.Errorf("TCP: bytes %d to %d arrived changed", n.Load(), n.Load()+int64(got))
		}
		n.Add(int64(got))
		at = (at + got) % blockSize
	}
}

// datagram is the packet of a number: the number, and a piece of the block.
func (s *streams) datagram(b []byte, number uint64) []byte {
	size := 8 + number*31%1350
	b = binary.BigEndian.AppendUint64(b[:0], number)
	return append(b, s.block[number*97%(blockSize-1400):][:size-8]...)
}

func (s *streams) writeUDP(ctx context.Context, c *net.UDPConn, to netip.AddrPort) error {
	var buf []byte
	tick := time.NewTicker(udpPause)
	defer tick.Stop()
	for number := uint64(0); ctx.Err() == nil; number++ {
		<-tick.C
		buf = s.datagram(buf, number)
		// While there is no peer, wgnode says so by ICMP.
		if _, err := c.WriteToUDPAddrPort(buf, to); err == nil {
			s.sent.Add(1)
		}
	}
	return nil
}

func (s *streams) compareUDP(c *net.UDPConn) error {
	buf, want := make([]byte, 64<<10), []byte(nil)
	for {
		n, err := c.Read(buf)
		if errors.Is(err, os.ErrDeadlineExceeded) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("receive over UDP: %w", err)
		}
		if n < 8 {
			return fmt.Errorf("UDP: a packet of %d bytes arrived, none was sent", n)
		}
		number := binary.BigEndian.Uint64(buf)
		if want = s.datagram(want, number); number > uint64(s.sent.Load())+1<<20 || !bytes.Equal(buf[:n], want) {
			return fmt.Errorf("UDP: packet %d arrived changed", number)
		}
		s.arrived.Add(1)
	}
}

// String says what has arrived.
func (s *streams) String() string {
	var sum int64
	for _, n := range s.received {
		sum += n.Load()
	}
	return fmt.Sprintf("%.3g GB over TCP, %d of %d UDP packets", float64(sum)/1e9, s.arrived.Load(), s.sent.Load())
}
