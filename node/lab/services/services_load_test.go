//go:build linux

package services

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"regexp"
	"slices"
	"strconv"
	"sync"
	"testing"

	"golang.org/x/net/dns/dnsmessage"

	"github.com/wgnode/wgnode/probe/patience"
)

// A way is one through a service: from a socket of a host to an echo at the other
// end of the tunnel, of which reach makes a connection to that.
type way struct {
	name  string
	dial  func(ctx context.Context) (net.Conn, error)
	reach func(c net.Conn) error // nil: it is one already
}

// ways lists those of TCP, each to a server at that port of the other end.
func (s *servedSite) ways(port, forward, remote uint16) []way {
	from := func(near interface {
		Dial(context.Context, string, string) (net.Conn, error)
	}, at string) func(context.Context) (net.Conn, error) {
		return func(ctx context.Context) (net.Conn, error) { return near.Dial(ctx, "tcp", at) }
	}
	to := netip.AddrPortFrom(s.Addr.B.V4.Addr(), port)
	return []way{
		{"SOCKS5", from(s.A, socks), func(c net.Conn) error { return throughSOCKS(c, to) }},
		{"HTTP", from(s.A, web), func(c net.Conn) error { return throughHTTP(c, to) }},
		{"forward", from(s.A, netip.AddrPortFrom(loopback, forward).String()), nil},
		{"remote forward", from(s.B, netip.AddrPortFrom(netip.MustParseAddr("10.0.0.1"), remote).String()), nil},
	}
}

var loopback = netip.MustParseAddr("127.0.0.1")

func throughSOCKS(c net.Conn, to netip.AddrPort) error {
	request := append([]byte("\x05\x01\x00\x05\x01\x00\x01"), to.Addr().AsSlice()...)
	if _, err := c.Write(append(request, byte(to.Port()>>8), byte(to.Port()))); err != nil {
		return err
	}
	reply := make([]byte, 2+10)
	if _, err := io.ReadFull(c, reply); err != nil || reply[3] != 0 {
		return fmt.Errorf("reply %x: %w", reply, err)
	}
	return nil
}

func throughHTTP(c net.Conn, to netip.AddrPort) error {
	if _, err := fmt.Fprintf(c, "CONNECT %s HTTP/1.1\r\nHost: %s\r\n\r\n", to, to); err != nil {
		return err
	}
	// The other end says nothing unasked, so that nothing else is read here.
	res, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err == nil && res.StatusCode != http.StatusOK {
		err = fmt.Errorf("status %s", res.Status)
	}
	return err
}

// open makes a connection by a way.
func (w way) open(ctx context.Context) (net.Conn, error) {
	c, err := w.dial(ctx)
	if err != nil {
		return nil, err
	}
	if err := c.SetDeadline(patience.Deadline()); err != nil {
		return nil, err
	}
	if w.reach != nil {
		if err := w.reach(c); err != nil {
			return nil, err
		}
	}
	return c, nil
}

// footprint is what the node has open, which must be what it had before.
type footprint struct{ descriptors, goroutines int }

var goroutines = regexp.MustCompile(`(?m)^go_goroutines (\d+)$`)

func (s *servedSite) footprint(t *testing.T) (f footprint) {
	t.Helper()
	fds, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", s.node.Pid()))
	if err != nil {
		t.Fatal(err)
	}
	out := s.A.With(t).Run("curl", "-sS", "-H", "Connection: close", "http://"+metricsAt+"/metrics")
	m := goroutines.FindStringSubmatch(out)
	if m == nil {
		t.Fatalf("no goroutines in\n%s", out)
	}
	f.descriptors = len(fds)
	if f.goroutines, err = strconv.Atoi(m[1]); err != nil {
		t.Fatal(err)
	}
	return f
}

// leftover waits until no more is open than before.
func (s *servedSite) leftover(t *testing.T, before footprint) {
	t.Helper()
	patience.See(t, fmt.Sprintf("no more open than %+v", before), func() (string, bool) {
		now := s.footprint(t)
		return fmt.Sprintf("%+v", now), now.descriptors <= before.descriptors && now.goroutines <= before.goroutines
	})
}

