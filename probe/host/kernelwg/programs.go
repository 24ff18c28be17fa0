//go:build linux

package kernelwg

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"time"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"
	"github.com/cilium/ebpf/ringbuf"

	"github.com/wgnode/wgnode/probe/host/bpf"
)

// recordsLen is the size of the ring buffer in bytes: some 13,000 records.
const recordsLen = 1 << 22

// programs are loaded BPF programs, whose records are handed over.
type programs struct {
	maps    *ebpf.Collection
	links   []link.Link
	records *ringbuf.Reader
	done    chan struct{} // closed when no more records are read
	flushed chan struct{} // gets one when those are read that were there when that was asked for
	syncing sync.Mutex    // held by the one who asks
	failed  error         // why, if not by end; valid then
}

// taker takes records. It is called by one goroutine.
type taker interface {
	take(raw)
	// waits reports whether something will be given up in time, and expire gives it up.
	waits() bool
	expire(now int64)
}

// loadPrograms loads programs that are yet to be started and attached.
func loadPrograms(spec *ebpf.CollectionSpec) (*programs, error) {
	p := &programs{done: make(chan struct{}), flushed: make(chan struct{}, 1)}
	var err error
	if p.maps, err = bpf.Load(spec); err != nil {
		return nil, fmt.Errorf("load the programs that watch WireGuard: %w", err)
	}
	if p.records, err = ringbuf.NewReader(p.maps.Maps[mapRecords]); err != nil {
		p.maps.Close()
		return nil, fmt.Errorf("read records of WireGuard's packets: %w", err)
	}
	return p, nil
}

// start has records handed over.
func (p *programs) start(to taker) { go p.read(to) }

// attach has a program run.
func (p *programs) attach(h *hook) error {
	at, err := link.AttachTracing(link.TracingOptions{Program: p.maps.Programs[h.name()]})
	if err != nil {
		return fmt.Errorf("watch %s of the kernel: %w", h.function, bpf.Refused(err))
	}
	p.links = append(p.links, at)
	return nil
}

// read hands records over until there are no more.
func (p *programs) read(to taker) {
	defer close(p.done)
	var r ringbuf.Record
	for waits := false; ; {
		if some := to.waits(); some != waits {
			waits = some
			deadline := time.Time{}
			if waits {
				deadline = time.Now().Add(time.Duration(undelivered))
			}
			p.records.SetDeadline(deadline)
		}
		switch err := p.records.ReadInto(&r); {
		case errors.Is(err, os.ErrDeadlineExceeded):
			waits = false
			to.expire(bpf.Monotonic())
		case errors.Is(err, ringbuf.ErrFlushed):
			told(p.flushed)
		case errors.Is(err, ringbuf.ErrClosed):
			return
		case err != nil:
			p.failed = fmt.Errorf("read records of WireGuard's packets: %w", err)
			return
		case len(r.RawSample) >= recordLen:
			to.take(r.RawSample)
		}
	}
}

// sync returns when the records are handed over that are there, or ctx ends.
func (p *programs) sync(ctx context.Context) {
	p.syncing.Lock()
	defer p.syncing.Unlock()
	select {
	case <-p.flushed: // of who has waited no longer
	default:
	}
	if p.records.Flush() != nil {
		return // the watch has ended
	}
	select {
	case <-p.flushed:
	case <-p.done:
	case <-ctx.Done():
	}
}

// told tells who waits at a channel that has room for one.
func told(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// lost is how many records found no room.
func (p *programs) lost() (uint64, error) {
	n, err := bpf.Total(p.maps.Maps[mapLost])
	if err != nil {
		return 0, fmt.Errorf("read how many records of WireGuard's packets were lost: %w", err)
	}
	return n, nil
}

// end detaches the programs.
func (p *programs) end() error {
	var errs []error
	for _, at := range p.links {
		errs = append(errs, at.Close())
	}
	errs = append(errs, p.records.Close())
	<-p.done
	p.maps.Close()
	return errors.Join(append(errs, p.failed)...)
}
