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
	// maxDatagram is no less than any UDP payload, joined ones included.
	maxDatagram = 1<<16 - 1

	// joinedBatch is how many datagrams are read in one call if each may
	// hold dozens of packets.
	joinedBatch = 8

	// maxSpurious bounds how often in a row a read may fail as if there were
	// an error pending, with nothing in the error queue.
	maxSpurious = 16

	// pollTimeout is for readPolled, in milliseconds.
	pollTimeout = 10
)

// receiver reads from one socket. Where the kernel joins packets (UDP_GRO), it
// reads into buffers of its own, hands out copies of the packets in them, and
// keeps what is too much for one call until the next. Where it does not, it
// reads straight into the caller's buffers.
type receiver struct {
	mu     sync.Mutex // one call at a time
	socket *socket
	cache  endpointCache

	msgs  []message
	iovs  []unix.Iovec
	names []sockaddr
	ctrl  []control
	store [][]byte // a buffer for each message; nil if nothing gets joined

	count int // messages read
	next  int // the first of them not handed out yet
	taken int // bytes of it that were

	n     int
	errno syscall.Errno
	read  func(fd uintptr) bool
	poll  func(fd uintptr)
}

func newReceiver(s *socket, gen *generation) *receiver {
	n := batchSize
	if s.join {
		n = joinedBatch
	}
	r := &receiver{
		socket: s,
		cache:  endpointCache{gen: gen},
		msgs:   make([]message, n),
		iovs:   make([]unix.Iovec, n),
		names:  make([]sockaddr, n),
		ctrl:   make([]control, n),
	}
	if s.join {
		r.store = make([][]byte, n)
		for i := range r.store {
			r.store[i] = make([]byte, maxDatagram)
			r.point(i, r.store[i])
		}
	}
	for i := range r.msgs {
		r.msgs[i].Name = (*byte)(unsafe.Pointer(&r.names[i]))
		r.msgs[i].Control = r.ctrl[i].pointer()
		r.msgs[i].Iov = &r.iovs[i]
		r.msgs[i].SetIovlen(1)
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
	if len(packets) == 0 {
		return 0, nil
	}
	if r.store == nil {
		return r.receiveDirect(packets, sizes, eps)
	}
	for {
		if n := r.handOut(packets, sizes, eps); n > 0 {
			return n, nil
		}
		if err := r.fetch(len(r.msgs)); err != nil {
			return 0, err
		}
	}
}

// receiveDirect reads into packets.
func (r *receiver) receiveDirect(packets [][]byte, sizes []int, eps []conn.Endpoint) (int, error) {
	n := min(len(packets), len(r.msgs))
	for i, p := range packets[:n] {
		r.point(i, p)
	}
	if err := r.fetch(n); err != nil {
		return 0, err
	}
	for i := range r.count {
		eps[i], _ = r.origin(i)
		sizes[i] = r.size(i)
	}
	return r.count, nil
}

// handOut copies out what was read and not handed out before, until packets
// are full.
func (r *receiver) handOut(packets [][]byte, sizes []int, eps []conn.Endpoint) (n int) {
	for ; r.next < r.count && n < len(packets); r.next, r.taken = r.next+1, 0 {
		rest := r.store[r.next][r.taken:r.size(r.next)]
		if len(rest) == 0 {
			continue
		}
		ep, segment := r.origin(r.next)
		if segment <= 0 {
			segment = len(rest)
		}
		for ; len(rest) > 0; n++ {
			if n == len(packets) {
				r.taken = r.size(r.next) - len(rest)
				return n
			}
			packet := rest[:min(segment, len(rest))]
			rest = rest[len(packet):]
			sizes[n], eps[n] = copy(packets[n], packet), ep
			if sizes[n] < len(packet) {
				sizes[n] = 0 // half a packet is of no use
			}
		}
	}
	return n
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

// point makes message i go to buf.
func (r *receiver) point(i int, buf []byte) {
	r.iovs[i].Base = unsafe.SliceData(buf)
	r.iovs[i].SetLen(len(buf))
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
	r.count, r.next, r.taken = 0, 0, 0
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
