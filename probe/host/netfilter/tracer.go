//go:build linux

package netfilter

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync/atomic"
	"time"

	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"
)

// Config is what to trace.
type Config struct {
	// Matches select the packets: at least one match for each direction of a
	// flow. A packet that several select belongs to the first of them.
	Matches []Match
	// Buffer is the size of the socket's receive buffer in bytes. An event
	// takes about 1 KiB of it. 0 is DefaultBuffer.
	Buffer int
}

// defaultBuffer holds some thousand events.
const defaultBuffer = 4 << 20

// Tracer traces packets until it is closed. Next is for one goroutine at a
// time; all other methods may be called from any.
type Tracer struct {
	table  string
	ctl    *netlink.Conn // it owns the table
	apart  []ownTable    // those at the hooks of devices and bridges
	events *netlink.Conn
	owner  bool // the kernel removes a table when its connection is closed

	walks     walks
	unwatched error // why hooks of devices or bridges are not watched, though there are chains
	ruleset   atomic.Pointer[Ruleset]
	next      *Ruleset // read, but events of the last one may still be coming
	ticked    time.Time
	sync      syncing
	lost      atomic.Uint64
	closed    atomic.Bool
	rules     rules
}

// ownTable is a table of ours, and the connection that it belongs to.
type ownTable struct {
	family uint8
	conn   *netlink.Conn
}

// Start begins to trace in the network namespace of the calling thread. It
// first removes what a crash may have left there, see [Sweep].
func Start(cfg Config) (*Tracer, error) {
	t, err := start(cfg, nftOwner)
	if errors.Is(err, unix.EOPNOTSUPP) || errors.Is(err, unix.EINVAL) {
		// Before 5.12 tables have no owners.
		t, err = start(cfg, 0)
	}
	if err != nil {
		return nil, fmt.Errorf("trace packets: %w", err)
	}
	return t, nil
}

func start(cfg Config, flags uint32) (_ *Tracer, err error) {
	if len(cfg.Matches) == 0 {
		return nil, errors.New("nothing is selected")
	}
	for _, m := range cfg.Matches {
		if err := m.check(); err != nil {
			return nil, fmt.Errorf("select packets: %w", err)
		}
	}
	t := &Tracer{owner: flags&nftOwner != 0}
	if t.table, err = tableName(); err != nil {
		return nil, err
	}
	if t.ctl, err = dial(); err != nil {
		return nil, explainDial(err)
	}
	defer func() {
		if err != nil {
			// It is the error that came first that matters.
			_ = t.ctl.Close()
			if t.events != nil {
				_ = t.events.Close()
			}
		}
	}()
	// It may fail for want of privileges only, as does what follows.
	if _, err = sweep(t.ctl); err != nil {
		return nil, explain(err)
	}
	if t.events, err = dial(); err != nil {
		return nil, explainDial(err)
	}
	size := cfg.Buffer
	if size == 0 {
		size = defaultBuffer
	}
	if err = t.events.SetReadBuffer(size); err != nil {
		return nil, fmt.Errorf("set receive buffer: %w", err)
	}
	if err = t.events.JoinGroup(unix.NFNLGRP_NFTRACE); err != nil {
		return nil, fmt.Errorf("listen for trace events: %w", explain(err))
	}
	handles, err := install(t.ctl, t.table, cfg.Matches, flags)
	if err != nil {
		return nil, fmt.Errorf("add table inet %s: %w", t.table, explain(err))
	}
	now, err := snapshot(t.ctl)
	if err != nil {
		_ = remove(t.ctl, unix.NFPROTO_INET, t.table)
		return nil, fmt.Errorf("read ruleset: %w", err)
	}
	t.ruleset.Store(now)
	t.walks = walks{
		own: t.table, handles: handles, open: map[uint32]*walk{}, device: map[uint32]*walk{}, apart: map[uint8]map[uint64]int{},
		chains: func(family uint8, table, chain string) Chain { return t.ruleset.Load().chain(family, table, chain) },
	}
	t.watchApart(cfg.Matches, flags)
	return t, nil
}

