//go:build linux

package ping_test

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"os"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/wgnode/wgnode/node/ping"
	"github.com/wgnode/wgnode/probe/patience"
)

// never is longer than any test takes.
const never = time.Minute

// fake is a network whose hosts do as a test says.
type fake struct {
	ping.Prober
	reply func(f *fakeEchoes, n int, seq uint16, data []byte) error
}

type fakeEchoes struct {
	*fake
	n       int
	answers chan ping.Answer
	closed  chan struct{}
}

func (f *fake) Echoes(netip.Addr, bool) (ping.Echoes, error) {
	return &fakeEchoes{fake: f, answers: make(chan ping.Answer, 16), closed: make(chan struct{})}, nil
}

func (e *fakeEchoes) ID() uint16 { return 7 }
func (e *fakeEchoes) Send(seq uint16, data []byte) error {
	e.n++
	return e.reply(e, e.n, seq, append([]byte(nil), data...))
}
func (e *fakeEchoes) Receive() (ping.Answer, error) {
	select {
	case a := <-e.answers:
		return a, nil
	case <-e.closed:
		return ping.Answer{}, net.ErrClosed
	}
}
func (e *fakeEchoes) Close() error { close(e.closed); return nil }
func (e *fakeEchoes) say(seq uint16, data []byte) {
	e.answers <- ping.Answer{Seq: seq, Data: data, From: server}
}

var server = netip.MustParseAddr("10.0.0.2")

func request(count uint64) ping.Request {
	return ping.Request{Target: netip.AddrPortFrom(server, 0), Count: count, Interval: ping.LeastInterval, Wait: never, Data: 56}
}

