package udp

import (
	"fmt"
	"net"
	"sync"
	"testing"

	"golang.zx2c4.com/wireguard/conn"
)

// loop is a pair of Binds over loopback, driven by one goroutine so that
// nothing overflows: send a batch, receive all of it.
type loop struct {
	from    conn.Bind
	to      conn.Endpoint
	recv    conn.ReceiveFunc
	packets [][]byte

	bufs  [][]byte
	sizes []int
	eps   []conn.Endpoint
}

func newLoop(tb testing.TB, from, to conn.Bind, addr string, count, size int) *loop {
	tb.Helper()
	idle, _, err := from.Open(0)
	if err != nil {
		tb.Fatal(err)
	}
	fns, port, err := to.Open(0)
	if err != nil {
		tb.Fatal(err)
	}
	used := 0
	if addr == "::1" {
		used = 1
	}
	// The device always waits on all sockets. That costs something: Go's
	// poller wakes up for each packet.
	idle = append(idle, fns[1-used])
	var stopped sync.WaitGroup
	for _, fn := range idle {
		stopped.Go(func() { fn([][]byte{make([]byte, 65535)}, make([]int, 1), make([]conn.Endpoint, 1)) })
	}
	tb.Cleanup(func() {
		from.Close()
		to.Close()
		stopped.Wait()
	})
	l := &loop{
		from:    from,
		recv:    fns[used],
		packets: make([][]byte, count),
		bufs:    make([][]byte, to.BatchSize()),
		sizes:   make([]int, to.BatchSize()),
		eps:     make([]conn.Endpoint, to.BatchSize()),
	}
	// The device's buffers: upstream's Bind joins packets in what room there
	// is behind the first.
	for i := range l.packets {
		l.packets[i] = make([]byte, size, 65535)
	}
	for i := range l.bufs {
		l.bufs[i] = make([]byte, 65535)
	}
	l.to, err = from.ParseEndpoint(net.JoinHostPort(addr, fmt.Sprint(port)))
	if err != nil {
		tb.Fatal(err)
	}
	return l
}

func (l *loop) once(tb testing.TB) {
	if err := l.from.Send(l.packets, l.to); err != nil {
		tb.Fatal(err)
	}
	for got := 0; got < len(l.packets); {
		n, err := l.recv(l.bufs, l.sizes, l.eps)
		if err != nil {
			tb.Fatal(err)
		}
		for i := range n {
			if l.sizes[i] > 0 {
				got++
			}
		}
	}
}

func TestNoAllocationPerPacket(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	for _, family := range families {
		for _, noOffload := range []bool{false, true} {
			o := Options{DisableOffload: noOffload}
			l := newLoop(t, New(o), New(o), family.addr, 100, 1400)
			l.once(t)
			if got := testing.AllocsPerRun(100, func() { l.once(t) }); got != 0 {
				t.Errorf("%s, offload %v: %v allocations for 100 packets, want 0", family.name, !noOffload, got)
			}
			// Nor does it cost more to send from the address that a packet
			// came to.
			e := l.to.(*Endpoint)
			l.to = newEndpoint(endpointKey{
				remote: e.DstIP(),
				port:   e.DstAddrPort().Port(),
				local:  source{addr: e.DstIP()},
			}, e.gen)
			if got := testing.AllocsPerRun(100, func() { l.once(t) }); got != 0 || !l.to.SrcIP().IsValid() {
				t.Errorf("%s, offload %v: %v allocations for 100 packets from %v, want 0", family.name, !noOffload, got, l.to.SrcIP())
			}
		}
	}
}

// BenchmarkSend measures what it costs to send and receive a packet, against
// wireguard-go's own Bind.
func BenchmarkSend(b *testing.B) {
	binds := []struct {
		name string
		make func() conn.Bind
	}{
		{"own", func() conn.Bind { return New(Options{}) }},
		{"upstream", conn.NewStdNetBind},
	}
	for _, bind := range binds {
		for _, load := range []struct{ count, size int }{{128, 1420}, {128, 148}, {1, 1420}} {
			b.Run(fmt.Sprintf("%s/%dx%d", bind.name, load.count, load.size), func(b *testing.B) {
				l := newLoop(b, bind.make(), bind.make(), "127.0.0.1", load.count, load.size)
				b.SetBytes(int64(load.count * load.size))
				b.ReportAllocs()
				for b.Loop() {
					l.once(b)
				}
				b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*load.count), "ns/packet")
			})
		}
	}
}

// BenchmarkSendMixed sends packets that cannot be joined: each longer than the
// one before.
func BenchmarkSendMixed(b *testing.B) {
	for name, newBind := range map[string]func() conn.Bind{
		"own":      func() conn.Bind { return New(Options{}) },
		"upstream": conn.NewStdNetBind,
	} {
		b.Run(name, func(b *testing.B) {
			l := newLoop(b, newBind(), newBind(), "127.0.0.1", 128, 1000)
			for i := range l.packets {
				l.packets[i] = l.packets[i][:1000+i]
			}
			b.ReportAllocs()
			for b.Loop() {
				l.once(b)
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*128), "ns/packet")
		})
	}
}
