//go:build linux

package drops

import (
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"
	"github.com/cilium/ebpf/ringbuf"
	"golang.org/x/sys/unix"

	"github.com/wgnode/wgnode/probe/host/bpf"
)

// How much is reported.
const (
	reportsLen = 1 << 19 // bytes of the ring buffer
	window     = 100 * time.Millisecond
	perWindow  = 16 // reports of one reason and place, on one processor
)

// A record of the ring buffer: where is what, in bytes.
const (
	recordTime    = 0
	recordPlace   = 8
	recordReason  = 16
	recordDevice  = 20
	recordSpace   = 24
	recordLength  = 28
	recordSocket  = 32
	recordSegment = 36
	recordHeader  = 40
	recordStack   = recordHeader + HeaderLen
	recordLen     = recordStack + stackLen

	stackLen = 16 * 8
)

// errNoReasons is what kernels before 5.17 lack.
var errNoReasons = fmt.Errorf("%w, and why: that is Linux 5.17 or later", ErrKernel)

// Options say which packets are watched.
type Options struct {
	// Matches select packets; one that any of them selects is reported. Later
	// fragments have no ports: only their addresses count. None, and no Tunnel: all packets.
	Matches []Match
	// Tunnel selects the packets of a tunnel. What Matches select beside those is reported, too.
	Tunnel *Tunnel
	// Namespace is the inode number of the network namespace, 0 for all. A packet
	// whose namespace is not known is reported.
	Namespace uint32

	functions bool // the program is to read by calls of functions alone
}

// Watcher reports dropped packets. Its methods can be called by several goroutines.
type Watcher struct {
	layout  *layout
	maps    *ebpf.Collection
	link    link.Link
	reports *ringbuf.Reader
	symbols *symbols
	close   func() error

	functions bool // the program calls functions for what it reads, see [Options]
}

// Available says what keeps this process from watching, nil if nothing is known to.
func Available() error {
	err := bpf.Available()
	if errors.Is(err, bpf.ErrTypes) {
		return fmt.Errorf("%w: %w", ErrKernel, err)
	}
	return err
}

// Start begins to watch. Close ends it.
func Start(opt Options) (*Watcher, error) {
	if err := Available(); err != nil {
		return nil, err
	}
	kernel, err := bpf.KernelTypes()
	if err != nil {
		return nil, err
	}
	l, err := readLayout(kernel)
	if err != nil {
		return nil, err
	}
	w := &Watcher{layout: l, symbols: kernelSymbols()}
	go w.symbols.load() // while nothing is reported yet
	w.maps, err = load(l, opt)
	if err != nil && !opt.functions && errors.As(err, new(*ebpf.VerifierError)) {
		opt.functions = true // a kernel that does not know the types as we do
		w.maps, err = load(l, opt)
	}
	if err != nil {
		return nil, err
	}
	w.functions = opt.functions
	w.close = sync.OnceValue(w.end)
	if opt.Tunnel != nil {
		if err := w.SetAddresses(opt.Tunnel.Addresses); err != nil {
			return nil, errors.Join(err, w.Close())
		}
	}
	if w.link, err = link.AttachTracing(link.TracingOptions{Program: w.maps.Programs["kfree_skb"]}); err != nil {
		return nil, errors.Join(fmt.Errorf("attach the program that watches drops: %w", bpf.Refused(err)), w.Close())
	}
	if w.reports, err = ringbuf.NewReader(w.maps.Maps[mapReports]); err != nil {
		return nil, errors.Join(fmt.Errorf("read reports of drops: %w", err), w.Close())
	}
	return w, nil
}

func load(l *layout, opt Options) (*ebpf.Collection, error) {
	spec, err := collection(l, opt)
	if err != nil {
		return nil, err
	}
	c, err := bpf.Load(spec)
	if err != nil {
		return nil, fmt.Errorf("load the program that watches drops: %w", err)
	}
	return c, nil
}

// ErrSynced says that Read has returned all that had happened before the call of Sync.
var ErrSynced = errors.New("all earlier reports have been read")

// Sync has Read return [ErrSynced] once. It may be called while another goroutine reads.
func (w *Watcher) Sync() error { return w.reports.Flush() }

// Read waits for the next report. It returns [os.ErrClosed] after Close,
// [os.ErrDeadlineExceeded] after the time that SetDeadline was given, and see Sync.
func (w *Watcher) Read() (*Drop, error) {
	r, err := w.reports.Read()
	if err != nil {
		switch {
		case errors.Is(err, ringbuf.ErrClosed):
			return nil, os.ErrClosed
		case errors.Is(err, ringbuf.ErrFlushed):
			return nil, ErrSynced
		}
		return nil, fmt.Errorf("read reports of drops: %w", err)
	}
	if len(r.RawSample) < recordLen {
		return nil, fmt.Errorf("read reports of drops: %d bytes, want %d", len(r.RawSample), recordLen)
	}
	return w.drop(r.RawSample), nil
}

// SetDeadline has Read give up at a time, zero: never.
func (w *Watcher) SetDeadline(t time.Time) { w.reports.SetDeadline(t) }

