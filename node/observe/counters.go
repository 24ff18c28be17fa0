//go:build linux

package observe

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/wgnode/wgnode/probe/evidence"
)

// counters is the source of what the kernel counts instead of saying: packets that it
// drops where no hook of netfilter sees it. It reads the counters of the network
// namespace that it is started in when it starts, and every so often from then on.
type counters struct {
	dir    string // where the kernel shows a namespace's counters
	files  []*os.File
	before map[string]uint64 // by name; nil before the first Start
	to     chan Observation
	marks  chan int64 // that are asked for; room for one
	stop   context.CancelFunc
	done   chan struct{}

	mu     sync.Mutex
	unseen []string // guarded by mu
}

// counted are the files of counters, and which of their counters are heeded: those
// whose name begins with name.
var counted = []struct {
	file, name string
	what       string // that is not known without them; "": nothing
}{
	{file: "xfrm_stat", name: "Xfrm", what: "which packets IPsec refuses"},
	{file: "snmp", name: "UdpRcvbufErrors", what: "which datagrams found no room in a socket's buffer"},
	{file: "snmp6", name: "Udp6RcvbufErrors"}, // missing without IPv6
	{file: "netstat", name: "TcpExtIPReversePathFilter", what: "which packets rp_filter drops"},
}

// The counters are read every countEvery, and when they have been watched for long, as for
// a recording, down to every countSeldom.
const (
	countEvery  = 100 * time.Millisecond
	countSeldom = time.Second
)

// newCounters returns the source for the network namespace of the thread that starts it.
func newCounters() Source {
	return &counters{dir: "/proc/thread-self/net", to: make(chan Observation), marks: make(chan int64, 1)}
}

// Start begins to count. Which packets are selected makes no difference, so that the
// counts of an earlier Start go on. What this kernel does not count is no error.
func (c *counters) Start(ctx context.Context, _ Selection) error {
	c.end()
	if c.before == nil {
		c.open()
	}
	ctx, c.stop = context.WithCancel(ctx)
	c.done = make(chan struct{})
	go c.watch(ctx)
	return nil
}

// open opens the files, each of which stays that of its namespace, and reads the counters
// for the first time.
func (c *counters) open() {
	c.before = make(map[string]uint64)
	for _, k := range counted {
		f, err := os.Open(c.dir + "/" + k.file)
		if err == nil {
			n := len(c.before)
			if err = parseFile(f, c.before); err == nil && len(c.before) == n {
				err = fs.ErrNotExist // the file, but not the counter
			}
			if err == nil {
				c.files = append(c.files, f)
			} else {
				_ = f.Close() // nothing was written
			}
		}
		switch {
		case err == nil, k.what == "" && errors.Is(err, fs.ErrNotExist):
		case errors.Is(err, fs.ErrNotExist):
			c.miss("%s: this kernel does not count them (no %s in /proc/net/%s)", k.what, k.name, k.file)
		default:
			c.miss("%s: %v", k.what, err)
		}
	}
}

func (c *counters) miss(format string, args ...any) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.unseen = append(c.unseen, fmt.Sprintf(format, args...))
}

// read reads all counters.
func (c *counters) read() (map[string]uint64, error) {
	now := make(map[string]uint64)
	for _, f := range c.files {
		if err := parseFile(f, now); err != nil {
			return nil, err
		}
	}
	return now, nil
}

func parseFile(f *os.File, now map[string]uint64) error {
	if err := parseCounters(io.NewSectionReader(f, 0, 1<<20), now); err != nil {
		return fmt.Errorf("read counters of %s: %w", f.Name(), err)
	}
	return nil
}

// parseCounters reads counters into now: lines of a name and a number, or pairs of lines of
// names and of numbers, both after the name of a group.
func parseCounters(r io.Reader, now map[string]uint64) error {
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, 1<<16)
	var names []string // of the pair that has begun
	for lines.Scan() {
		words := strings.Fields(lines.Text())
		switch {
		case len(words) == 2 && !strings.HasSuffix(words[0], ":"):
			count(now, words[0], words[1])
		case len(names) == len(words) && len(words) > 0 && names[0] == words[0]:
			group := strings.TrimSuffix(words[0], ":")
			for i, name := range names[1:] {
				count(now, group+name, words[i+1])
			}
			names = nil
		default:
			names = words
		}
	}
	return lines.Err()
}

func count(now map[string]uint64, name, value string) {
	for _, k := range counted {
		if strings.HasPrefix(name, k.name) {
			if n, err := strconv.ParseUint(value, 10, 64); err == nil {
				now[name] = n
			}
		}
	}
}

// watch delivers all counters that have risen, each time that one does.
func (c *counters) watch(ctx context.Context) {
	defer close(c.done)
	began := time.Now()
	wait := time.NewTimer(countEvery)
	defer wait.Stop()
	var told []evidence.Counter
	for {
		var mark int64
		select {
		case <-ctx.Done():
			return
		case mark = <-c.marks:
		case <-wait.C:
			wait.Reset(min(max(countEvery, time.Since(began)/50), countSeldom))
		}
		now, err := c.read()
		if err != nil {
			c.miss("what the kernel counts: %v", err)
			return
		}
		if risen := c.risen(now); !slices.Equal(risen, told) {
			if !deliver(ctx, c.to, Observation{Counters: risen}) {
				return
			}
			told = risen
		}
		if mark != 0 && !deliver(ctx, c.to, Observation{mark: mark}) {
			return
		}
	}
}

// deliver delivers an observation, unless ctx ends first.
func deliver(ctx context.Context, to chan<- Observation, o Observation) bool {
	select {
	case to <- o:
		return true
	case <-ctx.Done():
		return false
	}
}

// Sync implements [Syncer].
func (c *counters) Sync(mark int64) bool {
	if c.stop == nil {
		return false
	}
	select {
	case <-c.done: // the counters cannot be read
		return false
	case <-c.marks: // one that is not waited for any more
	default:
	}
	c.marks <- mark
	return true
}

// risen are the counters that are higher than before, by name.
func (c *counters) risen(now map[string]uint64) []evidence.Counter {
	var all []evidence.Counter
	for name, n := range now {
		if before, ok := c.before[name]; ok && n > before {
			all = append(all, evidence.Counter{Name: name, Before: before, After: n})
		}
	}
	slices.SortFunc(all, func(a, b evidence.Counter) int { return strings.Compare(a.Name, b.Name) })
	return all
}

// Observations implements [Source].
func (c *counters) Observations() <-chan Observation { return c.to }

// Unseen says what this kernel does not count.
func (c *counters) Unseen() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.unseen)
}

// Close ends the source.
func (c *counters) Close() error {
	c.end()
	var errs []error
	for _, f := range c.files {
		errs = append(errs, f.Close())
	}
	return errors.Join(errs...)
}

func (c *counters) end() {
	if c.stop != nil {
		c.stop()
		<-c.done
		c.stop = nil
	}
}
