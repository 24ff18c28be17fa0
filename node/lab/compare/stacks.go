//go:build linux

package compare

import (
	"context"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"io"
	"net"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/wgnode/wgnode/node/lab"
)

// stackMTU is that of wireguard-go's own program.
const stackMTU = 1420

// RunStacks measures programs whose tunnel ends in a network stack of their own
// against a kernel: a device over a TUN on the far end.
//
//	stack [entry] eth0 ------ eth0 [wgnode] wg0 - the kernel's TCP
//
// An entry's Daemon is the program, to which MTU and address are added, see
// node/lab/stackend. The CPU time is that of the entry's own process. RunStacks
// returns the report, summed up. [StackCosts] measures what else a stack costs.
func RunStacks(t testing.TB, c Config) *Report {
	t.Helper()
	lab.Need(t, "wg")
	r := &Report{Machine: machine(t), Entries: c.Entries, Rounds: c.Rounds, Seconds: c.Seconds}
	for round := range c.Rounds {
		for _, e := range c.Entries {
			s := startStack(t, e)
			for _, w := range stackWorkloads {
				m := s.bulk(t, w, c.Seconds)
				m.Round, m.Entry = round+1, e.Name
				r.Samples = append(r.Samples, m)
				t.Logf("round %d, %s, %s: %.3g Gbit/s, %.3g CPU s/GB", m.Round, m.Entry, m.Workload,
					m.Bytes*8/m.Seconds/1e9, m.CPU/m.Bytes*1e9)
			}
			s.lab.Close()
		}
	}
	r.Summarise()
	return r
}

// stackWorkload is bulk data, by the port of stackend that has to do with it.
type stackWorkload struct {
	name  string
	port  string
	conns int
	sends bool // the stack
}

var stackWorkloads = []stackWorkload{
	{"stack sends, 1 stream", "2", 1, true},
	{"stack receives, 1 stream", "1", 1, false},
	{"stack sends, 4 streams", "2", 4, true},
	{"stack receives, 4 streams", "1", 4, false},
}

// stackEnd is one that runs.
type stackEnd struct {
	lab       *lab.Lab
	near, far *lab.Host
	pid       int // as near numbers it
}

func startStack(t testing.TB, e Entry) *stackEnd {
	t.Helper()
	l := lab.New(t)
	s := &stackEnd{lab: l, near: l.Host("near"), far: l.Host("far")}
	l.Link(s.near.End("eth0", "192.0.2.1/24"), s.far.End("eth0", "192.0.2.2/24"))
	nearKey, farKey := lab.NewKey(t), lab.NewKey(t)
	s.far.AwaitUAPI(s.far.Start(lab.Wgnode(t), "device", "-f", wg), wg)
	s.far.SetUpTunnel(lab.Tunnel{Name: wg, Addrs: []string{farAddr + "/24"},
		Conf: fmt.Sprintf("[Interface]\nPrivateKey=%s\nListenPort=51820\n[Peer]\nPublicKey=%s\nAllowedIPs=%s/32\nEndpoint=192.0.2.1:51821\n",
			farKey.Private, nearKey.Public, nearAddr)})
	conf := fmt.Sprintf("private_key=%s\nlisten_port=51821\npublic_key=%s\nendpoint=192.0.2.2:51820\nallowed_ip=%s/32\n",
		hexOf(t, nearKey.Private), hexOf(t, farKey.Public), farAddr)
	const path = "/run/stackend.conf"
	s.near.WriteFile(path, conf, 0o600)
	args := append(slices.Clone(e.Daemon), strconv.Itoa(stackMTU), nearAddr)
	p := s.near.Start("sh", "-c", "exec "+strings.Join(args, " ")+" <"+path)
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	p.WaitOutput(ctx, "ready")
	s.far.Run("ping", "-c1", "-w10", nearAddr)
	// Nothing else runs there but the holder, process 1.
	s.pid = onlyProcess(t, s.near)
	return s
}

func hexOf(t testing.TB, key string) string {
	t.Helper()
	b, err := base64.StdEncoding.DecodeString(key)
	if err != nil {
		t.Fatal(err)
	}
	return hex.EncodeToString(b)
}

func (s *stackEnd) dial(port string) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	return s.far.Dial(ctx, "tcp", net.JoinHostPort(nearAddr, port))
}

// bulk is one measurement: of what passes between the first second and the last.
func (s *stackEnd) bulk(t testing.TB, w stackWorkload, seconds int) Sample {
	t.Helper()
	var wg sync.WaitGroup
	var count counter
	var open []net.Conn
	for range w.conns {
		c, err := s.dial(w.port)
		if err != nil {
			t.Fatalf("%s: %v", w.name, err)
		}
		open = append(open, c)
		wg.Go(func() {
			// It ends when the connection is closed.
			buf := make([]byte, 256<<10)
			if w.sends {
				_, _ = io.CopyBuffer(&count, struct{ io.Reader }{c}, buf)
			} else {
				_, _ = io.CopyBuffer(io.MultiWriter(c, &count), forever{}, buf)
			}
		})
	}
	time.Sleep(time.Second)
	bytes, cpu, start := count.value(), s.cpu(t), time.Now()
	time.Sleep(time.Duration(seconds) * time.Second)
	m := Sample{Workload: w.name, Bytes: count.value() - bytes, CPU: s.cpu(t) - cpu, Seconds: time.Since(start).Seconds()}
	for _, c := range open {
		_ = c.Close() // nobody is waiting
	}
	wg.Wait()
	if m.Bytes == 0 {
		t.Fatalf("%s: nothing passed", w.name)
	}
	return m
}

// counter counts what is written to it.
type counter struct {
	mu sync.Mutex
	n  float64 // guarded by mu
}

func (c *counter) Write(b []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.n += float64(len(b))
	return len(b), nil
}

func (c *counter) value() float64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.n
}

// forever reads as full buffers of what is in them.
type forever struct{}

func (forever) Read(b []byte) (int, error) { return len(b), nil }

func (s *stackEnd) cpu(t testing.TB) (seconds float64) {
	t.Helper()
	return cpuSeconds(t, []daemon{{host: s.near, pids: []int{s.pid}}})
}

// resident returns the memory of the stack's process in bytes.
func (s *stackEnd) resident(t testing.TB) float64 {
	t.Helper()
	for line := range strings.Lines(s.near.ReadFile(fmt.Sprintf("/proc/%d/status", s.pid))) {
		if rest, ok := strings.CutPrefix(line, "VmRSS:"); ok {
			kb, err := strconv.ParseFloat(strings.Fields(rest)[0], 64)
			if err != nil {
				t.Fatal(err)
			}
			return kb * 1024
		}
	}
	t.Fatal("no VmRSS")
	return 0
}

func onlyProcess(t testing.TB, h *lab.Host) (pid int) {
	t.Helper()
	err := h.Do(func() error {
		entries, err := os.ReadDir("/proc")
		for _, e := range entries {
			if n, err := strconv.Atoi(e.Name()); err == nil && n != 1 {
				pid = max(pid, n)
			}
		}
		return err
	})
	if err != nil || pid == 0 {
		t.Fatalf("find the program on %s: %v", h.Name(), err)
	}
	return pid
}