// ran counts what a run tells.
func ran(t *testing.T, p ping.Prober, req ping.Request) (told map[ping.What]int, all []ping.Sample) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience.Limit())
	defer cancel()
	told = make(map[ping.What]int)
	if err := ping.Run(ctx, p, req, func(m ping.Sample) error {
		told[m.What]++
		all = append(all, m)
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	return told, all
}

func want(t *testing.T, told map[ping.What]int, counts map[ping.What]int) {
	t.Helper()
	for what, n := range counts {
		if told[what] != n {
			t.Errorf("%s: %d, want %d; told %v", what, told[what], n, told)
		}
	}
}

func TestDuplicates(t *testing.T) {
	f := &fake{reply: func(e *fakeEchoes, n int, seq uint16, data []byte) error {
		e.say(seq, data)
		if n == 1 {
			e.say(seq, data)
		}
		return nil
	}}
	told, _ := ran(t, f, request(3))
	want(t, told, map[ping.What]int{ping.Sent: 3, ping.Answered: 3, ping.Duplicate: 1, ping.Late: 0})
}

// The second request brings the answer to the first, whose time is over by then.
func TestLate(t *testing.T) {
	var first []byte
	f := &fake{reply: func(e *fakeEchoes, n int, seq uint16, data []byte) error {
		if n == 1 {
			first = data
			return nil
		}
		e.say(seq-1, first)
		return nil
	}}
	req := request(2)
	req.Interval, req.Wait = 200*time.Millisecond, 100*time.Millisecond
	told, _ := ran(t, f, req)
	want(t, told, map[ping.What]int{ping.Sent: 2, ping.Answered: 0, ping.Late: 1})
}

// What has another content, or a number that was not sent, is not the answer.
func TestForged(t *testing.T) {
	f := &fake{reply: func(e *fakeEchoes, _ int, seq uint16, data []byte) error {
		e.say(seq, append(data[:20:20], 'x'))
		e.say(seq+1, data)
		return nil
	}}
	req := request(1)
	req.Wait = 100 * time.Millisecond
	told, _ := ran(t, f, req)
	want(t, told, map[ping.What]int{ping.Sent: 1, ping.Answered: 0, ping.Late: 0, ping.Duplicate: 0})
}

func TestSaid(t *testing.T) {
	f := &fake{reply: func(e *fakeEchoes, n int, seq uint16, _ []byte) error {
		if n == 1 {
			return os.NewSyscallError("sendto", syscall.ENETUNREACH)
		}
		e.answers <- ping.Answer{Seq: seq, From: server, Said: "host unreachable"}
		return nil
	}}
	req := request(2)
	req.Wait = 100 * time.Millisecond
	told, all := ran(t, f, req)
	want(t, told, map[ping.What]int{ping.Sent: 2, ping.Said: 2, ping.Answered: 0})
	for _, m := range all {
		if m.What == ping.Said && m.Text != "network is unreachable" && m.Text != "host unreachable" {
			t.Errorf("%+v", m)
		}
	}
}

// Who takes the samples may end the series.
func TestBrokenOff(t *testing.T) {
	f := &fake{reply: func(*fakeEchoes, int, uint16, []byte) error { return nil }}
	enough := errors.New("enough")
	err := ping.Run(t.Context(), f, request(0), func(m ping.Sample) error {
		if m.Number == 3 {
			return enough
		}
		return nil
	})
	if !errors.Is(err, enough) {
		t.Error(err)
	}
}

func sizeRequest(limit int) ping.Request {
	r := request(0)
	r.Sizes, r.Limit, r.Wait = true, limit, 50*time.Millisecond
	return r
}

// largest is what was found.
func largest(all []ping.Sample) (size, fails int, why string) {
	for _, m := range all {
		switch {
		case m.What == ping.Searched:
			why = m.Text
		case m.Size == nil:
		case m.Size.Answered:
			size = max(size, m.Size.Size)
		case fails == 0 || m.Size.Size < fails:
			fails = m.Size.Size
		}
	}
	return size, fails, why
}

// The largest size is found to the byte, although packets are lost at times, and somebody says
// that less fits.
func TestSizes(t *testing.T) {
	for _, fits := range []int{1420, 1419, 1344, 577, 576, 575, 100} {
		t.Run(strconv.Itoa(fits), func(t *testing.T) {
			t.Parallel()
			f := &fake{reply: func(e *fakeEchoes, n int, seq uint16, data []byte) error {
				switch size := len(data) + ping.Headers(false); {
				case size > fits && size < 1420:
					return os.NewSyscallError("sendto", syscall.EMSGSIZE)
				case size > fits:
					e.answers <- ping.Answer{Seq: seq, From: server, Said: "packet too big: 68 bytes fit", MTU: 68}
				case n%4 != 0:
					e.say(seq, data)
				}
				return nil
			}}
			req := sizeRequest(1420)
			req.Wait = never // once one was answered, half a second
			_, all := ran(t, f, req)
			size, fails, why := largest(all)
			if size != fits || fits < 1420 && fails != fits+1 || why != "" {
				t.Errorf("found %d, not %d, %q", size, fails, why)
			}
		})
	}
}

func TestNoSize(t *testing.T) {
	f := &fake{reply: func(*fakeEchoes, int, uint16, []byte) error { return nil }}
	_, all := ran(t, f, sizeRequest(1420))
	if size, _, why := largest(all); size != 0 || why == "" {
		t.Errorf("found %d, %q", size, why)
	}
}

// This host's own sockets, over loopback.
func TestHost(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	u, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer u.Close()
	go func() {
		buf := make([]byte, 100)
		for {
			n, from, err := u.ReadFrom(buf)
			if err != nil {
				return
			}
			_, _ = u.WriteTo(buf[:n], from)
			_, _ = u.WriteTo(buf[:n], from)
		}
	}()
	closed, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_ = closed.Close()
	of := func(a net.Addr) ping.Request {
		r := request(3)
		r.Target, r.Payload = netip.MustParseAddrPort(a.String()), []byte("hello")
		return r
	}
	told, _ := ran(t, ping.Host{}, of(l.Addr()))
	want(t, told, map[ping.What]int{ping.Answered: 3, ping.Sent: 3})
	r := of(u.LocalAddr())
	r.UDP = true
	told, _ = ran(t, ping.Host{}, r)
	if want(t, told, map[ping.What]int{ping.Answered: 3}); told[ping.Duplicate] < 1 { // of the last nobody waits for more
		t.Errorf("each is answered twice: told %v", told)
	}
	r.Target = netip.MustParseAddrPort(closed.LocalAddr().String())
	told, all := ran(t, ping.Host{}, r)
	want(t, told, map[ping.What]int{ping.Answered: 3})
	for _, m := range all {
		if m.What == ping.Answered && !m.Refused {
			t.Errorf("nobody listens, and %+v", m)
		}
	}
	r = request(3)
	r.Target = netip.MustParseAddrPort("127.0.0.1:0")
	err = ping.Run(t.Context(), ping.Host{}, r, func(m ping.Sample) error { told[m.What]++; return nil })
	if errors.Is(err, os.ErrPermission) {
		t.Skip("no right to open a socket for ICMP echo")
	}
	if err != nil || told[ping.Answered] != 6 {
		t.Errorf("%v, told %v", err, told)
	}
}
