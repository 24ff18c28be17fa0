//go:build linux

package compare

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/net/ipv4"
	"golang.org/x/sys/unix"

	"github.com/wgnode/wgnode/node/lab"
)

const (
	floodBatch  = 64
	floodBuffer = 8 << 20 // of the sockets, in bytes
	// floodWarmUp is how long a flood goes on before what arrives counts.
	floodWarmUp = 300 * time.Millisecond
)

// flood sends UDP packets from near to far as fast as it can, size bytes of
// payload each, in turn over so many flows: an address of the far host each.
// iperf3 has no more than 128 streams, each with a socket. It returns what
// arrived.
func flood(t testing.TB, p *pair, size, flows, seconds int) Sample {
	t.Helper()
	to := p.far.ListenPacket("udp4", "0.0.0.0:0").(*net.UDPConn)
	from := p.near.ListenPacket("udp4", nearAddr+":0").(*net.UDPConn)
	for c, opt := range map[*net.UDPConn]int{to: unix.SO_RCVBUFFORCE, from: unix.SO_SNDBUFFORCE} {
		if err := setBuffer(c, opt); err != nil {
			t.Fatalf("flood: %v", err)
		}
	}
	var packets, bytes atomic.Int64
	received := make(chan error, 1)
	go func() { received <- count(to, &packets, &bytes) }()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	sent := make(chan error, 1)
	go func() { sent <- pour(ctx, from, to.LocalAddr().(*net.UDPAddr).Port, size, flows) }()

	time.Sleep(floodWarmUp)
	cpu, began := cpuSeconds(t, p.daemons), time.Now()
	packetsBefore, bytesBefore := packets.Load(), bytes.Load()
	time.Sleep(time.Duration(seconds) * time.Second)
	s := Sample{
		Packets: float64(packets.Load() - packetsBefore), Bytes: float64(bytes.Load() - bytesBefore),
		Seconds: time.Since(began).Seconds(), CPU: cpuSeconds(t, p.daemons) - cpu,
	}
	cancel()
	if err := errors.Join(<-sent, to.SetReadDeadline(time.Now()), <-received); err != nil {
		t.Fatalf("flood: %v", err)
	}
	if s.Packets == 0 {
		t.Fatalf("flood of %d bytes over %d flows: nothing arrived", size, flows)
	}
	return s
}

func setBuffer(c *net.UDPConn, opt int) error {
	raw, err := c.SyscallConn()
	if err != nil {
		return err
	}
	var sockErr error
	err = raw.Control(func(fd uintptr) { sockErr = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, opt, floodBuffer) })
	return errors.Join(err, sockErr)
}

// pour sends until ctx ends.
func pour(ctx context.Context, c *net.UDPConn, port, size, flows int) error {
	out := ipv4.NewPacketConn(c)
	payload := make([]byte, size)
	addrs := make([]*net.UDPAddr, flows)
	for i := range addrs {
		n := i + 1 // not the network's own address
		addrs[i] = &net.UDPAddr{IP: net.IPv4(10, 8, byte(n>>8), byte(n)), Port: port}
	}
	msgs := make([]ipv4.Message, floodBatch)
	for i := range msgs {
		msgs[i].Buffers = [][]byte{payload}
	}
	for next := 0; ctx.Err() == nil; {
		for i := range msgs {
			msgs[i].Addr = addrs[next]
			next = (next + 1) % flows
		}
		// A full queue is what a flood is about.
		if _, err := out.WriteBatch(msgs, 0); err != nil && !errors.Is(err, unix.ENOBUFS) {
			return fmt.Errorf("send: %w", err)
		}
	}
	return nil
}

// count receives until c's deadline.
func count(c *net.UDPConn, packets, bytes *atomic.Int64) error {
	in := ipv4.NewPacketConn(c)
	msgs := make([]ipv4.Message, floodBatch)
	for i := range msgs {
		msgs[i].Buffers = [][]byte{make([]byte, 1<<16)}
	}
	for {
		n, err := in.ReadBatch(msgs, 0)
		if errors.Is(err, os.ErrDeadlineExceeded) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("receive: %w", err)
		}
		sum := 0
		for _, m := range msgs[:n] {
			sum += m.N
		}
		packets.Add(int64(n))
		bytes.Add(int64(sum))
	}
}

// floodSize is what is sent where the size is not what is varied.
const floodSize = 1300

// Axis is what a plot varies.
type Axis struct {
	Key    string // what flags call it
	Title  string
	Values []int
	// run measures one value. It makes a pair where each needs its own.
	peers bool
	run   func(t testing.TB, p *pair, value, seconds int) Sample
}

// Axes are all there are.
var Axes = []Axis{
	{"size", "bytes a packet", []int{64, 128, 256, 512, 1024, 1392}, false,
		func(t testing.TB, p *pair, value, seconds int) Sample { return flood(t, p, value, 1, seconds) }},
	{"flows", "flows", []int{1, 100, 10_000}, false,
		func(t testing.TB, p *pair, value, seconds int) Sample { return flood(t, p, floodSize, value, seconds) }},
	{"peers", "peers, one of them busy", []int{1, 100, 10_000}, true,
		func(t testing.TB, p *pair, _, seconds int) Sample { return flood(t, p, floodSize, 1, seconds) }},
}

// RunPlot measures every entry at every value of an axis, round by round.
func RunPlot(t testing.TB, entries []Entry, a Axis, rounds, seconds int) Plot {
	t.Helper()
	lab.Need(t, "ping", "wg", "ip")
	// By entry and value: a measurement for each round.
	all := make([][][]float64, len(entries))
	for i := range all {
		all[i] = make([][]float64, len(a.Values))
	}
	for round := range rounds {
		for i, e := range entries {
			var p *pair
			for j, value := range a.Values {
				if p == nil || a.peers {
					peers := 1
					if a.peers {
						peers = value
					}
					p = newPair(t, e, peers)
				}
				all[i][j] = append(all[i][j], a.run(t, p, value, seconds).gigabits())
				if a.peers || j == len(a.Values)-1 {
					p.close()
				}
			}
			t.Logf("%s, round %d of %d: %s", a.Title, round+1, rounds, e.Name)
		}
	}
	plot := Plot{X: a.Title, Y: "Gbit/s of UDP payload received", Values: a.Values}
	for i, e := range entries {
		line := Line{Entry: e.Name}
		for _, values := range all[i] {
			line.Points = append(line.Points, spread(values))
		}
		plot.Lines = append(plot.Lines, line)
	}
	return plot
}
