//go:build linux

package compare

import (
	"flag"
	"fmt"
	"regexp"
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/wgnode/wgnode/node/lab"
)

var soakTime = flag.Duration("soak", 3*time.Second, "how long TestSoak loads a tunnel; whether memory grows is told from 10m on")

const (
	soakPeers = 20 // come and go at once
	// soakPatience is how long a stream may stand still after a change. The
	// device's own timers are 5 and 15 seconds.
	soakPatience = time.Minute
	// memoryFrom is how long a run has to be for its memory to have settled by the
	// second quarter: a collection comes every 10 to 30 s, and what removed peers leave
	// takes two.
	memoryFrom = 10 * time.Minute
)

// TestSoak keeps a tunnel between two wgnodes busy while an end moves to other
// addresses and ports, sessions begin anew, and peers come and go. Nothing
// arrives changed, traffic goes on after each change, memory does not grow, and
// in the end each node has as many goroutines as one that has seen none of this.
func TestSoak(t *testing.T) {
	lab.Need(t, "wg", "ip", "ping")
	e := Entry{Name: "wgnode", Daemon: Command{lab.Wgnode(t), "device", "-f", "{}"}}
	fresh := newPair(t, e, 1)
	want := goroutines(t, fresh)
	fresh.close()

	p := newPair(t, e, 1)
	defer p.close()
	p.near.Sysctl("net.ipv4.conf.eth0.promote_secondaries", "1")
	s := newSoak(t, p)
	var resident []float64
	changes := []func(){s.newSession, s.move, s.crowd, s.rebind, s.crowd}
	deadline, report := time.Now().Add(*soakTime), time.Now()
	for n := 0; time.Now().Before(deadline) || n < len(changes); n++ {
		changes[n%len(changes)]()
		s.awaitProgress()
		resident = append(resident, memory(t, p.daemons, "VmRSS:"))
		if time.Since(report) > *soakTime/10 {
			report = time.Now()
			t.Logf("%v left, %d changes, resident %.0f MB; %v", time.Until(deadline).Round(time.Second), n+1, resident[n]/1e6, s.streams)
		}
	}
	s.dismiss()
	if err := s.streams.stop(); err != nil {
		t.Error(err)
	}
	t.Logf("%d changes, %v", len(resident), s.streams)
	if *soakTime >= memoryFrom {
		// Of the second quarter and of the last.
		n := len(resident)
		early, late := spread(resident[n/4:n/2]), spread(resident[n*3/4:])
		t.Logf("resident, of both ends: %.0f MB [%.0f-%.0f], later %.0f MB [%.0f-%.0f]", early.Median/1e6,
			early.Min/1e6, early.Max/1e6, late.Median/1e6, late.Min/1e6, late.Max/1e6)
		if late.Median > early.Median*1.1+8e6 {
			t.Error("memory grows")
		}
	}
	if got := goroutines(t, p); !slices.Equal(got, want) {
		t.Errorf("near and far have %d goroutines in the end, want %d as fresh ones", got, want)
		for _, d := range p.daemons {
			t.Logf("%s", d.proc.Output())
		}
	}
}

var goroutineHead = regexp.MustCompile(`(?m)^goroutine [1-9]`)

// goroutines ends the pair's daemons and returns how many goroutines each had.
func goroutines(t *testing.T, p *pair) (counts []int) {
	t.Helper()
	// What has ended needs a moment to be gone, and cannot be asked.
	time.Sleep(time.Second)
	for _, d := range p.daemons {
		if err := d.proc.Signal(syscall.SIGQUIT); err != nil {
			t.Fatalf("ask %s for its goroutines: %v", d.proc, err)
		}
		<-d.proc.Done()
		counts = append(counts, len(goroutineHead.FindAllString(d.proc.Output(), -1)))
	}
	return counts
}

// soak is a tunnel in use, and what is done to it meanwhile.
type soak struct {
	t       *testing.T
	p       *pair
	streams *streams
	moved   bool
	rebound bool
	guests  []string // public keys of the peers that came last
}

func newSoak(t *testing.T, p *pair) *soak {
	t.Helper()
	return &soak{t: t, p: p, streams: startStreams(t, p)}
}

// awaitProgress waits until every stream has received something new.
func (s *soak) awaitProgress() {
	s.t.Helper()
	select {
	case <-s.streams.progress():
	case err := <-s.streams.failed:
		s.t.Fatal(err)
	case <-time.After(soakPatience):
		s.t.Fatalf("a stream stands still: %v", s.streams)
	}
}

// move gives near another address.
func (s *soak) move() {
	from, to := "192.0.2.1/24", "192.0.2.3/24"
	if s.moved {
		from, to = to, from
	}
	s.moved = !s.moved
	s.p.near.Run("ip", "address", "add", to, "dev", "eth0")
	s.p.near.Run("ip", "address", "del", from, "dev", "eth0")
}

// rebind gives near another port, and so new sockets.
func (s *soak) rebind() {
	port := "51821"
	if s.rebound {
		port = "51820"
	}
	s.rebound = !s.rebound
	s.p.near.Run("wg", "set", wg, "listen-port", port)
}

// newSession makes near forget its sessions.
func (s *soak) newSession() {
	s.p.near.Run("wg", "set", wg, "peer", s.p.farKey, "remove")
	s.p.near.Run("wg", "set", wg, "peer", s.p.farKey, "endpoint", "192.0.2.2:51820", "allowed-ips", farAddr+"/32,"+anyAddrs)
}

// crowd replaces the guests of both ends by others.
func (s *soak) crowd() {
	s.dismiss()
	args := []string{"wg", "set", wg}
	for i := range soakPeers {
		key := lab.NewKey(s.t).Public
		s.guests = append(s.guests, key)
		args = append(args, "peer", key, "allowed-ips", fmt.Sprintf("10.9.0.%d/32", i+1), "endpoint", fmt.Sprintf("192.0.2.%d:9", i+100),
			"persistent-keepalive", "1")
	}
	s.p.near.Run(args...)
	s.p.far.Run(args...)
}

// dismiss removes the guests.
func (s *soak) dismiss() {
	if len(s.guests) == 0 {
		return
	}
	args := []string{"wg", "set", wg}
	for _, key := range s.guests {
		args = append(args, "peer", key, "remove")
	}
	s.p.near.Run(args...)
	s.p.far.Run(args...)
	s.guests = nil
}
