package udp

import (
	"errors"
	"fmt"
	"net"
	"sync"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

const (
	// The kernel cuts up at most this many packets (UDP_MAX_SEGMENTS was 64
	// until Linux 6.9, and is larger since).
	maxSegments = 64

	// What fits into a datagram: the IP length field counts the IPv4 and UDP
	// headers, and the UDP header only for IPv6.
	maxPayload4 = 1<<16 - 1 - 20 - 8
	maxPayload6 = 1<<16 - 1 - 8

	// maxTries bounds how often a message is tried again because an earlier
	// one's error came in between.
	maxTries = 3
)

// sender is one call of Send: its packets as the kernel wants to have them,
// and how far it has got. It is large, so senders are pooled.
type sender struct {
	socket *socket
	dst    *Endpoint
	src    source
	// segment says to let the kernel cut up joined packets. It starts as the
	// socket's and may be turned off for the rest of the call.
	segment bool
	apart   bool   // see SendApart
	dropped uint64 // packets that a full queue refused

	name    sockaddr
	nameLen uint32
	msgs    [batchSize]message
	iovs    [batchSize]unix.Iovec
	ctrl    [batchSize]control
	ends    [batchSize]int // packets in this message and those before it
	count   int            // messages in msgs
	next    int            // the first that is not sent yet

	// Of the latest system call:
	errno syscall.Errno
	queue drained

	// Made once, for a method value allocates.
	try  func(fd uintptr)
	wait func(fd uintptr) bool
}

var senders = sync.Pool{New: func() any {
	m := new(sender)
	m.try = m.trySend
	m.wait = m.waitSend
	return m
}}

// release gives m back to the pool, and lets go of everything it points to.
func (m *sender) release() {
	clear(m.iovs[:])
	m.socket, m.dst, m.src, m.dropped = nil, nil, source{}, 0
	senders.Put(m)
}

// address prepares what all messages share.
func (m *sender) address() error {
	zone, err := m.dst.zoneIndex()
	if err != nil {
		return err
	}
	m.nameLen = m.name.set(m.dst.dst, zone)
	m.src = m.dst.source()
	m.segment = m.socket.segment && !m.apart && !m.socket.refusesJoined(m.dst, m.src)
	return nil
}

// SendApart has every packet make its own way through the network stack until end
// is called, so that whoever watches that stack sees each: of packets that are
// joined (UDP_SEGMENT) it sees the first. It costs throughput meanwhile.
func (b *Bind) SendApart() (end func()) {
	b.apart.Add(1)
	return sync.OnceFunc(func() { b.apart.Add(-1) })
}

// send sends all packets, or returns why not.
func (m *sender) send(packets [][]byte) error {
	var tooLong error
	for len(packets) > 0 {
		m.fill(packets)
		tries := 0
		next := sendOn
		for m.next < m.count && next != sendAnew {
			before := m.next
			if err := m.transmit(); err != nil {
				return err
			}
			if m.next > before {
				tries = 0
			}
			if m.errno == 0 {
				continue
			}
			switch next = m.react(tries); next {
			case sendAgain:
				tries++
			case sendOthers:
				if m.errno == unix.EMSGSIZE {
					tooLong = m.fail()
				}
				m.next++
				tries = 0
			case giveUp:
				return m.fail()
			}
		}
		packets = packets[m.packetsBefore(m.next):]
	}
	return tooLong
}

// fill makes messages of as many packets as fit, joining what the kernel can
// cut up again.
func (m *sender) fill(packets [][]byte) {
	m.count, m.next = 0, 0
	packets = packets[:min(len(packets), batchSize)]
	for taken := 0; taken < len(packets); m.count++ {
		n := 1
		if m.segment {
			n = joinable(packets[taken:], m.socket.v6)
		}
		iovs := m.iovs[taken : taken+n]
		for i := range iovs {
			iovs[i].Base = unsafe.SliceData(packets[taken+i])
			iovs[i].SetLen(len(packets[taken+i]))
		}
		ctrl := &m.ctrl[m.count]
		used := ctrl.addSource(0, m.src)
		if n > 1 {
			used = ctrl.addSegment(used, uint16(len(packets[taken])))
		}
		taken += n
		m.ends[m.count] = taken

		msg := &m.msgs[m.count]
		msg.Name, msg.Namelen = (*byte)(unsafe.Pointer(&m.name)), m.nameLen
		msg.Iov = &iovs[0]
		msg.SetIovlen(n)
		msg.Control = nil
		if used > 0 {
			msg.Control = ctrl.pointer()
		}
		msg.SetControllen(used)
	}
}

// joinable returns how many of the first packets may be joined: they must be
// of one size, but for the last, which may be shorter.
func joinable(packets [][]byte, v6 bool) int {
	room := maxPayload4
	if v6 {
		room = maxPayload6
	}
	size := len(packets[0])
	if size == 0 {
		return 1
	}
	room -= size
	n := 1
	for n < min(len(packets), maxSegments) {
		l := len(packets[n])
		if l == 0 || l > size || l > room {
			break
		}
		room -= l
		n++
		if l < size {
			break
		}
	}
	return n
}

// packetsBefore returns how many packets the first i messages hold.
func (m *sender) packetsBefore(i int) int {
	if i == 0 {
		return 0
	}
	return m.ends[i-1]
}

// transmit hands messages to the kernel, until all are sent or one fails, which
// m.errno tells. It returns an error only if there is no socket any more.
func (m *sender) transmit() error {
	// The socket hardly ever blocks. So the first try goes past the lock that
	// lets only one goroutine at a time wait for it.
	err := m.socket.raw.Control(m.try)
	if err == nil && m.errno == unix.EAGAIN {
		err = m.socket.raw.Write(m.wait)
	}
	if errors.Is(err, net.ErrClosed) {
		return net.ErrClosed
	}
	if err != nil {
		return fmt.Errorf("send to %s: %w", m.dst.dst, err)
	}
	return nil
}

func (m *sender) trySend(fd uintptr) {
	m.queue = drained{}
	for m.next < m.count {
		var n int
		n, m.errno = m.socket.sendmmsg(fd, m.msgs[m.next:m.count])
		m.next += n
		if m.errno != 0 {
			if m.errno != unix.EAGAIN {
				m.queue = m.socket.drain(int(fd))
			}
			return
		}
	}
}

func (m *sender) waitSend(fd uintptr) bool {
	m.trySend(fd)
	return m.errno != unix.EAGAIN
}

// reaction is what to do about a message that could not be sent.
type reaction int

const (
	sendOn     reaction = iota
	sendAgain           // the same message
	sendAnew            // its packets, but put together in another way
	sendOthers          // the messages after it
	giveUp
)

// react looks at m.errno and decides. Each sendAnew takes away one thing that
// may have been the cause, so there is an end to them.
func (m *sender) react(tries int) reaction {
	packets := m.ends[m.next] - m.packetsBefore(m.next)
	switch {
	case packets > 1 && (m.errno == unix.EIO || m.errno == unix.EINVAL || m.errno == unix.EMSGSIZE):
		// EIO: the interface cannot compute checksums, and the kernel does
		// not make up for it; it will not in the next call either. The others: the
		// packets are longer than the path takes in one piece, and only
		// whole datagrams get fragmented.
		m.segment = false
		if m.errno == unix.EIO {
			m.socket.refuseJoined(m.dst, m.src)
		}
		return sendAnew

	case m.errno == unix.ENOBUFS:
		// Only sockets with an error queue are told that the queue of the
		// interface was full. Others lose the packet in silence.
		m.dropped += uint64(packets)
		return sendOthers

	case mayBePending(m.errno) && !m.queue.local && tries < maxTries && (tries == 0 || m.queue.entries > 0):
		return sendAgain

	case m.src.addr.IsValid() && blamesSource(m.errno):
		m.dst.ClearSrc()
		m.src = source{}
		return sendAnew

	case m.errno == unix.EMSGSIZE:
		return sendOthers
	}
	return giveUp
}

// blamesSource says whether an error may come from asking for an address that
// is no longer ours, or an interface that is gone or does not lead there.
func blamesSource(errno syscall.Errno) bool {
	switch errno {
	case unix.EINVAL, unix.EADDRNOTAVAIL, unix.ENETUNREACH, unix.EHOSTUNREACH, unix.ENETDOWN, unix.ENODEV, unix.ENXIO:
		return true
	}
	return false
}

func (m *sender) fail() error {
	return fmt.Errorf("send to %s: %w", m.dst.dst, m.errno)
}
