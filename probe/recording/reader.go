package recording

import (
	"bufio"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"time"

	"github.com/wgnode/wgnode/probe"
	"github.com/wgnode/wgnode/probe/evidence"
)

const readBuffer = 256 << 10

// Reader reads a recording. It is not safe for concurrent use.
type Reader struct {
	r      *bufio.Reader
	order  binary.ByteOrder
	meta   *Meta
	body   []byte // of the block that was read last
	offset int64  // of the next block in the file
	packet Packet
	loss   Loss
	ended  bool // the statistics were read
	endAt  int64
	told   []byte // of observations, in this packet

	observations []evidence.Observations
	err          error
}

// NewReader reads the head of a recording. The error wraps [ErrForeign] if r is
// something else, and [io.ErrUnexpectedEOF] if it ends within the head.
func NewReader(r io.Reader) (*Reader, error) {
	rd := &Reader{r: bufio.NewReaderSize(r, readBuffer), order: binary.LittleEndian}
	head, err := rd.r.Peek(blockOverhead)
	if len(head) < blockOverhead {
		if err == io.EOF && len(head) >= 4 && binary.LittleEndian.Uint32(head) == blockSection {
			err = io.ErrUnexpectedEOF
		} else if err == io.EOF {
			err = ErrForeign
		}
		return nil, fmt.Errorf("read recording: %w", err)
	}
	if binary.LittleEndian.Uint32(head) != blockSection {
		return nil, fmt.Errorf("not a pcapng file, and so %w", ErrForeign)
	}
	if err := rd.block(); err != nil {
		return nil, fmt.Errorf("read recording: %w", err)
	}
	return rd, nil
}

// Meta says where the recording comes from. Its peers grow as the reader comes to
// where they were added. It belongs to the reader.
func (r *Reader) Meta() *Meta { return r.meta }

// Loss is what the recording lacks, as far as it was read.
func (r *Reader) Loss() Loss { return r.loss }

// Complete reports whether the recording has been read to an end that its writer
// meant. One that was cut off, or written again by another tool, may have none.
func (r *Reader) Complete() bool { return r.ended }

// EndedAt is when the recording ended, zero as long as that was not read.
func (r *Reader) EndedAt() time.Time {
	if !r.ended {
		return time.Time{}
	}
	return time.Unix(0, r.endAt)
}

// Next reads the next packet or note. It belongs to the reader, and is valid until
// the next call. They come in order of time, but for received data that was followed by
// nothing: that comes up to a fifth of a second late. At the end the error is [io.EOF]; in a file that was cut off it is
// [io.ErrUnexpectedEOF], after the last whole packet.
func (r *Reader) Next() (*Packet, error) {
	for r.err == nil {
		r.packet.kept = false
		at := r.offset
		r.err = r.block()
		switch {
		case r.err == io.EOF || r.err == io.ErrUnexpectedEOF:
		case r.err != nil:
			r.err = fmt.Errorf("read recording: block at byte %d: %w", at, r.err)
		case r.packet.kept:
			return &r.packet, nil
		}
	}
	return nil, r.err
}

// block reads one block and takes what is of use in it.
func (r *Reader) block() error {
	typ, err := r.readBody()
	if err != nil {
		return err
	}
	switch typ {
	case blockSection:
		return r.section()
	case blockPacket:
		return r.enhancedPacket()
	case blockStatistics:
		return r.statistics()
	}
	return nil // another program's, or of no use here
}

// readBody reads the next block into r.body, without its type and lengths. The
// error is io.EOF only before the block's first byte.
func (r *Reader) readBody() (typ uint32, err error) {
	var head [8]byte
	if _, err := io.ReadFull(r.r, head[:]); err != nil {
		return 0, err
	}
	if binary.LittleEndian.Uint32(head[:]) == blockSection { // the same in both byte orders
		magic, err := r.r.Peek(4)
		if err != nil {
			return 0, cutOff(err)
		}
		switch uint32(byteOrderMagic) {
		case binary.LittleEndian.Uint32(magic):
			r.order = binary.LittleEndian
		case binary.BigEndian.Uint32(magic):
			r.order = binary.BigEndian
		default:
			return 0, errors.New("no pcapng section header")
		}
	}
	typ = r.order.Uint32(head[:])
	length := r.order.Uint32(head[4:])
	if length < blockOverhead || length%4 != 0 || length > maxBlock {
		return 0, fmt.Errorf("length %d of a block is not possible, or more than %d", length, maxBlock)
	}
	if err := r.fill(int(length) - 8); err != nil {
		return 0, err
	}
	r.offset += int64(length)
	n := len(r.body) - 4
	if again := r.order.Uint32(r.body[n:]); again != length {
		return 0, fmt.Errorf("block of length %d ends with length %d", length, again)
	}
	r.body = r.body[:n]
	return typ, nil
}

// fill reads n bytes into r.body. Memory is taken as they come, not as they are
// promised.
func (r *Reader) fill(n int) error {
	const step = 256 << 10
	r.body = r.body[:0]
	for len(r.body) < n {
		at, more := len(r.body), min(n-len(r.body), step)
		if cap(r.body)-at < more {
			grown := make([]byte, at, max(at+more, 2*cap(r.body)))
			copy(grown, r.body)
			r.body = grown
		}
		r.body = r.body[:at+more]
		if _, err := io.ReadFull(r.r, r.body[at:]); err != nil {
			return cutOff(err)
		}
	}
	return nil
}

