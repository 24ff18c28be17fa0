package tundev

import (
	"fmt"
	"os"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"
)

// writer is the state of one Write.
type writer struct {
	joiner
	bufs    [][]byte
	offset  int
	headers []byte // of the super packet at hand
	iov     []unix.Iovec

	at      int // the group that comes next
	written int // packets
	failed  int // packets
	err     error
	run     func(fd uintptr)      // writer.flush, for Control
	wait    func(fd uintptr) bool // writer.flush, for Write
}

var writers = sync.Pool{New: func() any {
	w := new(writer)
	w.run = func(fd uintptr) { w.flush(fd) }
	w.wait = w.flush
	return w
}}

// Write implements tun.Device. It hands packets, each of which begins at offset
// in its buffer, to the host, and returns how many it took. The headerLen bytes
// before a packet are overwritten, the packet is not. If the kernel refuses some
// of them, it is told about the others still, and the error is the first. The
// error is os.ErrClosed if the device is closed or its interface deleted.
func (d *Device) Write(bufs [][]byte, offset int) (int, error) {
	if offset < headerLen {
		return 0, errOffset
	}
	w := writers.Get().(*writer)
	defer w.release()
	w.joins, w.bufs, w.offset = d.join, bufs, offset
	w.at, w.written, w.failed, w.err = 0, 0, 0, nil
	w.sort(bufs, offset)
	// Control lets several goroutines write at the same time.
	err := d.raw.Control(w.run)
	if err == nil && w.at < len(w.groups) {
		err = d.raw.Write(w.wait)
	}
	if err != nil {
		return w.written, d.fileError(err)
	}
	if w.failed > 1 {
		return w.written, fmt.Errorf("%d of %d packets: %w", w.failed, len(bufs), w.err)
	}
	return w.written, w.err
}

func (w *writer) release() {
	w.bufs, w.err = nil, nil
	writers.Put(w)
}

// flush writes the groups that are left. It reports false if the kernel is not
// ready for the next.
func (w *writer) flush(fd uintptr) (done bool) {
	for ; w.at < len(w.groups); w.at++ {
		g := &w.groups[w.at]
		errno := w.writeGroup(fd, g)
		switch errno {
		case 0:
			w.written += int(g.packets)
		case unix.EAGAIN:
			return false
		case unix.EBADFD:
			w.err = os.ErrClosed
			w.at = len(w.groups)
			return true
		default:
			if g.packets > 1 && errno != unix.EIO { // EIO: the interface is down
				w.split(fd, g)
			} else {
				w.fail(errno, int(g.packets))
			}
		}
	}
	return true
}

// split writes the packets of a super packet that the kernel has refused.
func (w *writer) split(fd uintptr, g *group) {
	for i := g.first; i >= 0; i = w.next[i] {
		if errno := w.writeOne(fd, int(i)); errno != 0 {
			w.fail(errno, 1)
		} else {
			w.written++
		}
	}
}

func (w *writer) fail(errno syscall.Errno, packets int) {
	w.failed += packets
	if w.err == nil {
		w.err = os.NewSyscallError("write", errno)
	}
}

func (w *writer) writeGroup(fd uintptr, g *group) syscall.Errno {
	if g.packets == 1 {
		return w.writeOne(fd, int(g.first))
	}
	w.headers = g.appendHeaders(w.headers[:0], w.bufs[g.first][w.offset:])
	iov := append(w.iov[:0], vector(w.headers))
	for i := g.first; i >= 0; i = w.next[i] {
		iov = append(iov, vector(w.bufs[i][w.offset+g.layout.headers:]))
	}
	w.iov = iov
	_, errno := vectored(unix.SYS_WRITEV, fd, iov)
	return errno
}

func (w *writer) writeOne(fd uintptr, i int) syscall.Errno {
	b := w.bufs[i][w.offset-headerLen:]
	clear(b[:headerLen])
	for {
		_, err := unix.Write(int(fd), b)
		errno, _ := err.(syscall.Errno) // the only type that unix.Write returns
		if errno != unix.EINTR {
			return errno
		}
	}
}
