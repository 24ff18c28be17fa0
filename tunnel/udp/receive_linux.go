package udp

import (
	"errors"
	"fmt"
	"net"
	"sync"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
	"golang.zx2c4.com/wireguard/conn"
)

const (
	// maxSpurious bounds how often in a row a read may fail as if there were
	// an error pending, with nothing in the error queue.
	maxSpurious = 16

	// pollTimeout is for readPolled, in milliseconds.
	pollTimeout = 10
)

// receiver reads from one socket, straight into the caller's buffers. Where the
// kernel joins packets (UDP_GRO), its layout says how they are spread over them;
// what was more than they hold waits for the next call.
type receiver struct {
	mu     sync.Mutex // one call at a time
	socket *socket
	cache  endpointCache
	layout layout
	rest   backlog

	width   int    // of the layout, as the latest call has used it
	pieces  int    // likewise
	aside   bool   // it went to scratch instead
	scratch []byte // a message in one piece

	msgs  [batchSize]message
	iovs  [batchSize]unix.Iovec
	names [batchSize]sockaddr
	ctrl  [batchSize]control

	count int // messages read

	n     int
	errno syscall.Errno
	read  func(fd uintptr) bool
	poll  func(fd uintptr)
}

func newReceiver(s *socket, gen *generation) *receiver {
	r := &receiver{socket: s, cache: endpointCache{gen: gen}, layout: newLayout(s.join)}
	for i := range r.msgs {
		r.msgs[i].Name = (*byte)(unsafe.Pointer(&r.names[i]))
		r.msgs[i].Control = r.ctrl[i].pointer()
		r.rewind(i)
	}
	r.read, r.poll = r.tryRead, r.readPolled
	return r
}

func (r *receiver) receiveIPv4(packets [][]byte, sizes []int, eps []conn.Endpoint) (int, error) {
	return r.receive(packets, sizes, eps)
}

func (r *receiver) receiveIPv6(packets [][]byte, sizes []int, eps []conn.Endpoint) (int, error) {
	return r.receive(packets, sizes, eps)
}

func (r *receiver) receive(packets [][]byte, sizes []int, eps []conn.Endpoint) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	packets = packets[:min(len(packets), batchSize)]
	if len(packets) == 0 {
		return 0, nil
	}
	for {
		if n := r.rest.handOut(packets, sizes, eps); n > 0 {
			return n, nil
		}
		if err := r.fetch(r.point(packets)); err != nil {
			return 0, err
		}
		if n := r.place(packets, sizes, eps); n > 0 {
			return n, nil
		}
	}
}

// size returns the length of message i, or 0 if its end is missing.
func (r *receiver) size(i int) int {
	if r.msgs[i].Flags&unix.MSG_TRUNC != 0 {
		return 0
	}
	return int(r.msgs[i].bytes)
}

// origin tells where message i came from, and the size of the packets in it (0:
// it is a single one).
func (r *receiver) origin(i int) (ep *Endpoint, segment int) {
	var k endpointKey
	k.local, segment = parseControl(r.ctrl[i].bytes(int(r.msgs[i].Controllen)))
	k.remote, k.port, k.zone = r.names[i].get()
	return r.cache.get(k), segment
}

// rewind restores what the kernel overwrote in message i.
func (r *receiver) rewind(i int) {
	r.msgs[i].Namelen = uint32(unsafe.Sizeof(r.names[i]))
	r.msgs[i].SetControllen(controlSize)
	r.msgs[i].Flags = 0
}

// fetch waits for messages and reads at most limit of them.
func (r *receiver) fetch(limit int) error {
	for i := range r.count {
		r.rewind(i)
	}
	r.count = 0
	r.n = limit
	err := r.socket.raw.Read(r.read)
	for err != nil && !errors.Is(err, net.ErrClosed) {
		// When the poller finds an error and nothing else, not even room to
		// send, Go takes the descriptor for one that cannot be polled, until
		// the poller finds something else. It can; so go on without.
		r.n, r.errno = limit, unix.EAGAIN
		if err = r.socket.raw.Control(r.poll); err == nil && r.errno == unix.EAGAIN {
			err = r.socket.raw.Read(r.read)
		}
	}
	switch {
	case err != nil:
		return net.ErrClosed
	case r.errno != 0:
		return fmt.Errorf("receive: %w", r.errno)
	}
	r.count = r.n
	return nil
}

// tryRead reads up to r.n messages. It returns false if there are none.
func (r *receiver) tryRead(fd uintptr) bool {
	limit := r.n
	for spurious := 0; spurious < maxSpurious; {
		var n int
		n, r.errno = recvmmsg(fd, r.msgs[:limit])
		switch {
		case r.errno == 0:
			r.n = n
			return true
		case r.errno == unix.EAGAIN:
			return false
		case !mayBePending(r.errno) && r.errno != unix.EPERM:
			return true
		}
		// It is about a datagram that we sent. If another goroutine was
		// quicker to read the queue, it is empty.
		spurious++
		if r.socket.drain(int(fd)).entries > 0 {
			spurious = 0
		}
	}
	return true
}

// readPolled is tryRead for when Go's poller is of no help. It waits briefly.
func (r *receiver) readPolled(fd uintptr) {
	// An error in the queue would end the wait at once.
	r.socket.drain(int(fd))
	fds := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}
	if _, err := unix.Poll(fds, pollTimeout); err != nil {
		return // interrupted: fetch comes back
	}
	r.tryRead(fd)
}