// cutOff is the error of a file that ends within something.
func cutOff(err error) error {
	if err == io.EOF {
		return io.ErrUnexpectedEOF
	}
	return err
}

// options calls f for each option of b until there are no more.
func (r *Reader) options(b []byte, f func(code uint16, value []byte) error) error {
	for len(b) >= 4 {
		code, n := r.order.Uint16(b), int(r.order.Uint16(b[2:]))
		if code == optEnd {
			return nil
		}
		padded := 4 + (n+3)&^3
		if padded > len(b) {
			return errors.New("an option is longer than its block")
		}
		if err := f(code, b[4:4+n]); err != nil {
			return err
		}
		b = b[padded:]
	}
	if len(b) != 0 {
		return errors.New("options do not end with their block")
	}
	return nil
}

// custom is options for those of wgnode's.
func (r *Reader) custom(b []byte, f func(custom) error) error {
	return r.options(b, func(code uint16, value []byte) error {
		if code != optCustom {
			return nil
		}
		c, ok := parseCustom(r.order, value)
		if !ok {
			return nil
		}
		return f(c)
	})
}

// section reads a section header. A second one is taken if it is of the same
// recording: parts may have been put behind each other.
func (r *Reader) section() error {
	if len(r.body) < sectionFixed {
		return errors.New("section header is too short")
	}
	if major := r.order.Uint16(r.body[4:]); major != 1 {
		return fmt.Errorf("pcapng of version %d", major)
	}
	var text []byte
	if err := r.custom(r.body[sectionFixed:], func(c custom) error {
		if c.kind == kindMeta {
			text = append(text, c.content...)
		}
		return nil
	}); err != nil {
		return err
	}
	if text == nil {
		return fmt.Errorf("a pcapng file of another program: %w", ErrForeign)
	}
	m, err := parseMeta(text)
	if err != nil {
		return fmt.Errorf("description of the recording: %w", err)
	}
	switch {
	case m.Format < 1 || m.Format > Format:
		return fmt.Errorf("recording of format %d: this release reads formats 1 to %d", m.Format, Format)
	case r.meta != nil && m.ID != r.meta.ID:
		return errMixed
	}
	r.meta, r.ended = m, false
	return nil
}

// errMixed: a file has packets of two recordings.
var errMixed = errors.New("packets of two recordings in one file: give each in its own")

func (r *Reader) enhancedPacket() error {
	b := r.body
	if len(b) < packetFixed {
		return errors.New("packet block is too short")
	}
	captured, length := r.order.Uint32(b[12:]), r.order.Uint32(b[16:])
	b = b[packetFixed:]
	if captured > uint32(len(b)) || (captured+3)&^3 > uint32(len(b)) || captured > length || length > math.MaxInt32 {
		return fmt.Errorf("packet of %d bytes, %d captured, does not fit in its block", length, captured)
	}
	p := &r.packet
	*p = Packet{Data: b[:captured:captured], Length: int(length)}
	r.told = r.told[:0]
	err := r.options(b[(captured+3)&^3:], func(code uint16, value []byte) error {
		switch {
		case code == optPacketDrops && len(value) == 8:
			p.Lost = r.order.Uint64(value)
			r.addLost(p.Lost)
		case code == optCustom:
			if c, ok := parseCustom(r.order, value); ok {
				return r.tag(p, c)
			}
		}
		return nil
	})
	if err == nil && len(r.told) > 0 {
		err = r.observed(r.told)
	}
	return err
}

// addLost counts events until the statistics tell the sum.
func (r *Reader) addLost(n uint64) {
	if r.loss.Events+n >= n { // else it overflows: the file lies
		r.loss.Events += n
	}
}

// tag reads one of wgnode's options of a packet.
func (r *Reader) tag(p *Packet, c custom) error {
	if c.id != r.meta.ID {
		return errMixed
	}
	switch c.kind {
	case kindEvent:
		if len(c.content) != probe.EventSize {
			return fmt.Errorf("event of %d bytes", len(c.content))
		}
		p.Event.SetBinary((*[probe.EventSize]byte)(c.content))
		p.Drop, p.Interface, p.Made, p.kept = nil, interfaceOf(&p.Event), c.flags&flagMade != 0, true
		if p.Interface == Note {
			p.Data, p.Length = nil, 0
		}
	case kindPeer:
		var peer Peer
		if err := json.Unmarshal(c.content, &peer); err != nil {
			return fmt.Errorf("description of a peer: %w", err)
		}
		r.meta.add(peer)
	case kindDrop:
		return r.dropped(p, c.content)
	case kindObservations:
		r.told = append(r.told, c.content...)
	}
	return nil
}

func (r *Reader) statistics() error {
	if len(r.body) < statsFixed {
		return errors.New("statistics block is too short")
	}
	return r.custom(r.body[statsFixed:], func(c custom) error {
		if c.kind != kindStats {
			return nil
		}
		if c.id != r.meta.ID {
			return errMixed
		}
		var l Loss
		if err := json.Unmarshal(c.content, &l); err != nil {
			return fmt.Errorf("statistics: %w", err)
		}
		r.loss, r.ended = l, true
		r.endAt = int64(uint64(r.order.Uint32(r.body[4:]))<<32 | uint64(r.order.Uint32(r.body[8:])))
		return nil
	})
}
