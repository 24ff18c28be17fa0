//go:build linux

package compare

import (
	"context"
	"encoding/json"
	"fmt"
	"runtime"
	"strconv"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/wgnode/wgnode/node/lab"
)

// Config says what to measure.
type Config struct {
	Entries []Entry // the first is what the others are compared to
	Rounds  int
	Seconds int // of each measurement; four of them make an entry's turn
}

// workload is a kind of traffic: what iperf3's client is told.
type workload struct {
	name string
	args []string
}

var workloads = []workload{
	{"TCP 1 stream", nil},
	{"TCP 4 streams", []string{"-P4"}},
	{"UDP 64 B", []string{"-u", "-b0", "-l64"}},
	{"UDP 1300 B", []string{"-u", "-b0", "-l1300"}},
}

const (
	wg       = "wg0" // the interface's name on both ends
	nearAddr = "10.7.0.1"
	farAddr  = "10.7.0.2"
)

// Run measures every entry in each round and returns the report, summed up. It
// needs iperf3 and wg, and root.
func Run(t testing.TB, c Config) *Report {
	t.Helper()
	lab.Need(t, "iperf3", "wg")
	r := &Report{Machine: machine(t), Entries: c.Entries, Rounds: c.Rounds, Seconds: c.Seconds}
	for round := range c.Rounds {
		for _, e := range c.Entries {
			for _, s := range turn(t, e, c.Seconds) {
				s.Round, s.Entry = round+1, e.Name
				r.Samples = append(r.Samples, s)
				t.Logf("round %d, %s, %s: %.3g Gbit/s, %.3g CPU s", s.Round, s.Entry, s.Workload,
					s.Bytes*8/s.Seconds/1e9, s.CPU)
			}
		}
	}
	r.Summarise()
	return r
}

// machine describes where the measurements were made.
func machine(t testing.TB) string {
	var u unix.Utsname
	if err := unix.Uname(&u); err != nil {
		t.Fatalf("uname: %v", err)
	}
	return fmt.Sprintf("Linux %s %s, %d CPUs", unix.ByteSliceToString(u.Release[:]), runtime.GOARCH, runtime.NumCPU())
}

// turn is an entry's turn: a network and processes of its own, and every
// workload through the tunnel.
func turn(t testing.TB, e Entry, seconds int) []Sample {
	t.Helper()
	l := lab.New(t)
	defer l.Close()
	near, far := l.Host("near"), l.Host("far")
	l.Link(near.End("eth0", "192.0.2.1/24"), far.End("eth0", "192.0.2.2/24"))

	nearKey, farKey := lab.NewKey(t), lab.NewKey(t)
	daemons := []daemon{
		startDaemon(t, near, e, lab.Tunnel{
			Name: wg, Addrs: []string{nearAddr + "/24"},
			Conf: fmt.Sprintf("[Interface]\nPrivateKey=%s\n[Peer]\nPublicKey=%s\nEndpoint=192.0.2.2:51820\nAllowedIPs=%s/32\n",
				nearKey.Private, farKey.Public, farAddr),
		}),
		startDaemon(t, far, e, lab.Tunnel{
			Name: wg, Addrs: []string{farAddr + "/24"},
			Conf: fmt.Sprintf("[Interface]\nPrivateKey=%s\nListenPort=51820\n[Peer]\nPublicKey=%s\nAllowedIPs=%s/32\n",
				farKey.Private, nearKey.Public, nearAddr),
		}),
	}
	near.Run("ping", "-c1", "-w10", farAddr)
	var alongside []*lab.Proc
	if len(e.Alongside) > 0 {
		alongside = append(alongside, near.Start(e.Alongside.For(wg)...), far.Start(e.Alongside.For(wg)...))
	}

	var samples []Sample
	for _, w := range workloads {
		before := cpuSeconds(t, daemons)
		s := iperf(t, near, far, w, seconds)
		s.CPU = cpuSeconds(t, daemons) - before
		samples = append(samples, s)
	}
	for _, p := range alongside {
		select {
		case <-p.Done():
			t.Fatalf("%s: ended before the measurements did\n%s", p, p.Output())
		default:
		}
	}
	return samples
}

// iperf sends one workload from near to far.
func iperf(t testing.TB, near, far *lab.Host, w workload, seconds int) Sample {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Duration(seconds)*time.Second+time.Minute)
	defer cancel()
	server := far.Start("iperf3", "-s", "-1", "--forceflush", "-B", farAddr)
	server.WaitOutput(ctx, "Server listening")
	args := append([]string{"iperf3", "-J", "-c", farAddr, "-t", strconv.Itoa(seconds)}, w.args...)
	out, err := near.Command(ctx, args...).Output()
	if err != nil {
		t.Fatalf("%s: %v\n%s", w.name, err, out)
	}
	if err := server.Wait(); err != nil {
		t.Fatalf("%s: iperf3 server: %v\n%s", w.name, err, server.Output())
	}
	s, err := parseIperf(out)
	if err != nil {
		t.Fatalf("%s: %v\n%s", w.name, err, out)
	}
	s.Workload = w.name
	return s
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
		}
	}
	if err := json.Unmarshal(out, &report); err != nil {
		return Sample{}, fmt.Errorf("read iperf3's report: %w", err)
	}
	sent, received := report.End.Sent, report.End.Received
	if report.Error != "" || received.Seconds <= 0 || received.Bytes <= 0 {
		return Sample{}, fmt.Errorf("iperf3 measured nothing: %s", report.Error)
	}
	s := Sample{Bytes: received.Bytes, Seconds: received.Seconds}
	if report.Start.TestStart.Protocol == "UDP" {
		// "packets" is what was sent in either sum.
		s.Packets = received.Bytes / report.Start.TestStart.Blksize
		s.Lost = sent.Packets - s.Packets
	}
	return s, nil
}
