package guard

import (
	"context"
	"log/slog"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/wgnode/wgnode/node/internal/burst"
	"github.com/wgnode/wgnode/node/internal/nftables"
	"github.com/wgnode/wgnode/probe"
)

const (
	// A program that changes a table again and again is told of once in this time.
	quiet = 10 * time.Second
	// What cannot be put back is tried again after this time.
	retry = 200 * time.Millisecond
)

// Tables puts the tables back that protect, when another program has changed
// them: at once, unless it does so all the time. Then putting them back takes no
// more than a tenth of a processor's time, see [burst.Pauses].
type Tables struct {
	tables *nftables.Keeper
	who    culprits
	said   *teller // nil: it is not said
	log    *slog.Logger

	killSwitch, firewall atomic.Uint64 // how often each was put back
}

// NewTables returns what guards tables of a node. The log and record get what is put back, once in a while.
func NewTables(tables *nftables.Keeper, link string, log *slog.Logger, record func(probe.NetworkChange)) *Tables {
	g := &Tables{tables: tables, log: log}
	g.said = &teller{link: link, log: log, record: record, count: g.count}
	return g
}

// Culprit is the latest change of a table by another program.
func (g *Tables) Culprit(table string) nftables.Change { return g.who.of(table) }

func (g *Tables) count(change probe.Change) {
	if change == probe.ChangeKillSwitch {
		g.killSwitch.Add(1)
	} else {
		g.firewall.Add(1)
	}
}

// Counts is how often tables were put back, by the names of the changes.
func (g *Tables) Counts() map[string]uint64 {
	return map[string]uint64{
		probe.ChangeKillSwitch.String(): g.killSwitch.Load(),
		probe.ChangeFirewall.String():   g.firewall.Load(),
	}
}

func (*Tables) String() string { return "guard the firewall" }

// Run guards until ctx ends. A system that does not let its firewall be watched
// is no reason to end the node.
func (g *Tables) Run(ctx context.Context) error {
	changed := make(chan struct{}, 1)
	w, err := nftables.Watch(func(c nftables.Change) {
		if c.Table != "" && !g.tables.Keeps(c.Table) {
			return
		}
		g.who.note(c)
		select {
		case changed <- struct{}{}:
		default: // it is known already
		}
	})
	if err != nil {
		g.log.Error("the firewall is not watched", "error", err)
		<-ctx.Done()
		return nil
	}
	defer w.Close()           // nothing was written
	var failed time.Time      // when that was said last
	again := time.NewTimer(0) // to begin with, of what has changed before
	defer again.Stop()
	for {
		select {
		case <-ctx.Done():
			g.said.flush()
			return nil
		case <-g.said.due():
			g.said.flush()
			continue
		case <-changed:
		case <-again.C:
		}
		start := time.Now()
		restored, err := g.tables.Restore()
		took := time.Since(start)
		if err != nil {
			if time.Since(failed) > quiet {
				g.log.Error("the firewall is not as it was set", "error", err)
				failed = time.Now()
			}
			again.Reset(retry)
		}
		if len(restored) > 0 {
			g.said.add(restored, &g.who)
			burst.Pause(ctx, min(burst.Pauses*took, burst.Most/2))
		}
	}
}

// culprits remembers which program has changed a table last. This one's own
// changes come from the same source, so they are left out.
type culprits struct {
	mu   sync.Mutex
	last map[string]nftables.Change
}

func (c *culprits) note(change nftables.Change) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.last == nil {
		c.last = make(map[string]nftables.Change)
	}
	if change.Table != "" && change.Program != ownName() {
		c.last[change.Table] = change
	}
}

// ownName is how the kernel calls this program. Its number says nothing in a
// container, where it is another one.
var ownName = sync.OnceValue(func() string {
	name, err := os.ReadFile("/proc/self/comm")
	if err != nil {
		return "" // then a change of ours may be taken for that of another of our name
	}
	return strings.TrimSuffix(string(name), "\n")
})

func (c *culprits) of(table string) nftables.Change {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.last[table]
}

// teller says what was put back: the first time at once, then once in a while. A
// nil teller says nothing.
type teller struct {
	link    string
	log     *slog.Logger
	record  func(probe.NetworkChange)
	count   func(probe.Change)
	last    time.Time
	pending map[probe.Change]told
	timer   *time.Timer
}

// told is what is to be said of the tables of one kind.
type told struct {
	what  []string // that was different the last time
	by    nftables.Change
	times int
}

// add takes note of what was put back at one time.
func (t *teller) add(restored []nftables.Restored, who *culprits) {
	if t == nil {
		return
	}
	now := make(map[probe.Change]told)
	for _, r := range restored {
		change := probe.ChangeFirewall
		if r.KillSwitch {
			change = probe.ChangeKillSwitch
		}
		of := now[change]
		for _, what := range r.What {
			of.what = append(of.what, "table "+r.Table+": "+what)
		}
		of.by = who.of(r.Table)
		now[change] = of
	}
	for change, of := range now {
		t.count(change)
		of.times = t.pending[change].times + 1
		if t.pending == nil {
			t.pending = make(map[probe.Change]told)
		}
		t.pending[change] = of
	}
	wait := quiet - time.Since(t.last)
	if wait <= 0 {
		t.flush()
	} else if t.timer == nil {
		t.timer = time.NewTimer(wait)
	}
}

// due is when something is to be said, nil if there is nothing.
func (t *teller) due() <-chan time.Time {
	if t == nil || t.timer == nil {
		return nil
	}
	return t.timer.C
}

// flush says what is pending.
func (t *teller) flush() {
	if t == nil {
		return
	}
	if t.timer != nil {
		t.timer.Stop()
		t.timer = nil
	}
	for change, p := range t.pending {
		message := "another program changed the tunnel's firewall, which is back"
		if change == probe.ChangeKillSwitch {
			message = "another program changed the kill switch, which is back"
		}
		t.record(probe.NetworkChange{Change: change, NewLink: t.link, Program: p.by.Program, PID: uint32(p.by.PID), Times: uint64(p.times)})
		t.log.Warn(message,
			"changed", strings.Join(p.what, "; "), "program", p.by.Program, "pid", p.by.PID, "times", p.times)
		t.last = time.Now()
	}
	t.pending = nil
}
