//go:build linux

package compare

import (
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"runtime"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/wgnode/wgnode/node/lab"
)

// Config says what to measure.
type Config struct {
	Entries   []Entry // the first is what the others are compared to
	Workloads []Workload
	Rounds    int
	Seconds   int // of each workload in an entry's turn
}

const (
	wg       = "wg0" // the interface's name on both ends
	nearAddr = "10.7.0.1"
	farAddr  = "10.7.0.2"
	// anyAddrs are all the far host's, so that there can be many flows.
	anyAddrs = "10.8.0.0/16"
)

// Run measures every entry in each round and returns the report, summed up. It
// needs iperf3, ping and wg, and root.
func Run(t testing.TB, c Config) *Report {
	t.Helper()
	lab.Need(t, "iperf3", "ping", "wg")
	r := &Report{Machine: machine(t), Entries: c.Entries, Rounds: c.Rounds, Seconds: c.Seconds}
	for round := range c.Rounds {
		for _, e := range c.Entries {
			for _, s := range turn(t, e, c) {
				s.Round, s.Entry = round+1, e.Name
				r.Samples = append(r.Samples, s)
			}
			t.Logf("round %d of %d: %s", round+1, c.Rounds, e.Name)
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
func turn(t testing.TB, e Entry, c Config) (samples []Sample) {
	t.Helper()
	p := newPair(t, e, 1)
	defer p.close()
	for _, w := range c.Workloads {
		before := cpuSeconds(t, p.daemons)
		s := w.measure(t, p, c.Seconds)
		s.Workload, s.CPU = w.Name, cpuSeconds(t, p.daemons)-before
		samples = append(samples, s)
	}
	return append(samples, Sample{Workload: "all of these", Memory: peakMemory(t, p.daemons)})
}

// pair is two hosts and a tunnel between them, both ends made by one entry.
type pair struct {
	t         testing.TB
	lab       *lab.Lab
	near, far *lab.Host
	nearKey   string // public
	farKey    string
	daemons   []daemon
	alongside []*lab.Proc
}

// newPair makes a tunnel whose both ends know so many peers, of which all but
// each other stay silent.
func newPair(t testing.TB, e Entry, peers int) *pair {
	t.Helper()
	l := lab.New(t)
	p := &pair{t: t, lab: l, near: l.Host("near"), far: l.Host("far")}
	l.Link(p.near.End("eth0", "192.0.2.1/24"), p.far.End("eth0", "192.0.2.2/24"))

	nearKey, farKey := lab.NewKey(t), lab.NewKey(t)
	p.nearKey, p.farKey = nearKey.Public, farKey.Public
	crowd := silentPeers(peers - 1)
	p.daemons = []daemon{
		startDaemon(t, p.near, e, lab.Tunnel{
			Name: wg, Addrs: []string{nearAddr + "/24"}, Routes: []string{anyAddrs},
			Conf: fmt.Sprintf("[Interface]\nPrivateKey=%s\nListenPort=51820\n%s[Peer]\nPublicKey=%s\nEndpoint=192.0.2.2:51820\n"+
				"AllowedIPs=%s/32,%s\n",
				nearKey.Private, crowd, farKey.Public, farAddr, anyAddrs),
		}),
		startDaemon(t, p.far, e, lab.Tunnel{
			Name: wg, Addrs: []string{farAddr + "/24"},
			// Tailscale's fork learns no endpoint from initiations by itself.
			Conf: fmt.Sprintf("[Interface]\nPrivateKey=%s\nListenPort=51820\n%s[Peer]\nPublicKey=%s\nEndpoint=192.0.2.1:51820\nAllowedIPs=%s/32\n",
				farKey.Private, crowd, nearKey.Public, nearAddr),
		}),
	}
	p.far.Run("ip", "route", "add", "local", anyAddrs, "dev", "lo")
	p.near.Run("ping", "-c1", "-w10", farAddr)
	if len(e.Alongside) > 0 {
		p.alongside = append(p.alongside, p.near.Start(e.Alongside.For(wg)...), p.far.Start(e.Alongside.For(wg)...))
	}
	return p
}

// silentPeers returns the configuration of n peers with an address each.
func silentPeers(n int) string {
	var b strings.Builder
	for i := range n {
		var key [32]byte
		rand.Read(key[:])
		fmt.Fprintf(&b, "[Peer]\nPublicKey=%s\nAllowedIPs=10.%d.%d.%d/32\n",
			base64.StdEncoding.EncodeToString(key[:]), 16+i>>16, i>>8&255, i&255)
	}
	return b.String()
}

// close ends the test if what should have run all the time has not.
func (p *pair) close() {
	p.t.Helper()
	for _, a := range p.alongside {
		select {
		case <-a.Done():
			p.t.Fatalf("%s: ended before the measurements did\n%s", a, a.Output())
		default:
		}
	}
	for _, d := range p.daemons {
		d.proc.Stop() // it may have something to write
	}
	p.lab.Close()
}
