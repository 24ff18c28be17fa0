//go:build linux

package compare

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// Workload is a kind of traffic through the tunnel, and how it is measured.
type Workload struct {
	Key     string // what flags call it
	Name    string
	measure func(testing.TB, *pair, int) Sample
}

// Workloads are all there are.
var Workloads = []Workload{
	{"tcp1", "TCP 1 stream", iperf()},
	{"tcp1back", "TCP 1 stream, back", iperf("-R")},
	{"tcp4", "TCP 4 streams", iperf("-P4")},
	{"tcp4back", "TCP 4 streams, back", iperf("-P4", "-R")},
	{"udp64", "UDP 64 B", iperf("-u", "-b0", "-l64")},
	{"udp1300", "UDP 1300 B", iperf("-u", "-b0", "-l1300")},
	{"idle", "ping, idle", func(t testing.TB, p *pair, seconds int) Sample { return ping(t, p, seconds) }},
	{"loaded", "ping beside TCP", pingLoaded},
}

// ParseWorkloads reads the keys of workloads, with commas between them. None
// means all.
func ParseWorkloads(text string) (chosen []Workload, err error) {
	if text == "" {
		return Workloads, nil
	}
	for key := range strings.SplitSeq(text, ",") {
		i := slices.IndexFunc(Workloads, func(w Workload) bool { return w.Key == key })
		if i < 0 {
			var keys []string
			for _, w := range Workloads {
				keys = append(keys, w.Key)
			}
			return nil, fmt.Errorf("workload %q: want one of %s", key, strings.Join(keys, ", "))
		}
		chosen = append(chosen, Workloads[i])
	}
	return chosen, nil
}

// iperf returns what sends TCP, or what iperf3's client is told, from near to
// far.
func iperf(args ...string) func(testing.TB, *pair, int) Sample {
	return func(t testing.TB, p *pair, seconds int) Sample {
		t.Helper()
		return startIperf(t, p, farAddr, seconds, args...)()
	}
}

// startIperf starts a client and its server, at an address of the far host, and returns a
// function that waits for what they have measured.
func startIperf(t testing.TB, p *pair, at string, seconds int, args ...string) func() Sample {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Duration(seconds)*time.Second+time.Minute)
	server := p.far.Start("iperf3", "-s", "-1", "--forceflush", "-B", at)
	server.WaitOutput(ctx, "Server listening")
	var out strings.Builder
	args = append([]string{"iperf3", "-J", "-c", at, "-t", strconv.Itoa(seconds)}, args...)
	client := p.near.Command(ctx, args...)
	client.Stdout = &out
	if err := client.Start(); err != nil {
		cancel()
		t.Fatalf("%q: %v", args, err)
	}
	return func() Sample {
		t.Helper()
		defer cancel()
		if err := client.Wait(); err != nil {
			t.Fatalf("%q: %v\n%s", args, err, out.String())
		}
		if err := server.Wait(); err != nil {
			t.Fatalf("%q: iperf3 server: %v\n%s", args, err, server.Output())
		}
		s, err := parseIperf([]byte(out.String()))
		if err != nil {
			t.Fatalf("%q: %v\n%s", args, err, out.String())
		}
		return s
	}
}

// parseIperf reads the client's JSON.
func parseIperf(out []byte) (Sample, error) {
	type sum struct{ Seconds, Bytes, Packets float64 }
	var report struct {
		Error string
		Start struct {
			TestStart struct {
				Protocol string
				Blksize  float64
			} `json:"test_start"`
		}
		End struct {
			Sent     sum `json:"sum_sent"`
			Received sum `json:"sum_received"`
			CPU      struct {
				Near float64 `json:"host_total"`
				Far  float64 `json:"remote_total"`
			} `json:"cpu_utilization_percent"`
		}
	}
	if err := json.Unmarshal(out, &report); err != nil {
		return Sample{}, fmt.Errorf("read iperf3's report: %w", err)
	}
	sent, received := report.End.Sent, report.End.Received
	if report.Error != "" || received.Seconds <= 0 || received.Bytes <= 0 {
		return Sample{}, fmt.Errorf("iperf3 measured nothing: %s", report.Error)
	}
	// Of iperf3 itself, both ends; where there is a daemon between them its time takes the place.
	s := Sample{Bytes: received.Bytes, Seconds: received.Seconds, CPU: (report.End.CPU.Near + report.End.CPU.Far) / 100 * received.Seconds}
	if report.Start.TestStart.Protocol == "UDP" {
		// "packets" is what was sent in either sum.
		s.Packets = received.Bytes / report.Start.TestStart.Blksize
		s.Lost = sent.Packets - s.Packets
	}
	return s, nil
}

// pingInterval is between two requests.
const pingInterval = 5 * time.Millisecond

// ping asks for so many seconds how long a packet and its answer take.
func ping(t testing.TB, p *pair, seconds int) Sample {
	t.Helper()
	count := seconds * int(time.Second/pingInterval)
	ctx, cancel := context.WithTimeout(context.Background(), time.Duration(seconds)*time.Second+time.Minute)
	defer cancel()
	out, err := p.near.Command(ctx, "ping", "-n", "-W", "1", "-c", strconv.Itoa(count),
		"-i", fmt.Sprintf("%.3f", pingInterval.Seconds()), farAddr).Output()
	// Some may be lost, but not all: then there is an error.
	if err != nil {
		t.Fatalf("ping: %v\n%s", err, out)
	}
	times, err := parsePing(string(out))
	if err != nil {
		t.Fatalf("ping: %v\n%s", err, out)
	}
	slices.Sort(times)
	return Sample{
		Seconds: float64(seconds), Lost: float64(count - len(times)),
		P50: times[len(times)/2], P99: times[len(times)*99/100],
	}
}

func pingLoaded(t testing.TB, p *pair, seconds int) Sample {
	t.Helper()
	wait := startIperf(t, p, farAddr, seconds+2)
	s := ping(t, p, seconds)
	wait()
	return s
}

// parsePing returns the round trip times, in milliseconds.
func parsePing(out string) (ms []float64, err error) {
	for line := range strings.Lines(out) {
		_, after, ok := strings.Cut(line, " time=")
		if !ok {
			continue
		}
		text, _, _ := strings.Cut(after, " ")
		v, err := strconv.ParseFloat(text, 64)
		if err != nil {
			return nil, fmt.Errorf("read a round trip time: %w", err)
		}
		ms = append(ms, v)
	}
	if len(ms) == 0 {
		return nil, fmt.Errorf("no answer")
	}
	return ms, nil
}
