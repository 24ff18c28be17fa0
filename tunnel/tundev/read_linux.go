package tundev

import (
	"os"
	"sync"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

const (
	// maxSuper is more than the kernel hands over at once: a packet and its
	// header.
	maxSuper = headerLen + 1<<16 + 1<<10
	// patience is for how many packets after a super packet another like it is
	// expected.
	patience = 16
)

// reader is the state of Read, which takes turns with itself.
type reader struct {
	turn    sync.Mutex
	header  [headerLen]byte
	guess   shape // of the next super packet
	trust   int   // packets for which guess is used
	guessed bool  // it was in the latest readv
	cut     cutter
	iov     []unix.Iovec
	readv   func(fd uintptr, iov []unix.Iovec) (int, syscall.Errno)

	// spill takes what has no room in the buffers; flat is where a packet is
	// put together that was guessed wrong.
	spill, flat [maxSuper]byte

	// What the present Read works on and has got, while it waits for the kernel.
	bufs   [][]byte
	sizes  []int
	offset int
	n      int
	err    error
}

// Read implements tun.Device. It waits for a packet, and returns as many as
// there are without waiting again. bufs are equally long; what does not fit one
// is dropped. A packet that the kernel describes wrongly is dropped with an
// error that errors.Is takes for tun.ErrTooManySegments: the packets before it
// are good, and so is the next Read. There are never too many segments: those
// beyond len(bufs) are for the next Read.
//
// The error is os.ErrClosed once the device is closed or its interface deleted.
func (d *Device) Read(bufs [][]byte, sizes []int, offset int) (int, error) {
	r := &d.reader
	r.turn.Lock()
	defer r.turn.Unlock()
	if r.cut.left > 0 {
		if n := r.cut.rest(bufs, sizes, offset); n > 0 {
			return n, nil
		}
	}
	r.bufs, r.sizes, r.offset, r.n, r.err = bufs, sizes, offset, 0, nil
	err := d.raw.Read(d.drain)
	r.bufs, r.sizes = nil, nil
	if err != nil {
		return 0, d.fileError(err)
	}
	return r.n, r.err
}

// drainInto reads until there is nothing left or no room. It reports false if
// there was nothing at all, so that the caller waits.
func (r *reader) drainInto(fd uintptr) (done bool) {
	for r.n < len(r.bufs) {
		got, errno := r.readv(fd, r.vector())
		switch {
		case errno == unix.EAGAIN:
			return r.n > 0
		case errno == unix.EBADFD: // the interface was deleted
			r.err = os.ErrClosed
			return true
		case errno != 0:
			r.err = os.NewSyscallError("readv", errno)
			return true
		}
		n, err := r.place(got)
		r.n += n
		if err != nil {
			r.err = err
			return true
		}
		if r.cut.left > 0 || n > len(r.bufs)-r.n {
			return true // another super packet would not fit
		}
	}
	return true
}

// vector says where the next packet goes: into the buffers that are left, the
// way that is guessed.
func (r *reader) vector() []unix.Iovec {
	left := r.bufs[r.n:]
	iov := append(r.iov[:0], vector(r.header[:]))
	end := r.offset + r.guess.headers + r.guess.segment
	if r.guessed = r.trust > 0 && end <= len(left[0]); !r.guessed {
		iov = append(iov, vector(left[0][r.offset:]))
	} else {
		r.trust--
		iov = append(iov, vector(left[0][r.offset:end]))
		n := min(len(left), maxSuper/r.guess.segment+1)
		for _, b := range left[1:n] {
			iov = append(iov, vector(b[r.offset+r.guess.headers:end]))
		}
	}
	iov = append(iov, vector(r.spill[:]))
	r.iov = iov
	return iov
}

func readv(fd uintptr, iov []unix.Iovec) (int, syscall.Errno) {
	return vectored(unix.SYS_READV, fd, iov)
}

// place makes packets of what readv has read, got bytes of it.
func (r *reader) place(got int) (n int, err error) {
	size := got - headerLen
	if size < 0 {
		return 0, malformed("no header")
	}
	var h header
	h.get(r.header[:])
	if h.gsoType == gsoNone {
		return r.placeOne(&h, size)
	}
	first := r.iov[1].Len
	head := r.bufs[r.n][r.offset:][:min(uint64(size), uint64(first))]
	s, err := shapeOf(&h, head)
	switch {
	case err == nil && r.guessed && s == r.guess:
		n = r.placeSegments(&h, s, head, size)
	case err == nil && !r.guessed && size <= len(head):
		n, err = r.cutUp(&h, s, head)
	default:
		whole := r.gather(size)
		if s, err = shapeOf(&h, whole); err == nil {
			n, err = r.cutUp(&h, s, whole)
		}
	}
	if err == nil {
		r.guess, r.trust = s, patience
	}
	return n, err
}

// placeOne is for what is no super packet.
func (r *reader) placeOne(h *header, size int) (n int, err error) {
	out := r.bufs[r.n][r.offset:]
	if size > len(out) {
		return 0, errTooLarge
	}
	if size > int(r.iov[1].Len) {
		copy(out, r.gather(size))
	}
	if err := finishChecksum(h, out[:size]); err != nil {
		return 0, err
	}
	r.sizes[r.n] = size
	return 1, nil
}

// placeSegments makes the headers of segments whose payload is in place, and
// keeps for later what came after them.
func (r *reader) placeSegments(h *header, s shape, head []byte, size int) (n int) {
	c := &r.cut
	c.start(s, h, head, size)
	for _, b := range r.bufs[r.n : r.n+len(r.iov)-2] {
		if c.left == 0 {
			break
		}
		r.sizes[r.n+n] = c.next(b[r.offset:])
		n++
	}
	c.payload = r.spill[:c.left]
	return n + c.rest(r.bufs[r.n+n:], r.sizes[r.n+n:], r.offset)
}

// cutUp makes the segments of a super packet that lies in one piece, perhaps in
// the first buffer.
func (r *reader) cutUp(h *header, s shape, whole []byte) (n int, err error) {
	if s.headers+s.segment > len(r.bufs[r.n])-r.offset {
		return 0, errTooLarge
	}
	c := &r.cut
	c.start(s, h, whole, len(whole))
	c.payload = whole[s.headers:]
	n = c.rest(r.bufs[r.n:], r.sizes[r.n:], r.offset)
	if c.left > 0 { // the buffers are the caller's from now on
		c.payload = r.spill[:copy(r.spill[:], c.payload)]
	}
	return n, nil
}

// gather returns what readv has read, size bytes of it, in one piece. It stays
// valid until the next call.
func (r *reader) gather(size int) []byte {
	whole := r.flat[:0]
	for _, v := range r.iov[1:] {
		whole = append(whole, unsafe.Slice(v.Base, min(int(v.Len), size-len(whole)))...)
	}
	return whole
}

func vector(b []byte) unix.Iovec {
	v := unix.Iovec{Base: unsafe.SliceData(b)}
	v.SetLen(len(b))
	return v
}

// vectored is readv(2) or writev(2).
func vectored(call, fd uintptr, iov []unix.Iovec) (int, syscall.Errno) {
	for {
		n, _, errno := unix.Syscall(call, fd, uintptr(unsafe.Pointer(unsafe.SliceData(iov))), uintptr(len(iov)))
		if errno != unix.EINTR {
			return int(n), errno
		}
	}
}
