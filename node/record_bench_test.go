package node

import (
	"context"
	"io"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/wgnode/wgnode/node/config"
	"github.com/wgnode/wgnode/node/control"
	"github.com/wgnode/wgnode/node/rundir"
	"github.com/wgnode/wgnode/probe"
	"github.com/wgnode/wgnode/probe/key"
	"github.com/wgnode/wgnode/probe/recording"
)

// count is a recording that ends when it has so many events.
type count struct {
	*recording.Output
	left int
}

func (c *count) Event(e *probe.Event, captured []byte, lost uint64) error {
	if err := c.Output.Event(e, captured, lost); err != nil {
		return err
	}
	if c.left--; c.left <= 0 {
		return recording.ErrFull
	}
	return nil
}

// BenchmarkRecord is what an event costs from the flight recorder into a file, by
// way of the control socket, all processors together.
func BenchmarkRecord(b *testing.B) {
	dir := b.TempDir()
	cfg, err := config.Parse(strings.NewReader("[Interface]\nPrivateKey="+key.GeneratePrivate().Base64()+"\n"), "alice.conf")
	if err != nil {
		b.Fatal(err)
	}
	cfg.Name = "alice"
	alice, err := Start(b.Context(), cfg, Options{Netstack: true, NoUAPI: true, RunDir: dir, RecorderBytes: 32 << 20})
	if err != nil {
		b.Fatal(err)
	}
	defer alice.Close()
	ctx, cancel := context.WithCancel(b.Context())
	defer cancel()
	go func() { _ = alice.Run(ctx) }() // until the benchmark ends
	c, err := rundir.Dial(dir, "alice")
	if err != nil {
		b.Fatal(err)
	}
	e := probe.Event{Seam: probe.SeamTUNRead, Checkpoint: probe.A1, Kind: probe.KindInner, Proto: probe.ProtoTCP,
		PrefixBits: 24, InnerLen: 1420,
		InnerSrc: probe.AddrFrom(netip.MustParseAddr("10.0.0.1")),
		InnerDst: probe.AddrFrom(netip.MustParseAddr("192.168.200.22")), InnerSrcPort: 45734, InnerDstPort: 80}
	sent := e
	sent.Seam, sent.Kind, sent.Checkpoint, sent.OuterDst, sent.OuterLen = probe.SeamUDPSend, probe.KindData, probe.A4, e.InnerDst, 1452
	r := alice.tun.Recorder()
	const n = 20_000
	for range n {
		e.Time = time.Now().UnixNano()
		r.Record(probe.LaneTUNRead, &e)
		sent.Time, sent.Receiver, sent.Counter = e.Time, 0x1a2b3c4d, sent.Counter+1
		r.Record(probe.LaneUDPSend, &sent)
	}
	b.ReportAllocs()
	events := 0
	for b.Loop() {
		into := &count{recording.To(io.Discard), 2 * n}
		if _, err := c.Record(b.Context(), control.RecordRequest{Since: time.Hour, Snaplen: recording.Headers}, into); err == nil {
			b.Fatal("it ended by itself")
		}
		events += 2 * n
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(events), "ns/event")
}