func (w *Watcher) drop(b []byte) *Drop {
	word, long := binary.NativeEndian.Uint32, binary.NativeEndian.Uint64
	d := &Drop{At: bpf.Since(long(b[recordTime:])), Device: word(b[recordDevice:]), Namespace: word(b[recordSpace:]),
		Socket: b[recordSocket] != 0, Segment: Segment(b[recordSegment]), Length: int(word(b[recordLength:]))}
	header := b[recordHeader : recordHeader+HeaderLen]
	if n := ipLength(header); n > 0 {
		d.Length = n // the other one is without headers that are done with
	}
	copy(d.Header[:], header[:min(kept(header), d.Length)])
	d.Reason = w.layout.reason(word(b[recordReason:]))
	addrs := []uint64{long(b[recordPlace:])}
	for i := 0; i < stackLen; i += 8 {
		if a := long(b[recordStack+i:]); a != 0 {
			addrs = append(addrs, a)
		}
	}
	names := w.symbols.names(addrs)
	d.Place, d.Stack = names[0], names[1:]
	// What has called the tracepoint comes first.
	for len(d.Stack) > 0 && (strings.HasPrefix(d.Stack[0], "bpf_") || strings.Contains(d.Stack[0], "skb_reason")) {
		d.Stack = d.Stack[1:]
	}
	return d
}

// ipLength is what the IP header says that the packet has, 0 for one that is to be cut into
// several.
func ipLength(b []byte) int {
	if b[0]>>4 == 4 {
		return int(binary.BigEndian.Uint16(b[2:]))
	}
	if n := int(binary.BigEndian.Uint16(b[4:])); n > 0 {
		return 40 + n
	}
	return 0
}

// kept is how much of a packet is headers: more is not to be seen. Of a datagram that may
// be one of WireGuard's that includes the header of the message.
func kept(b []byte) int {
	at, proto := 40, b[6]
	if b[0]>>4 == 4 {
		at, proto = int(b[0]&0x0f)*4, b[9]
		if binary.BigEndian.Uint16(b[6:])&0x1fff != 0 {
			return min(at, len(b))
		}
	}
	n := 8
	switch {
	case at+12 > len(b):
	case proto == unix.IPPROTO_TCP:
		n = 20
	case proto == unix.IPPROTO_UDP && b[at+8] >= 1 && b[at+8] <= 4 && b[at+9]|b[at+10]|b[at+11] == 0:
		n = 8 + 16
	case proto == unix.IPPROTO_ICMP && b[at] != 0 && b[at] != 8, proto == unix.IPPROTO_ICMPV6 && b[at] < 128:
		n = HeaderLen // an error: the headers of another packet
	}
	return min(at+n, len(b))
}

// Lost is how many reports found no room in the ring buffer so far.
func (w *Watcher) Lost() (uint64, error) {
	n, err := bpf.Total(w.maps.Maps[mapLost])
	if err != nil {
		return 0, fmt.Errorf("read how many reports of drops were lost: %w", err)
	}
	return n, nil
}

// Place is where packets are dropped, and why.
type Place struct {
	Reason, Name string
	Device       uint32 // the index of the device that they were at, 0 if none
	Segment      Segment
}

// Places is how many of the selected packets were dropped so far at each place, reported or
// not. It remembers about a thousand places.
func (w *Watcher) Places() (map[Place]uint64, error) {
	return w.count(func(v placeCount) uint64 { return v.All })
}

// Unreported is how many of them were not reported, because too many came from one place at
// a time. What happens to connections that work is not among them.
func (w *Watcher) Unreported() (map[Place]uint64, error) {
	places, err := w.count(func(v placeCount) uint64 {
		return v.All - min(v.All, v.Reported) // one of them may be of a moment later
	})
	maps.DeleteFunc(places, func(p Place, n uint64) bool {
		d := &Drop{Reason: p.Reason, Place: p.Name}
		return n == 0 || d.Noise() || usual[p.Reason]
	})
	return places, err
}

// placeCount is a value of mapPlaces.
type placeCount struct{ All, Lately, Since, Reported uint64 }

func (w *Watcher) count(what func(placeCount) uint64) (map[Place]uint64, error) {
	type key struct {
		Place   uint64
		Reason  uint32
		Device  uint32
		Segment uint64
	}
	var k key
	var each []placeCount
	all := make(map[key]uint64)
	it := w.maps.Maps[mapPlaces].Iterate()
	for it.Next(&k, &each) {
		for _, v := range each {
			all[k] += what(v)
		}
	}
	if err := it.Err(); err != nil && !errors.Is(err, ebpf.ErrIterationAborted) {
		return nil, fmt.Errorf("read how many packets were dropped: %w", err)
	}
	places := make(map[Place]uint64)
	for k, n := range all {
		if n > 0 {
			places[Place{w.layout.reason(k.Reason), w.symbols.names([]uint64{k.Place})[0], k.Device, Segment(k.Segment)}] += n
		}
	}
	return places, nil
}

// Close ends the watch. It may be called again.
func (w *Watcher) Close() error { return w.close() }

func (w *Watcher) end() error {
	var errs []error
	if w.link != nil {
		errs = append(errs, w.link.Close())
	}
	if w.reports != nil {
		errs = append(errs, w.reports.Close())
	}
	w.maps.Close()
	return errors.Join(errs...)
}

// reason is its name.
func (l *layout) reason(n uint32) string {
	if name, ok := l.reasons[n]; ok {
		return name
	}
	return fmt.Sprintf("reason %d", n)
}

func trimReason(name string) string { return strings.TrimPrefix(name, "SKB_DROP_REASON_") }