// What many do at once, what is large, and what breaks off, leaves the services as
// they were.
func TestServicesUnderLoad(t *testing.T) {
	t.Parallel()
	s := newServedSite(t)
	// The resolver and the session are there before something is counted.
	s.curl("hello", "--socks5-hostname", socks, "http://web.corp.example/")
	before := s.footprint(t)

	for _, w := range s.ways(7, 7001, 2201) {
		t.Run("1000 "+w.name, func(t *testing.T) {
			atOnce(t, w, 1000)
			s.leftover(t, before)
		})
	}

	a, b := s.A.Listen("tcp", "127.0.0.1:9"), s.B.Listen("tcp", net.JoinHostPort(s.Addr.B.V4.Addr().String(), "9"))
	for _, w := range s.ways(9, 7009, 2209) {
		if w.name != "SOCKS5" && w.name != "remote forward" {
			continue // they relay alike
		}
		t.Run("much by "+w.name, func(t *testing.T) { s.muchBy(t, w, farEnd(w, a, b), before) })
	}

	// One that vanishes takes its other end with it, whichever end it is.
	a, b = s.A.Listen("tcp", "127.0.0.1:11"), s.B.Listen("tcp", net.JoinHostPort(s.Addr.B.V4.Addr().String(), "11"))
	for _, w := range s.ways(11, 7011, 2211) {
		t.Run("vanished "+w.name, func(t *testing.T) { s.vanished(t, w, farEnd(w, a, b), before) })
	}

	t.Run("vanished association", func(t *testing.T) { s.vanishedAssociations(t, before) })
	t.Run("vanished connect", func(t *testing.T) { s.vanishedConnect(t, b, before) })
	t.Run("1000 DNS", func(t *testing.T) {
		s.namesAtOnce(t, 1000)
		s.leftover(t, before)
	})
	// Sessions of UDP end by silence alone.
	t.Run("1000 UDP", func(t *testing.T) { s.packetsAtOnce(t, 1000) })
	if status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", s.node.Pid())); err == nil {
		t.Logf("memory: %s", regexp.MustCompile(`VmHWM:\s*(.*)`).FindSubmatch(status)[1])
	}
	s.end(s.node)
	s.nothingLeft()
}

// farEnd is where the far ends of a way come to: at A for a remote forward, else at B.
func farEnd(w way, a, b net.Listener) net.Listener {
	if w.name == "remote forward" {
		return a
	}
	return b
}

// bulk sends and receives at the same time, as who listens.
func bulk(l net.Listener) <-chan exchanged {
	done := make(chan exchanged, 1)
	go func() {
		c, err := l.Accept()
		if err != nil {
			done <- exchanged{err: err}
			return
		}
		done <- exchange(c, 1)
	}()
	return done
}