// watchApart watches the devices that somebody has chains at the ingress or egress of,
// and the bridges, if somebody has chains for them. Not every kernel can; what is
// traced elsewhere is worth having all the same.
func (t *Tracer) watchApart(matches []Match, flags uint32) {
	now := t.ruleset.Load()
	if ingress, egress := now.devices(Ingress), now.devices(Egress); len(ingress)+len(egress) > 0 {
		t.addTable(unix.NFPROTO_NETDEV, func(c *netlink.Conn) (map[uint64]int, error) {
			return installDevices(c, t.table, matches, ingress, egress, flags)
		})
	}
	if now.bridges() {
		t.addTable(unix.NFPROTO_BRIDGE, func(c *netlink.Conn) (map[uint64]int, error) {
			return installBridge(c, t.table, matches, flags)
		})
	}
}

// addTable adds one more table of ours.
func (t *Tracer) addTable(family uint8, install func(*netlink.Conn) (map[uint64]int, error)) {
	// A batch that fails leaves answers in its connection, and the table is to
	// belong to it.
	c, err := dial()
	if err != nil {
		t.unwatched = errors.Join(t.unwatched, explainDial(err))
		return
	}
	handles, err := install(c)
	if err != nil {
		t.unwatched = errors.Join(t.unwatched, explain(err), c.Close())
		return
	}
	t.walks.apart[family] = handles
	t.apart = append(t.apart, ownTable{family, c})
}

// Unwatched returns why chains at the hooks of devices and bridges are not traced, nil
// if they are, or there are none.
func (t *Tracer) Unwatched() error { return t.unwatched }

// Unseen says what the trace may miss on this host, one sentence each: see
// [Ruleset.Unseen]. Beside that, hooks of devices and bridges may be beyond this kernel.
func (t *Tracer) Unseen() []string {
	var missed []string
	if rules, err := Snapshot(); err != nil {
		missed = append(missed, "what a trace may miss here is not known: "+err.Error())
	} else {
		missed = rules.Unseen()
	}
	if err := t.Unwatched(); err != nil {
		missed = append(missed, "chains at the ingress and egress of devices, or of bridges, are not traced: "+err.Error())
	}
	return missed
}

// Close ends the trace and removes the table. A Next that waits returns.
func (t *Tracer) Close() error {
	if t.closed.Swap(true) {
		return os.ErrClosed
	}
	err := t.events.Close()
	if !t.owner {
		if e := remove(t.ctl, unix.NFPROTO_INET, t.table); e != nil && !errors.Is(e, unix.ENOENT) {
			err = errors.Join(err, fmt.Errorf("delete table inet %s: %w", t.table, e))
		}
	}
	for _, own := range t.apart {
		if !t.owner {
			if e := remove(own.conn, own.family, t.table); e != nil && !errors.Is(e, unix.ENOENT) {
				err = errors.Join(err, fmt.Errorf("delete table %s %s: %w", familyName(own.family), t.table, e))
			}
		}
		err = errors.Join(err, own.conn.Close())
	}
	return errors.Join(err, t.ctl.Close())
}

// Table returns the name of the table, of family inet, that marks the packets.
func (t *Tracer) Table() string { return t.table }

// Lost returns how many events were lost because they were not read in time.
// Packets that this may concern are marked as incomplete.
func (t *Tracer) Lost() uint64 { return t.lost.Load() }

// tick is how often the ruleset is looked at, and how long a walk must be quiet
// to have ended. Events of one packet are microseconds apart.
const tick = 25 * time.Millisecond

