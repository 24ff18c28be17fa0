//go:build linux

package droplist

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"time"

	"github.com/wgnode/wgnode/probe/filter"
	"github.com/wgnode/wgnode/probe/host/drops"
)

// How often the list looks at the counts, and how often at the tunnel, which may have got
// other peers, addresses, or another port.
const (
	second    = time.Second
	lookEvery = 5 // seconds
)

// maxRows bounds the rows. Which there are the kernel decides, and no packet can make more.
const maxRows = 1024

// List is what the kernel drops of one tunnel's packets. It is for one goroutine.
type List struct {
	opt     Options
	tunnel  *Tunnel
	around  *surroundings
	space   uint32
	peers   peers
	filter  *filter.Drops
	watcher *drops.Watcher
	reports chan *drops.Drop
	failed  chan error
	stop    chan struct{} // closed: nobody takes reports
	rows    map[drops.Place]*row
	repeats repeats
	lost    uint64 // of watchers that have ended
	losing  uint64 // of this one
}

// New looks at the tunnel and begins to watch. Close ends it.
func New(ctx context.Context, opt Options) (*List, error) {
	l := &List{opt: opt, reports: make(chan *drops.Drop), failed: make(chan error, 1), stop: make(chan struct{}),
		rows: make(map[drops.Place]*row), repeats: make(repeats)}
	var err error
	if l.space, err = inode(opt.Namespace); err != nil {
		return nil, err
	}
	if err := l.look(ctx); err != nil {
		return nil, err
	}
	if len(opt.Filter) > 0 {
		reasons, err := drops.Reasons()
		if err != nil {
			return nil, err
		}
		if l.filter, err = filter.CompileDrops(opt.Filter, filter.Among(l.peers.filterPeers()), reasons); err != nil {
			return nil, err
		}
	}
	if err := l.watch(); err != nil {
		return nil, err
	}
	return l, nil
}

// Tunnel is the tunnel as it was looked at last.
func (l *List) Tunnel() *Tunnel { return l.tunnel }

// look asks for the tunnel, and looks at what is around it.
func (l *List) look(ctx context.Context) error {
	t, err := l.opt.Look(ctx)
	if err != nil {
		return err
	}
	var around *surroundings
	err = within(l.opt.Namespace, func() (err error) {
		around, err = survey(t)
		return err
	})
	if err != nil {
		return fmt.Errorf("tell the tunnel's packets from others: %w", err)
	}
	if t.Interface != "" && around.index == 0 {
		return fmt.Errorf("%s is not in the network namespace of the process that serves it", t.Interface)
	}
	l.tunnel, l.around = t, around
	l.peers.update(t.Peers)
	return nil
}

// watch begins to watch for the tunnel's packets.
func (l *List) watch() error {
	w, err := drops.Start(drops.Options{Namespace: l.space,
		Tunnel: &drops.Tunnel{Device: l.around.index, Port: l.tunnel.Port, Addresses: l.around.Addresses}})
	if err != nil {
		return err
	}
	l.watcher = w
	go func() {
		for {
			d, err := w.Read()
			if errors.Is(err, os.ErrClosed) {
				return
			}
			if err != nil {
				select {
				case l.failed <- err:
				default: // it has failed before
				}
				return
			}
			select {
			case l.reports <- d:
			case <-l.stop:
				return
			}
		}
	}()
	return nil
}

// Close ends the watch.
func (l *List) Close() error {
	close(l.stop)
	return l.watcher.Close()
}

// Lost is how many reports found no room so far.
func (l *List) Lost() uint64 { return l.lost + l.losing }

// Follow hands on rows until ctx ends, which is no error.
func (l *List) Follow(ctx context.Context, into Taker) error {
	tick := time.NewTicker(second)
	defer tick.Stop()
	for n := 1; ; {
		select {
		case <-ctx.Done():
			return l.each(into)
		case err := <-l.failed:
			return err
		case d := <-l.reports:
			if r := l.add(d); r != nil {
				if err := into.Drop(r); err != nil {
					return err
				}
			}
		case <-tick.C:
			if n++; n%lookEvery == 0 {
				if err := l.again(ctx); err != nil && ctx.Err() == nil {
					return err
				}
			}
			if err := l.each(into); err != nil {
				return err
			}
		}
	}
}

// again looks whether the tunnel's packets are still told from others by the same.
func (l *List) again(ctx context.Context) error {
	port, index := l.tunnel.Port, l.around.index
	if err := l.look(ctx); err != nil {
		return err
	}
	if l.tunnel.Port == port && l.around.index == index {
		return l.watcher.SetAddresses(l.around.Addresses)
	}
	if err := l.count(); err != nil {
		return err
	}
	if err := l.watcher.Close(); err != nil {
		return fmt.Errorf("restart the watch: %w", err)
	}
	l.lost, l.losing = l.Lost(), 0
	for _, r := range l.rows {
		r.last = 0
	}
	return l.watch()
}

// each reads the counts, and hands on all rows.
func (l *List) each(into Taker) error {
	if err := l.count(); err != nil {
		return err
	}
	now := time.Now()
	all := make([]*Row, 0, len(l.rows))
	for _, r := range l.rows {
		if r.matched == 0 {
			continue
		}
		r.show(now, l.filter != nil, l.Lost())
		r.shift(now)
		all = append(all, &r.Row)
	}
	slices.SortFunc(all, func(a, b *Row) int {
		return cmp.Or(cmp.Compare(b.Count, a.Count), cmp.Compare(a.Segment, b.Segment), cmp.Compare(a.Reason, b.Reason),
			cmp.Compare(a.Place, b.Place), cmp.Compare(a.Device, b.Device))
	})
	return into.Second(all, l.Lost())
}

// count takes the kernel's counts.
func (l *List) count() error {
	lost, err := l.watcher.Lost()
	if err != nil {
		return err
	}
	l.losing = lost
	places, err := l.watcher.Places()
	if err != nil {
		return err
	}
	for place, n := range places {
		if r := l.rows[place]; r != nil {
			r.counted(n)
		}
	}
	return nil
}
