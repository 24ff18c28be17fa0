//go:build linux

package compare

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/ipv4"

	"github.com/wgnode/wgnode/node/droplist"
	"github.com/wgnode/wgnode/node/lab"
	"github.com/wgnode/wgnode/probe/patience"
)

const (
	// farOutside is the far host's address outside of the tunnel.
	farOutside = "192.0.2.2"
	// Packets to these ports of the near host are dropped as they come in.
	foreignTo = "127.0.0.9:9" // of no tunnel
	ownTo     = nearAddr + ":9"
	// dropsRate is how many packets a second are to be dropped in a flood.
	dropsRate = 100_000
	dropsTick = 5 * time.Millisecond
)

// dropsWorkloads is the traffic beside which drops are watched.
var dropsWorkloads = []dropsWorkload{
	{Workload: Workload{Name: "1 Gbit/s outside", measure: outside("-b1G")}, outside: true},
	{Workload: Workload{Name: "TCP outside", measure: outside()}, outside: true},
	{Workload: Workload{Name: "TCP in the tunnel", measure: iperf()}},
	{Workload: Workload{Name: "TCP in the tunnel, foreign flood", measure: iperf()}, flood: foreignTo},
	{Workload: Workload{Name: "ping, foreign flood", measure: pingAlone}, flood: foreignTo},
	{Workload: Workload{Name: "TCP in the tunnel, flood of its own", measure: iperf()}, flood: ownTo},
}

type dropsWorkload struct {
	Workload
	outside bool   // of the tunnel
	flood   string // where packets are sent meanwhile that are dropped
}

func pingAlone(t testing.TB, p *pair, seconds int) Sample { return ping(t, p, seconds) }

func outside(args ...string) func(testing.TB, *pair, int) Sample {
	return func(t testing.TB, p *pair, seconds int) Sample {
		t.Helper()
		return startIperf(t, p, farOutside, seconds, args...)()
	}
}

// RunDrops measures what passes while `wgnode drops` looks at both ends of a tunnel, against
// what passes while nobody looks, in turn. It returns with the report what was dropped.
func RunDrops(t testing.TB, wgnode string, rounds, seconds int) (*Report, []Flooded) {
	t.Helper()
	lab.Need(t, "iperf3", "ping", "wg", "nft")
	e := Entry{Name: "wgnode", Daemon: Command{wgnode, "device", "-f", "{}"}}
	p := newPair(t, e, 1)
	defer p.close()
	p.near.Run("nft", "add table inet dropped; add chain inet dropped in { type filter hook input priority 0; }; "+
		"add rule inet dropped in udp dport 9 drop")
	r := &Report{Machine: machine(t), Rounds: rounds, Seconds: seconds,
		Entries: []Entry{{Name: "nobody looks"}, {Name: "drops", Alongside: Command{wgnode, "drops", "{}", "--json"}}}}
	var floods []Flooded
	for round := range rounds {
		for _, w := range dropsWorkloads {
			for i := range r.Entries { // one right after the other, and neither always first
				e := r.Entries[(i+round)%2]
				s, f := beside(t, p, e, w, seconds)
				s.Round, s.Entry, s.Workload = round+1, e.Name, w.Name
				r.Samples = append(r.Samples, s)
				if f.To = w.flood; f.To != "" {
					floods = append(floods, f)
				}
			}
		}
		t.Logf("round %d of %d", round+1, rounds)
	}
	r.Summarise()
	return r, floods
}

// Flooded is what became of a flood.
type Flooded struct {
	To      string
	Watched bool
	Sent    int     // packets
	Seconds float64 // how long that took
	// Counted is how many packets to there the list has, and Lines in how many lines it said so.
	// Lost are the reports that found no room.
	Counted, Lost uint64
	Lines         int
}

// beside measures one workload, beside what an entry looks at and a flood.
func beside(t testing.TB, p *pair, e Entry, w dropsWorkload, seconds int) (s Sample, f Flooded) {
	t.Helper()
	var lists []*lab.Proc
	if len(e.Alongside) > 0 {
		for _, h := range []*lab.Host{p.near, p.far} {
			list := h.Start(e.Alongside.For(wg)...)
			list.WaitOutput(patience.Context(t), "looking at")
			lists = append(lists, list)
		}
		for _, list := range lists {
			settle(t, list)
		}
	}
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	flooded := make(chan error, 1)
	if w.flood == "" {
		flooded <- nil
	} else {
		from := p.near.ListenPacket("udp4", ":0")
		go func() {
			began := time.Now()
			var err error
			f.Sent, err = pourAt(ctx, ipv4.NewPacketConn(from), w.flood, dropsRate)
			f.Seconds = time.Since(began).Seconds()
			flooded <- errors.Join(err, from.Close())
		}()
	}
	before := cpuSeconds(t, p.daemons)
	s = w.measure(t, p, seconds)
	if !w.outside { // there it is what both ends of iperf3 take
		s.CPU = cpuSeconds(t, p.daemons) - before
	}
	stop()
	if err := <-flooded; err != nil {
		t.Fatalf("flood of drops: %v", err)
	}
	for i, list := range lists {
		if i == 0 && w.flood == ownTo {
			// The list reads the kernel's counts once a second.
			patience.See(t, "all packets of the flood in the list", func() (string, bool) {
				f.count(list.Output())
				return fmt.Sprintf("%+v", f), f.Counted >= uint64(f.Sent)
			})
		}
		list.Stop()
	}
	f.Watched = len(lists) > 0
	return s, f
}

// settle waits until a program does nothing: what it takes to begin is not what it costs.
func settle(t testing.TB, p *lab.Proc) {
	t.Helper()
	const quiet = 300 * time.Millisecond
	was := -1.0
	patience.See(t, "nothing to do for "+p.String(), func() (string, bool) {
		now, err := processSeconds(p.Pid())
		if err != nil {
			t.Fatal(err)
		}
		if now == was {
			return "", true
		}
		was = now
		time.Sleep(quiet)
		return fmt.Sprintf("%.2f s of CPU time", now), false
	})
}

// count takes the lines of a list.
func (f *Flooded) count(out string) {
	f.Lines = 0
	for line := range strings.Lines(out) {
		var r droplist.Row
		if json.Unmarshal([]byte(line), &r) != nil || r.Packet.DPort != 9 {
			continue
		}
		f.Lines++
		f.Counted, f.Lost = r.Count, r.Lost
	}
}

// pourAt sends so many small packets a second until ctx ends, and returns how many.
func pourAt(ctx context.Context, c *ipv4.PacketConn, to string, rate int) (sent int, err error) {
	addr, err := net.ResolveUDPAddr("udp4", to)
	if err != nil {
		return 0, err
	}
	msgs := make([]ipv4.Message, 50)
	for i := range msgs {
		msgs[i] = ipv4.Message{Buffers: [][]byte{make([]byte, 32)}, Addr: addr}
	}
	tick := time.NewTicker(dropsTick)
	defer tick.Stop()
	for began := time.Now(); ctx.Err() == nil; <-tick.C {
		for due := int(time.Since(began).Seconds() * float64(rate)); sent < due && ctx.Err() == nil; {
			n, err := c.WriteBatch(msgs, 0)
			if err != nil {
				return sent, fmt.Errorf("send: %w", err)
			}
			sent += n
		}
	}
	return sent, nil
}