// muchBy sends much there and back at once, to l.
func (s *servedSite) muchBy(t *testing.T, w way, l net.Listener, before footprint) {
	there := bulk(l)
	c, err := w.open(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	here := exchange(c, 2)
	if e := <-there; e.err != nil || e.sum != sumOf(2) {
		t.Errorf("what went there: %v, %x, want %x", e.err, e.sum, sumOf(2))
	}
	if here.err != nil || here.sum != sumOf(1) {
		t.Errorf("what came here: %v, %x, want %x", here.err, here.sum, sumOf(1))
	}
	s.leftover(t, before)
}

// vanished breaks off one end of a connection, at l its far one, and wants the other to end.
func (s *servedSite) vanished(t *testing.T, w way, l net.Listener, before footprint) {
	for _, client := range []bool{true, false} {
		near, err := w.open(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		far, err := l.Accept()
		if err != nil {
			t.Fatal(err)
		}
		gone, stays := near, far
		if !client {
			gone, stays = far, near
		}
		// It was in use.
		if _, err := gone.Write([]byte("x")); err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadFull(stays, make([]byte, 1)); err != nil {
			t.Fatal(err)
		}
		if err := gone.(*net.TCPConn).SetLinger(0); err != nil {
			t.Fatal(err)
		}
		if err := gone.Close(); err != nil {
			t.Fatal(err)
		}
		if err := stays.SetReadDeadline(patience.Deadline()); err != nil {
			t.Fatal(err)
		}
		if _, err := stays.Read(make([]byte, 1)); err == nil || os.IsTimeout(err) {
			t.Errorf("client %v: the other end reads %v", client, err)
		}
		_ = stays.Close() // it was reset
	}
	s.leftover(t, before)
}

// vanishedAssociations break off the connections that associations of SOCKS5 belong to.
func (s *servedSite) vanishedAssociations(t *testing.T, before footprint) {
	for range 50 {
		control, near := s.associate(t, socks)
		if err := pingPong(near, []byte("\x00\x00\x00\x01"+string(s.Addr.B.V4.Addr().AsSlice())+"\x00\x07ping"),
			[]byte("\x00\x07ping")); err != nil {
			t.Error(err)
		}
		if err := control.(*net.TCPConn).SetLinger(0); err != nil {
			t.Fatal(err)
		}
		_, _ = control.Close(), near.Close() // it is gone
	}
	s.leftover(t, before)
}

// vanishedConnect kills a client of the control socket while its connection is in use.
func (s *servedSite) vanishedConnect(t *testing.T, b net.Listener, before footprint) {
	p := s.A.With(t).Start(s.wgnode("connect", "wg0", b.Addr().String())...)
	far, err := b.Accept()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := far.Write([]byte("anybody there?\n")); err != nil {
		t.Fatal(err)
	}
	p.WaitOutput(patience.Context(t), "anybody there?")
	if err := p.Signal(os.Kill); err != nil {
		t.Fatal(err)
	}
	if err := far.SetReadDeadline(patience.Deadline()); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadAll(far); os.IsTimeout(err) {
		t.Error("the other end hears nothing of it")
	}
	_ = far.Close() // it has ended
	s.leftover(t, before)
}

// atOnce has so many connections to an echo at a time, and wants from each what it
// has sent.
func atOnce(t *testing.T, w way, many int) {
	t.Helper()
	connected(t, many, func() (net.Conn, error) { return w.open(t.Context()) }, func(i int, c net.Conn) error {
		want := bytes.Repeat([]byte(strconv.Itoa(i)+" "), 500)
		_, err := c.Write(want)
		if err == nil {
			err = c.(*net.TCPConn).CloseWrite()
		}
		got, rerr := io.ReadAll(c)
		if err == nil && rerr == nil && !bytes.Equal(got, want) {
			err = fmt.Errorf("%d bytes came back, want %d", len(got), len(want))
		}
		return errors.Join(err, rerr)
	})
}

// namesAtOnce asks the DNS forwarder over so many connections at a time.
func (s *servedSite) namesAtOnce(t *testing.T, many int) {
	t.Helper()
	w := way{dial: func(ctx context.Context) (net.Conn, error) { return s.A.Dial(ctx, "tcp", names) }}
	connected(t, many, func() (net.Conn, error) { return w.open(t.Context()) }, func(i int, c net.Conn) error {
		q := dnsmessage.Message{Header: dnsmessage.Header{ID: uint16(i), RecursionDesired: true}, Questions: []dnsmessage.Question{{
			Name: dnsmessage.MustNewName("web.corp.example."), Type: dnsmessage.TypeA, Class: dnsmessage.ClassINET}}}
		b, err := q.Pack()
		if err != nil {
			return err
		}
		if _, err := c.Write(append(binary.BigEndian.AppendUint16(nil, uint16(len(b))), b...)); err != nil {
			return err
		}
		var length [2]byte
		if _, err := io.ReadFull(c, length[:]); err != nil {
			return err
		}
		reply := make([]byte, binary.BigEndian.Uint16(length[:]))
		if _, err := io.ReadFull(c, reply); err != nil {
			return err
		}
		var m dnsmessage.Message
		if err := m.Unpack(reply); err != nil || m.ID != uint16(i) || len(m.Answers) != 1 {
			return fmt.Errorf("answer %+v, %w", m, err)
		}
		return nil
	})
}

// packetsAtOnce sends packets from so many sockets through a forward of UDP.
func (s *servedSite) packetsAtOnce(t *testing.T, many int) {
	t.Helper()
	connected(t, many, func() (net.Conn, error) { return s.A.Dial(t.Context(), "udp", "127.0.0.1:7003") }, func(i int, c net.Conn) error {
		payload := []byte(strconv.Itoa(i) + " or so")
		return pingPong(c, payload, payload)
	})
}

// connected wants from each of so many connections, opened before the first is
// used, that use is content with it.
func connected(t *testing.T, many int, open func() (net.Conn, error), use func(i int, c net.Conn) error) {
	t.Helper()
	conns := make([]net.Conn, many)
	var opening, using sync.WaitGroup
	slots := make(chan struct{}, 64) // each takes a thread while it is dialed
	for i := range conns {
		opening.Go(func() {
			slots <- struct{}{}
			defer func() { <-slots }()
			var err error
			if conns[i], err = open(); err != nil {
				t.Errorf("connection %d: %v", i, err)
			}
		})
	}
	opening.Wait()
	if slices.Contains(conns, nil) {
		return
	}
	for i, c := range conns {
		using.Go(func() {
			defer c.Close() // all has been said
			if err := use(i, c); err != nil {
				t.Errorf("connection %d: %v", i, err)
			}
		})
	}
	using.Wait()
}
