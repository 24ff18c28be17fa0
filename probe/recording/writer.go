package recording

import (
	"bufio"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/wgnode/wgnode/probe"
)

const (
	writeBuffer = 256 << 10
	// metaPeers is how much of the JSON of peers goes into the section header,
	// where other tools keep it in memory; the rest is told in notes.
	metaPeers = 1 << 20
	// snapLimit is the snapshot length that the file states: none that matters.
	snapLimit = 262144
	// maxCaptured is the longest packet that is written.
	maxCaptured = 65535 + ipv6Header + udpHeader
)

// Loss is what a recording lacks.
type Loss struct {
	// Events were overwritten before they could be read, each a packet that is
	// not in the file, or one that the filter would have refused.
	Events uint64 `json:"events"`
	// Contents of packets could not be kept: there the file has the headers only,
	// as far as the event knows them.
	Contents uint64 `json:"contents"`
	// Drops are packets that the kernel has dropped which were counted alone: too many came at a
	// time.
	Drops uint64 `json:"drops,omitempty"`
}

// Writer writes a recording. It is not safe for concurrent use. After an error
// nothing more can be written.
type Writer struct {
	w       *bufio.Writer
	meta    Meta
	comment *commenter
	known   map[probe.PeerID]bool
	buf     []byte    // the block that is being made
	scratch []byte    // the content of an option
	size    int64     // of what was written, with what is still buffered
	counts  [3]uint64 // packets by interface
	first   int64     // time of the first event
	last    int64
	err     error
}

// NewWriter begins a recording. m.ID must be set; m belongs to the caller.
func NewWriter(w io.Writer, m *Meta) (*Writer, error) {
	wr := &Writer{w: bufio.NewWriterSize(w, writeBuffer), meta: *m, known: make(map[probe.PeerID]bool)}
	wr.meta.Format, wr.meta.Peers = Format, slices.Clone(m.Peers)
	wr.comment = newCommenter(&wr.meta)
	rest, err := wr.section()
	if err != nil {
		return nil, err
	}
	for i, name := range []string{m.Interface + " wire", m.Interface, m.Interface + " notes"} {
		wr.describe(name, descriptions[i])
	}
	for i := range rest {
		if err := wr.tell(&rest[i]); err != nil {
			return nil, err
		}
	}
	return wr, wr.err
}

var descriptions = [3]string{
	"encrypted datagrams; IP and UDP headers were not captured but made from wgnode's event",
	"packets inside the tunnel",
	"what wgnode, its WireGuard device or the kernel say; no packets, the comments count",
}

// section writes the section header. It returns the peers that had no room in it.
func (w *Writer) section() (rest []Peer, err error) {
	m := w.meta
	m.Peers = nil
	size := 0
	for i := range w.meta.Peers {
		one, err := json.Marshal(&w.meta.Peers[i])
		if err != nil {
			return nil, fmt.Errorf("describe peer: %w", err)
		}
		if size += len(one); size > metaPeers {
			rest = w.meta.Peers[i:]
			break
		}
		m.Peers = w.meta.Peers[:i+1]
		w.known[w.meta.Peers[i].ID] = true
	}
	text, err := json.Marshal(&m)
	if err != nil {
		return nil, fmt.Errorf("describe recording: %w", err)
	}
	w.meta.Peers = slices.Clip(m.Peers)
	b := beginBlock(w.buf[:0], blockSection)
	b = binary.LittleEndian.AppendUint32(b, byteOrderMagic)
	b = binary.LittleEndian.AppendUint16(b, 1)
	b = binary.LittleEndian.AppendUint16(b, 0)
	b = binary.LittleEndian.AppendUint64(b, 1<<64-1) // length not known
	b = appendOption(b, optSectionOS, []byte(runtime.GOOS))
	b = appendOption(b, optSectionApp, []byte(strings.TrimSpace("wgnode "+m.Version)))
	for part := range slices.Chunk(text, maxOption-customHeader-3) {
		b = appendCustom(b, kindMeta, 0, m.ID, part)
	}
	w.write(endBlock(endOptions(b)))
	return rest, w.err
}

