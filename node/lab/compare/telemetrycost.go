//go:build linux

package compare

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"testing"
	"time"

	"github.com/wgnode/wgnode/node/lab"
	"github.com/wgnode/wgnode/node/telemetry/otlptest"
	"github.com/wgnode/wgnode/probe/patience"
)

const (
	// flowsRate is how many new flows a second there are beside the bulk of data.
	flowsRate = 2_000
	flowsTick = 5 * time.Millisecond
)

// RunTelemetry measures what passes while both ends trace 1% of flows and send that, against what passes
// while they do not, in turn. It returns with the report how many spans came.
func RunTelemetry(t testing.TB, wgnode string, rounds, seconds int) (*Report, int) {
	t.Helper()
	lab.Need(t, "iperf3", "ping", "wg")
	workloads := []Workload{
		{Name: "TCP", measure: iperf()},
		{Name: "TCP beside flows", measure: besideFlows(iperf())},
		{Name: "UDP 64 B", measure: iperf("-u", "-b0", "-l64")},
	}
	device := []string{wgnode, "device", "-f", "{}"}
	r := &Report{Machine: machine(t), Rounds: rounds, Seconds: seconds, Entries: []Entry{{Name: "silent", Daemon: device},
		{Name: "traced", Daemon: append(Command{"env", "OTEL_EXPORTER_OTLP_ENDPOINT=http://127.0.0.1:4318"}, device...)}}}
	var receiver otlptest.Receiver
	for round := range rounds {
		for i := range r.Entries { // one right after the other, and neither always first
			e := r.Entries[(i+round)%2]
			p := newPair(t, e, 1)
			for _, h := range []*lab.Host{p.near, p.far} {
				server := &http.Server{Handler: &receiver, ReadHeaderTimeout: patience.Limit()}
				go func(l net.Listener) { _ = server.Serve(l) }(h.Listen("tcp", "127.0.0.1:4318")) // ends with the lab
			}
			for _, w := range workloads {
				before := cpuSeconds(t, p.daemons)
				s := w.measure(t, p, seconds)
				s.Round, s.Entry, s.Workload, s.CPU = round+1, e.Name, w.Name, cpuSeconds(t, p.daemons)-before
				r.Samples = append(r.Samples, s)
			}
			r.Samples = append(r.Samples, Sample{Round: round + 1, Entry: e.Name, Workload: "all of these", Memory: peakMemory(t, p.daemons)})
			p.close()
		}
		t.Logf("round %d of %d", round+1, rounds)
	}
	r.Summarise()
	return r, len(receiver.Spans())
}

// besideFlows measures beside new flows all the time.
func besideFlows(measure func(testing.TB, *pair, int) Sample) func(testing.TB, *pair, int) Sample {
	return func(t testing.TB, p *pair, seconds int) Sample {
		t.Helper()
		ctx, stop := context.WithCancel(t.Context())
		defer stop()
		from := p.near.ListenPacket("udp4", ":0")
		poured := make(chan error, 1)
		go func() { poured <- errors.Join(pourFlows(ctx, from), from.Close()) }()
		s := measure(t, p, seconds)
		stop()
		if err := <-poured; err != nil {
			t.Fatalf("flows: %v", err)
		}
		return s
	}
}

// pourFlows sends a datagram each to many addresses until ctx ends.
func pourFlows(ctx context.Context, c net.PacketConn) error {
	tick := time.NewTicker(flowsTick)
	defer tick.Stop()
	sent := 0
	for began := time.Now(); ctx.Err() == nil; <-tick.C {
		for due := int(time.Since(began).Seconds() * flowsRate); sent < due && ctx.Err() == nil; sent++ {
			to := &net.UDPAddr{IP: net.IPv4(10, 8, byte(sent>>8), byte(sent)), Port: 2000 + sent>>16}
			if _, err := c.WriteTo([]byte("hello"), to); err != nil {
				return fmt.Errorf("send: %w", err)
			}
		}
	}
	return nil
}
