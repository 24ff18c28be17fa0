//go:build linux

package observe

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"github.com/wgnode/wgnode/probe"
	"github.com/wgnode/wgnode/probe/evidence"
	"github.com/wgnode/wgnode/probe/host/drops"
	"github.com/wgnode/wgnode/probe/host/netfilter"
)

// kernelDrops is the source of packets that the kernel drops, by its own account of where
// and why: also what netfilter's trace does not show. The program that it attaches is
// gone after Close, and when the process is killed.
type kernelDrops struct {
	to   chan Observation
	stop context.CancelFunc // nil: nothing is watched
	done sync.WaitGroup     // until nothing is
	mark atomic.Int64       // that was asked for last

	mu      sync.Mutex
	watcher *drops.Watcher // guarded by mu: nil while nothing is watched
	past    missed         // guarded by mu: by earlier watchers
	unnamed int            // guarded by mu: how many reports had no place
	failed  string         // guarded by mu: why it is not known how many were missed
	total   uint64         // guarded by mu: how many were missed when that was asked last
}

// missed are reports of drops that there might have been.
type missed struct {
	lost, unreported uint64
	places           map[string]bool // of those that were not reported
}

func newKernelDrops() Source { return &kernelDrops{to: make(chan Observation)} }

// Start begins to watch for drops of the packets that are selected, in the network
// namespace of the calling thread. It takes some hundredths of a second, some tenths the
// first time: what is sent before the program is attached would be missed.
func (k *kernelDrops) Start(ctx context.Context, sel Selection) error {
	k.end()
	opt, err := options(sel)
	if err == nil && len(opt.Matches) == 0 && opt.Tunnel == nil {
		return nil
	}
	var w *drops.Watcher
	if err == nil {
		w, err = drops.Start(opt)
	}
	if err != nil {
		return fmt.Errorf("what the kernel drops outside of netfilter's rules: %w", err)
	}
	k.mu.Lock()
	k.watcher = w
	k.mu.Unlock()
	ctx, k.stop = context.WithCancel(ctx)
	k.done.Go(func() { k.watch(ctx, w, &sel) })
	if sel.Tunnel != nil && sel.Tunnel.Look != nil {
		k.done.Go(func() { k.follow(ctx, w, sel.Tunnel.Look) })
	}
	return nil
}

func options(sel Selection) (drops.Options, error) {
	space, err := namespace()
	opt := drops.Options{Namespace: space}
	for _, m := range sel.Packets {
		if !m.Quoted {
			one := drops.Match{Proto: m.Proto, Src: m.Src, Dst: m.Dst, SrcPort: m.SrcPort, DstPort: m.DstPort}
			if !slices.Contains(opt.Matches, one) { // those of several lengths are one here
				opt.Matches = append(opt.Matches, one)
			}
		}
	}
	if t := sel.Tunnel; t != nil {
		opt.Tunnel = &drops.Tunnel{Device: t.Device, Port: t.Port, Addresses: t.Addresses}
	}
	return opt, err
}

// namespace is the inode number of the calling thread's network namespace.
func namespace() (uint32, error) {
	var st unix.Stat_t
	if err := unix.Stat("/proc/thread-self/ns/net", &st); err != nil {
		return 0, fmt.Errorf("find this network namespace: %w", err)
	}
	return uint32(st.Ino), nil
}

// lookEvery is how often the addresses of a tunnel are looked at, which may have others.
const lookEvery = 5 * time.Second

// follow keeps the addresses by which a tunnel's packets are told from others up to date.
func (k *kernelDrops) follow(ctx context.Context, w *drops.Watcher, look func() (drops.Addresses, error)) {
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		a, err := look()
		if err == nil {
			err = w.SetAddresses(a)
		}
		if err != nil && ctx.Err() == nil {
			k.deliver(ctx, Observation{Unseen: "what the kernel drops of the tunnel's packets with new addresses: " + err.Error()})
			return
		}
	}
}

func (k *kernelDrops) watch(ctx context.Context, w *drops.Watcher, sel *Selection) {
	// What could not be removed goes with its file descriptors.
	closing := sync.OnceFunc(func() {
		k.mu.Lock()
		defer k.mu.Unlock()
		k.past, k.watcher = k.missed(), nil
		_ = w.Close()
	})
	defer closing()
	defer context.AfterFunc(ctx, closing)()
	for {
		d, err := w.Read()
		if errors.Is(err, drops.ErrSynced) {
			if !k.deliver(ctx, Observation{mark: k.mark.Load()}) {
				return
			}
			continue
		}
		if err != nil {
			if !errors.Is(err, os.ErrClosed) {
				k.deliver(ctx, Observation{Unseen: err.Error()})
			}
			return
		}
		if d.Noise() {
			continue
		}
		drop, ok := dropped(d, sel)
		if !ok {
			continue
		}
		if drop.Place == "" {
			k.mu.Lock()
			k.unnamed++
			k.mu.Unlock()
		}
		if !k.deliver(ctx, Observation{Dropped: drop}) {
			return
		}
	}
}