func (w *Writer) describe(name, description string) {
	b := beginBlock(w.buf[:0], blockInterface)
	b = binary.LittleEndian.AppendUint16(b, linkRaw)
	b = append(b, 0, 0)
	b = binary.LittleEndian.AppendUint32(b, snapLimit)
	b = appendOption(b, optIfName, []byte(name))
	b = appendOption(b, optIfDescription, []byte(description))
	b = appendOption(b, optIfResolution, []byte{9}) // nanoseconds
	if f := strings.Join(w.meta.Filter, " "); f != "" && len(f) < maxOption {
		b = appendOption(b, optIfFilter, append([]byte{0}, f...))
	}
	w.write(endBlock(endOptions(b)))
}

// write takes a finished block, which begins w.buf.
func (w *Writer) write(b []byte) {
	w.buf = b
	if w.err != nil {
		return
	}
	w.size += int64(len(b))
	if _, err := w.w.Write(b); err != nil {
		w.err = fmt.Errorf("write recording: %w", err)
	}
}

// addPeer writes down a peer that is new since the recording began. It must be called
// before the first event that names it.
func (w *Writer) addPeer(p Peer) error {
	if w.known[p.ID] {
		return w.err
	}
	return w.tell(&p)
}

func (w *Writer) tell(p *Peer) error {
	text, err := json.Marshal(p)
	if err != nil {
		return fmt.Errorf("describe peer: %w", err)
	}
	if len(text) > maxOption-customHeader-3 {
		q := *p // with fewer AllowedIPs than some 1,500 it fits
		q.AllowedIPs = nil
		if text, err = json.Marshal(&q); err != nil {
			return fmt.Errorf("describe peer: %w", err)
		}
	}
	w.known[p.ID] = true
	w.meta.Peers = append(w.meta.Peers, *p)
	var e probe.Event
	b, at := w.beginPacket(Note, max(w.last, w.meta.Clock.Started.UnixNano()))
	b = appendNote(b, &e)
	b = endData(b, at, len(b)-at)
	b = appendOption(b, optComment, append([]byte("peer "), w.comment.peer(p.ID)...))
	b = appendCustom(b, kindPeer, 0, w.meta.ID, text)
	w.write(endBlock(endOptions(b)))
	return w.err
}

// beginPacket begins a block; data is to follow at the position that it returns.
func (w *Writer) beginPacket(in Interface, time int64) (b []byte, at int) {
	b = beginBlock(w.buf[:0], blockPacket)
	b = binary.LittleEndian.AppendUint32(b, uint32(in))
	b = binary.LittleEndian.AppendUint32(b, uint32(uint64(time)>>32))
	b = binary.LittleEndian.AppendUint32(b, uint32(time))
	b = append(b, 0, 0, 0, 0, 0, 0, 0, 0) // see endData
	return b, len(b)
}

// endData ends the data that begins at a position, of a packet of length bytes.
func endData(b []byte, at, length int) []byte {
	binary.LittleEndian.PutUint32(b[at-8:], uint32(len(b)-at))
	binary.LittleEndian.PutUint32(b[at-4:], uint32(max(length, len(b)-at)))
	return pad(b, len(b)-at)
}

// Event writes one event as a packet, or a note. captured is what was kept of the
// packet: at the TUN seams its beginning, at the UDP seams that of the payload; nil
// if nothing was, then the packet is made from the event. lost is how many events
// are missing since the previous one. Nothing is kept of either pointer.
func (w *Writer) Event(e *probe.Event, captured []byte, lost uint64) error {
	in := interfaceOf(e)
	captured = captured[:min(len(captured), maxCaptured-ipv6Header-udpHeader)]
	b, at := w.beginPacket(in, e.Time)
	var length int
	made := captured == nil
	switch in {
	case Wire:
		b, length = appendWire(b, e, captured)
	case Inside:
		if made {
			b, length = appendInside(b, e)
		} else {
			b, length = append(b, captured...), int(e.InnerLen)
		}
	default:
		b = appendNote(b, e)
	}
	b = endData(b, at, length)
	b = w.tags(b, e, in, made, lost)
	w.write(endBlock(endOptions(b)))
	w.counted(in, e.Time)
	return w.err
}