// Next waits for the next packet whose walk has ended. It returns ctx's error
// when ctx is done, [ErrSynced] as Sync says, and os.ErrClosed after Close. A canceled ctx is noticed
// within some milliseconds. Packets that are not fetched wait in the kernel;
// when its buffer is full they are lost, and counted.
func (t *Tracer) Next(ctx context.Context) (*Packet, error) {
	for {
		if len(t.walks.done) > 0 {
			p := t.walks.done[0]
			t.walks.done = t.walks.done[1:]
			return p, nil
		}
		if t.sync.reached() {
			return nil, ErrSynced
		}
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		if err := t.read(); err != nil {
			if t.closed.Load() {
				err = os.ErrClosed
			}
			return nil, fmt.Errorf("read trace: %w", err)
		}
	}
}

// read takes the events of one datagram, if one comes before the next tick, and
// then does what is due.
func (t *Tracer) read() error {
	now := time.Now()
	due := t.ticked.Add(tick)
	if due.Before(now) {
		due = now.Add(tick)
	}
	if t.sync.waits(&t.walks) {
		due = now.Add(syncPoll)
	}
	if err := t.events.SetReadDeadline(due); err != nil {
		return err
	}
	messages, err := t.events.Receive()
	now = time.Now()
	switch {
	case errors.Is(err, unix.ENOBUFS):
		t.walks.lost()
	case err != nil && !errors.Is(err, os.ErrDeadlineExceeded):
		return err
	}
	for _, m := range messages {
		if m.Header.Type != unix.NFNL_SUBSYS_NFTABLES<<8|unix.NFT_MSG_TRACE {
			continue
		}
		e, err := decodeEvent(m.Data)
		if err != nil {
			return fmt.Errorf("decode event: %w", err)
		}
		t.walks.add(&e, now)
	}
	overdue, calls := now.Sub(t.ticked) >= tick, t.sync.calls.Load()
	if !overdue && !t.walks.lossy && !t.sync.waits(&t.walks) {
		return nil
	}
	if empty, err := t.memory(); err != nil || !empty {
		return err // what is due needs that all events have been read
	}
	t.walks.caughtUp()
	t.sync.caughtUp(calls, &t.walks)
	if overdue {
		return t.atTick(now)
	}
	return nil
}

// atTick ends quiet walks and takes notice of a new ruleset.
func (t *Tracer) atTick(now time.Time) error {
	t.walks.finishQuiet(t.ticked)
	t.ticked = now
	t.sync.tick()
	if t.next != nil {
		t.ruleset.Store(t.next)
		t.next = nil
	}
	gen, err := generation(t.ctl)
	if err != nil {
		return fmt.Errorf("look for changes of the ruleset: %w", err)
	}
	if gen == t.ruleset.Load().Generation {
		return nil
	}
	// It holds from the next tick on: some events may be older.
	if t.next, err = snapshot(t.ctl); err != nil {
		return fmt.Errorf("read ruleset: %w", err)
	}
	return nil
}

// memory counts what was lost, and reports whether all events have been read.
func (t *Tracer) memory() (empty bool, err error) {
	raw, err := t.events.SyscallConn()
	if err != nil {
		return false, err
	}
	var info [unix.SK_MEMINFO_VARS]uint32
	var failed error
	err = raw.Control(func(fd uintptr) { info, failed = socketMemory(int(fd)) })
	if err = errors.Join(err, failed); err != nil {
		return false, fmt.Errorf("read state of the socket: %w", err)
	}
	t.lost.Store(uint64(info[unix.SK_MEMINFO_DROPS]))
	return info[unix.SK_MEMINFO_RMEM_ALLOC] == 0, nil
}

// Rule returns the rule that took a step, in a base chain or one that was called
// from there. The error wraps [ErrRuleGone] or [ErrTableReplaced] if the ruleset
// has changed such that it cannot be told. The text comes from nft(8), and for
// tables of iptables-nft from iptables-nft-save(8), started in the network
// namespace of the calling thread.
func (t *Tracer) Rule(c Chain, s Step) (Rule, error) {
	if s.Kind != RuleStep {
		return Rule{}, fmt.Errorf("look up rule: a step in %v %s was not taken by a rule", c.Table, s.Chain)
	}
	return t.rules.find(t.ctl, c.Table, s.Chain, s.Handle)
}
