//go:build linux

package kernelwg

import (
	"errors"
	"fmt"
	"os"
	"sync"
	"time"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/btf"
	"github.com/cilium/ebpf/link"
	"github.com/cilium/ebpf/ringbuf"
	"golang.org/x/sys/unix"

	"github.com/wgnode/wgnode/probe"
	"github.com/wgnode/wgnode/probe/host/bpf"
)

// recordsLen is the size of the ring buffer in bytes: some 13,000 records.
const recordsLen = 1 << 22

// functions is a watch at level exact.
type functions struct {
	maps    *ebpf.Collection
	links   []link.Link
	records *ringbuf.Reader
	events  *translator
	done    chan struct{} // closed when no more events come
	failed  error         // why, if not by Close; valid then
	close   func() error
}

// startFunctions begins to watch at level exact.
func startFunctions(opt *Options) (*functions, error) {
	if err := exact(); err != nil {
		return nil, err
	}
	kernel, err := bpf.KernelTypes()
	if err != nil {
		return nil, err
	}
	wireguard, err := moduleTypes()
	if err != nil {
		return nil, err
	}
	l, err := readLayout(kernel, wireguard)
	if err != nil {
		return nil, err
	}
	w := &functions{events: newTranslator(opt.Recorder, opt.Flows), done: make(chan struct{})}
	w.close = sync.OnceValue(w.end)
	w.maps, err = bpf.Load(collection(l, opt))
	if err != nil {
		return nil, fmt.Errorf("load the programs that watch WireGuard: %w", err)
	}
	if w.records, err = ringbuf.NewReader(w.maps.Maps[mapRecords]); err != nil {
		w.maps.Close()
		return nil, fmt.Errorf("read records of WireGuard's packets: %w", err)
	}
	w.events.lost = func() uint64 {
		n, err := w.Lost()
		if err != nil {
			return ^uint64(0) // not known: as many as can be
		}
		return n
	}
	go w.read()
	// The last of a packet's way first, so that what is seen of it at the first hook is seen
	// at the others, too.
	for i := len(hooks) - 1; i >= 0; i-- {
		h := &hooks[i]
		at, err := link.AttachTracing(link.TracingOptions{Program: w.maps.Programs[h.name()]})
		if err != nil {
			return nil, errors.Join(fmt.Errorf("watch function %s of WireGuard: %w", h.function, bpf.Refused(err)), w.Close())
		}
		w.links = append(w.links, at)
	}
	return w, nil
}

// moduleTypes are WireGuard's, which contain the kernel's.
func moduleTypes() (*btf.Spec, error) {
	if builtin() {
		return bpf.KernelTypes()
	}
	return bpf.ModuleTypes(module)
}

// read makes events of the records until there are no more.
func (w *functions) read() {
	defer close(w.done)
	var r ringbuf.Record
	for waits := false; ; {
		if some := w.events.waits(); some != waits {
			waits = some
			deadline := time.Time{}
			if waits {
				deadline = time.Now().Add(time.Duration(undelivered))
			}
			w.records.SetDeadline(deadline)
		}
		switch err := w.records.ReadInto(&r); {
		case errors.Is(err, os.ErrDeadlineExceeded):
			waits = false
			w.events.expire(monotonic())
		case errors.Is(err, ringbuf.ErrClosed):
			return
		case err != nil:
			w.failed = fmt.Errorf("read records of WireGuard's packets: %w", err)
			return
		case len(r.RawSample) >= recordLen:
			w.events.take(r.RawSample)
		}
	}
}

// monotonic is the time of the clock that records have.
func monotonic() int64 {
	var ts unix.Timespec
	_ = unix.ClockGettime(unix.CLOCK_MONOTONIC, &ts) // does not fail for this clock
	return ts.Nano()
}

// Level implements [Source].
func (w *functions) Level() probe.Level { return probe.LevelExact }

// Peers implements [Source].
func (w *functions) Peers() *Peers { return w.events.peers }

// Know implements [Source].
func (w *functions) Know(d *Device) { w.events.allow.set(d, w.events.peers) }

// Lost implements [Source].
func (w *functions) Lost() (uint64, error) {
	var each []uint64
	if err := w.maps.Maps[mapLost].Lookup(uint32(0), &each); err != nil {
		return 0, fmt.Errorf("read how many records of WireGuard's packets were lost: %w", err)
	}
	var n uint64
	for _, v := range each {
		n += v
	}
	return n, nil
}

// Close implements [Source].
func (w *functions) Close() error { return w.close() }

func (w *functions) end() error {
	var errs []error
	for _, at := range w.links {
		errs = append(errs, at.Close())
	}
	errs = append(errs, w.records.Close())
	<-w.done
	w.maps.Close()
	return errors.Join(append(errs, w.failed)...)
}
