package tunneltest

import (
	"os"
	"sync"

	"golang.zx2c4.com/wireguard/conn"
	"golang.zx2c4.com/wireguard/tun"
)

// TUN is a TUN device in memory: what is put into In is read by the tunnel,
// what the tunnel writes comes out of Out. Reads are batches.
type TUN struct {
	In     chan [][]byte // batches that the tunnel reads
	Out    chan []byte   // what it writes
	events chan tun.Event
	once   sync.Once
	closed chan struct{}
}

// NewTUN returns one that says that it is up.
func NewTUN() *TUN {
	m := &TUN{In: make(chan [][]byte), Out: make(chan []byte, 1<<17), events: make(chan tun.Event, 1), closed: make(chan struct{})}
	m.events <- tun.EventUp
	return m
}

// NewIdleTUN returns one that does not say that it is up, so that the device stays down.
func NewIdleTUN() *TUN {
	m := NewTUN()
	<-m.events
	return m
}

func (m *TUN) File() *os.File           { return nil }
func (m *TUN) MTU() (int, error)        { return 1420, nil }
func (m *TUN) Name() (string, error)    { return "mem", nil }
func (m *TUN) Events() <-chan tun.Event { return m.events }
func (m *TUN) BatchSize() int           { return conn.IdealBatchSize }

func (m *TUN) Close() error {
	m.once.Do(func() { close(m.closed); close(m.events) })
	return nil
}

func (m *TUN) Read(bufs [][]byte, sizes []int, offset int) (int, error) {
	select {
	case <-m.closed:
		return 0, os.ErrClosed
	case pkts := <-m.In:
		for i, p := range pkts {
			sizes[i] = copy(bufs[i][offset:], p)
		}
		return len(pkts), nil
	}
}

func (m *TUN) Write(bufs [][]byte, offset int) (int, error) {
	for _, b := range bufs {
		select {
		case <-m.closed:
			return 0, os.ErrClosed
		case m.Out <- append([]byte(nil), b[offset:]...):
		}
	}
	return len(bufs), nil
}
