package traffic

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"sync"

	"github.com/spf13/cobra"

	"github.com/wgnode/wgnode/cmd/internal/cli"
	"github.com/wgnode/wgnode/cmd/internal/naming"
	"github.com/wgnode/wgnode/node/control"
	"github.com/wgnode/wgnode/node/droplist"
	"github.com/wgnode/wgnode/probe/filter"
	"github.com/wgnode/wgnode/probe/host/drops"
)

// watchParts takes a filter apart into that of events and that of what the kernel drops, and
// reports whether the latter is asked for. A filter that is wrong whatever the peers are is an
// error of usage; one that names peers can only be judged by the node.
func watchParts(cmd *cobra.Command, words []string, asked bool) (parts *filter.Parts, kernel bool, err error) {
	if _, err := filter.Compile(words, naming.AnyPeer); err == nil && !asked {
		return &filter.Parts{Events: words}, false, nil // it takes time to read the kernel's reasons
	}
	reasons, _ := drops.Reasons() // where they cannot be read, any name that may be one is taken
	if parts, err = filter.Split(words, naming.AnyPeer, reasons); err != nil {
		return nil, false, cli.NewUsageError(cmd, err)
	}
	switch {
	case asked && parts.NoDrops:
		return nil, false, cli.NewUsageError(cmd, errors.New("--drops: what the kernel drops passes no seam and is never passed: "+
			"this filter wants none of it"))
	case parts.NoEvents && parts.NoDrops:
		return nil, false, cli.NewUsageError(cmd, errors.New("a reason of the kernel's is of what passes no seam and is never passed: "+
			"this filter wants nothing"))
	}
	return parts, (asked || parts.Kernel) && !parts.NoDrops, nil
}

// checkBoth reports what is wrong, whatever the peers are, with a filter of events and of what a
// kernel drops that has these reasons.
func checkBoth(words []string, known func() ([]string, error)) error {
	if _, err := filter.Compile(words, naming.AnyPeer); err == nil {
		return nil // it takes time to read the kernel's reasons
	}
	reasons, _ := known() // as above
	parts, err := filter.Split(words, naming.AnyPeer, reasons)
	if err == nil && parts.NoEvents && parts.NoDrops {
		err = errors.New("a reason of the kernel's is of what passes no seam and is never passed: this filter wants nothing")
	}
	return err
}

// anyReason is for a recording, which may be of another kernel: any name is taken.
func anyReason() ([]string, error) { return nil, nil }

// noEvents is a filter that matches none.
var noEvents = []string{"not verdict passed,dropped"}

// watchBoth shows events, and in between what the kernel drops. Where that cannot be seen it
// is said, once, and the events are shown all the same.
func watchBoth(ctx context.Context, cmd *cobra.Command, c *control.Client, name string, req control.WatchRequest, parts *filter.Parts,
	lines *eventLines) (lost uint64, err error) {
	list, err := newWatchedDrops(ctx, c, name, parts.Drops)
	switch {
	case err != nil && parts.NoEvents:
		return 0, dropsError(cmd, err)
	case err != nil:
		if err := cli.Warn(cmd, "what the kernel drops is not shown: %v", err); err != nil {
			return 0, err
		}
		return c.Watch(ctx, req, lines)
	}
	if list.Tunnel().Interface == "" {
		err = cli.Warn(cmd, "%s has no interface in this network: of what the kernel drops only its encrypted packets are looked at", name)
	}
	if err = errors.Join(err, announceDrops(cmd, name)); err != nil {
		return 0, errors.Join(err, list.Close())
	}
	if parts.NoEvents {
		req.Filter = noEvents
	}
	var both sync.WaitGroup
	ctx, stop := context.WithCancel(ctx)
	var failed error
	both.Go(func() {
		if failed = list.Follow(ctx, watchedDrops{lines, make(map[*droplist.Row]uint64)}); failed != nil && ctx.Err() == nil {
			failed = cli.Warn(cmd, "what the kernel drops is not shown any more: %v", failed)
		}
	})
	lost, err = c.Watch(ctx, req, lines)
	stop()
	both.Wait()
	if cerr := list.Close(); cerr != nil {
		err = errors.Join(err, fmt.Errorf("end the watch of drops: %w", cerr))
	}
	if n := list.Lost(); n > 0 {
		err = errors.Join(err, cli.Warn(cmd, "%d of the kernel's drops are missing: they came faster than they could be read", n))
	}
	return lost, errors.Join(err, failed)
}

func newWatchedDrops(ctx context.Context, c *control.Client, name string, words []string) (*droplist.List, error) {
	if err := drops.Available(); err != nil {
		return nil, err
	}
	status, err := c.Status(ctx)
	if err != nil {
		return nil, err
	}
	return droplist.New(ctx, droplist.Options{Look: lookAt(c, name), Namespace: netOf(status.PID), Filter: words})
}

// netOf is the network namespace of a process.
func netOf(pid int) string { return filepath.Join("/proc", fmt.Sprint(pid), "ns/net") }

// watchedDrops are lines among those of events. It implements droplist.Taker.
type watchedDrops struct {
	lines   *eventLines
	printed map[*droplist.Row]uint64 // the count in the latest line
}

// Drop implements droplist.Taker.
func (w watchedDrops) Drop(r *droplist.Row) error {
	w.printed[r] = r.Count
	return w.lines.Drop(r)
}

// Second implements droplist.Taker. In a flood not each packet is reported: the latest is shown
// again, with their number.
func (w watchedDrops) Second(rows []*droplist.Row, _ uint64) error {
	for _, r := range rows {
		if r.Count != w.printed[r] {
			if err := w.Drop(r); err != nil {
				return err
			}
		}
	}
	return nil
}