// counted counts what was written of a time.
func (w *Writer) counted(in Interface, at int64) {
	w.counts[in]++
	if w.first == 0 {
		w.first = at
	}
	w.last = max(w.last, at)
}

// tags appends the options of a packet.
func (w *Writer) tags(b []byte, e *probe.Event, in Interface, made bool, lost uint64) []byte {
	w.scratch = w.comment.append(w.scratch[:0], e, in, made)
	b = appendOption(b, optComment, w.scratch[:min(len(w.scratch), maxOption)])
	switch e.Seam {
	case probe.SeamUDPSend, probe.SeamTUNRead:
		b = append(b, optPacketFlags, 0, 4, 0, 2, 0, 0, 0) // outbound
	case probe.SeamUDPReceive, probe.SeamTUNWrite:
		b = append(b, optPacketFlags, 0, 4, 0, 1, 0, 0, 0) // inbound
	}
	if lost > 0 {
		b = append(b, optPacketDrops, 0, 8, 0)
		b = binary.LittleEndian.AppendUint64(b, lost)
	}
	var flags byte
	if made {
		flags = flagMade
	}
	b = appendCustomHeader(b, kindEvent, flags, w.meta.ID, probe.EventSize)
	b, _ = e.AppendBinary(b)
	return b
}

// Secrets writes a Decryption Secrets Block with WireGuard's key log: lines that
// Wireshark's dissector understands. Packets before it stay encrypted to tools that
// read the file once.
func (w *Writer) Secrets(keylog []byte) error {
	b := beginBlock(w.buf[:0], blockSecrets)
	b = binary.LittleEndian.AppendUint32(b, secretsWireGuard)
	b = binary.LittleEndian.AppendUint32(b, uint32(len(keylog)))
	b = pad(append(b, keylog...), len(keylog))
	w.write(endBlock(b))
	return w.err
}

// Flush hands on what is buffered.
func (w *Writer) Flush() error {
	if err := w.w.Flush(); err != nil && w.err == nil {
		w.err = fmt.Errorf("write recording: %w", err)
	}
	return w.err
}

// Close writes the statistics, with what was lost in all, and flushes. It does not
// close what lies below.
func (w *Writer) Close(lost Loss) error { return w.CloseAt(lost, time.Now()) }

// CloseAt is Close for a recording that ended at another time than now.
func (w *Writer) CloseAt(lost Loss, end time.Time) error {
	text, err := json.Marshal(lost)
	if err != nil {
		return fmt.Errorf("write statistics: %w", err)
	}
	for in, n := range w.counts {
		b := beginBlock(w.buf[:0], blockStatistics)
		b = binary.LittleEndian.AppendUint32(b, uint32(in))
		b = appendTime(b, end.UnixNano())
		if w.first != 0 {
			b = appendTime(append(b, optStatsStart, 0, 8, 0), w.first)
			b = appendTime(append(b, optStatsEnd, 0, 8, 0), w.last)
		}
		b = binary.LittleEndian.AppendUint64(append(b, optStatsReceived, 0, 8, 0), n)
		if Interface(in) == Wire { // whose the lost ones were is not known
			b = binary.LittleEndian.AppendUint64(append(b, optStatsDropped, 0, 8, 0), lost.Events)
			b = appendCustom(b, kindStats, 0, w.meta.ID, text)
		}
		w.write(endBlock(endOptions(b)))
	}
	return w.Flush()
}

// appendTime appends a time as pcapng has it: the upper half first.
func appendTime(b []byte, ns int64) []byte {
	b = binary.LittleEndian.AppendUint32(b, uint32(uint64(ns)>>32))
	return binary.LittleEndian.AppendUint32(b, uint32(ns))
}