func (k *kernelDrops) deliver(ctx context.Context, o Observation) bool {
	select {
	case k.to <- o:
		return true
	case <-ctx.Done():
		return false
	}
}

// dropped is a drop of a packet that is selected.
func dropped(d *drops.Drop, sel *Selection) (*Dropped, bool) {
	var e probe.Event
	if !e.DecodeInner(d.Header[:]) {
		return nil, false
	}
	i := slices.IndexFunc(sel.Packets, func(m Match) bool { return !m.Quoted && selects(&m.Match, &e, d.Length) })
	if i < 0 && sel.Tunnel == nil {
		return nil, false
	}
	src, dst := e.Inner()
	drop := &Dropped{Event: e, Header: d.Header, Device: d.Device, Matched: i >= 0, Report: d, KernelDrop: evidence.KernelDrop{
		At: d.At, Count: 1, Reason: d.Reason, Place: d.Place, Hook: d.Hook(),
		Socket: d.Socket, Hint: !d.Proves(), Usual: d.Usual(), Src: src, Dst: dst,
		Packet: fmt.Sprintf("%s %s > %s, %d bytes", probe.ProtocolName(e.Proto), src, dst, d.Length)}}
	if i < 0 {
		return drop, true
	}
	if drop.On = sel.Packets[i].On; drop.On == evidence.ToWire || drop.On == evidence.FromWire {
		msg := drop.message()
		drop.Data = msg != nil && msg[0] == probe.TypeData
	}
	return drop, true
}

// selects reports whether m selects the packet that e tells of.
func selects(m *netfilter.Match, e *probe.Event, length int) bool {
	src, dst := e.Inner()
	whole := e.Flags&probe.FlagFragment == 0
	switch icmp := e.Proto == probe.ProtoICMP || e.Proto == probe.ProtoICMPv6; {
	case m.Src.IsValid() && !m.Src.Contains(src.Addr()), m.Dst.IsValid() && !m.Dst.Contains(dst.Addr()),
		m.Proto != 0 && m.Proto != e.Proto,
		m.ICMPType != nil && (!icmp || *m.ICMPType != e.Info),
		m.ICMPID != nil && (!icmp || *m.ICMPID != src.Port()):
		return false
	case whole && !icmp && (m.SrcPort != 0 && m.SrcPort != src.Port() || m.DstPort != 0 && m.DstPort != dst.Port()):
		return false
	}
	headers := 20 + 8 // of a datagram
	if src.Addr().Is6() {
		headers = 40 + 8
	}
	return m.Payload == 0 || whole && int(m.Payload) == length-headers
}

// Sync implements [Syncer].
func (k *kernelDrops) Sync(mark int64) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.watcher == nil {
		return false
	}
	k.mark.Store(mark)
	return k.watcher.Sync() == nil
}

// Observations implements [Source].
func (k *kernelDrops) Observations() <-chan Observation { return k.to }

// Unseen says which reports were lost or not made, and which say too little.
func (k *kernelDrops) Unseen() []string {
	k.mu.Lock()
	defer k.mu.Unlock()
	var all []string
	m := k.missed()
	k.total = m.lost + m.unreported
	if m.lost > 0 {
		all = append(all, fmt.Sprintf("%d reports of packets that the kernel dropped were lost", m.lost))
	}
	if m.unreported > 0 {
		all = append(all, fmt.Sprintf("of dropped packets that look like these, %d were counted and not looked at: %s", m.unreported,
			strings.Join(slices.Sorted(maps.Keys(m.places)), "; ")))
	}
	if k.unnamed > 0 {
		all = append(all, fmt.Sprintf("where the kernel dropped %s of these is not known, so that they prove nothing: the names of its "+
			"functions take CAP_SYSLOG, or kernel.kptr_restrict=0", probe.Count(k.unnamed, "packet")))
	}
	if k.failed != "" {
		all = append(all, k.failed)
	}
	return all
}

// Missed is how many drops were not reported when [kernelDrops.Unseen] was asked last.
func (k *kernelDrops) Missed() uint64 {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.total
}

// missed is what was missed up to now. k.mu must be held.
func (k *kernelDrops) missed() missed {
	m := k.past
	if k.watcher == nil {
		return m
	}
	lost, err := k.watcher.Lost()
	unreported, err2 := k.watcher.Unreported()
	if err := errors.Join(err, err2); err != nil {
		k.failed = err.Error()
		return m
	}
	m.lost += lost
	m.places = maps.Clone(m.places)
	for place, n := range unreported {
		if m.places == nil {
			m.places = make(map[string]bool)
		}
		m.unreported += n
		m.places[strings.TrimSuffix(place.Reason+" in "+place.Name, " in ")] = true
	}
	return m
}

// Close ends the watch.
func (k *kernelDrops) Close() error {
	k.end()
	return nil
}

func (k *kernelDrops) end() {
	if k.stop == nil {
		return
	}
	k.stop()
	k.done.Wait()
	k.stop = nil
}
