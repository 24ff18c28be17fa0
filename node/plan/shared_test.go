package plan

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/wgnode/wgnode/node/config"
	"github.com/wgnode/wgnode/node/link"
)

const (
	lanForwarding = "net.ipv4.conf.lan.forwarding"
	wanRA         = "net.ipv6.conf.wan.accept_ra"
	redirects     = "net.ipv4.conf.all.accept_redirects"
)

// parameterKernel has parameters only, and does with those of forwarding what
// Linux does (inet_forward_change and addrconf_fixup_forwarding).
type parameterKernel struct {
	Kernel
	values map[string]string
}

func (k parameterKernel) Sysctl(name string) (string, error) { return k.values[name], nil }
func (k parameterKernel) MarkedRule() (string, error)        { return "", nil }

func (k parameterKernel) SetSysctl(name, value string) error {
	if name == forward4 && value != k.values[name] {
		k.values[lanForwarding] = value
		k.values[redirects] = map[string]string{"0": "1", "1": "0"}[value]
	}
	k.values[name] = value
	return nil
}

// state is what [Gather] would find.
func (k parameterKernel) state() State {
	s := plainHost
	s.Default.SrcValidMark = k.values[srcValidMark] == "1"
	s.Forward = ForwardState{V4: Forwarding{On: k.values[forward4] == "1"}, V6: Forwarding{On: k.values[forward6] == "1"}}
	if k.values[wanRA] == "1" {
		s.Forward.Routers = []Router{{"wan", "fe80::1"}}
	}
	for name, value := range map[string]string{lanForwarding: "1", redirects: "0"} {
		if k.values[name] == value && !s.Forward.V4.On {
			s.Forward.V4.Keep = append(s.Forward.V4.Keep, Sysctl{name, value})
		}
	}
	return s
}

// crowd are nodes that share a kernel's parameters.
type crowd struct {
	t      *testing.T
	dir    string
	kernel parameterKernel
	cfg    *config.Config
	alive  map[string]*Journal
}

func (c *crowd) path(name string) string { return filepath.Join(c.dir, name+".json") }

// do has something happen to a node: u(p), d(own), k(ill), r(ecover).
func (c *crowd) do(what byte, name string) {
	c.t.Helper()
	var err error
	switch j := c.alive[name]; what {
	case 'u':
		if j, err := OpenJournal(c.path(name)); err == nil {
			c.end(j) // a dead one's
		}
		c.alive[name] = c.up(name)
	case 'd':
		delete(c.alive, name)
		c.end(j)
	case 'k':
		delete(c.alive, name)
		j.Process = Process{PID: 1, Start: 1 << 60}
		err = j.replace(j.Steps)
	case 'r':
		if j, err = OpenJournal(c.path(name)); err == nil {
			c.end(j)
		}
	}
	if err != nil {
		c.t.Fatal(err)
	}
}

func (c *crowd) up(name string) *Journal {
	cfg := *c.cfg
	cfg.Name = name
	steps, err := Build(&cfg, c.kernel.state())
	if err != nil {
		c.t.Fatal(err)
	}
	j, err := CreateJournal(c.path(name), name, "")
	if err == nil {
		steps, err = j.inherit(slices.DeleteFunc(steps, func(s Step) bool { return !operations[s.Op].shared }))
	}
	r := (&Runner{Kernel: c.kernel}).on(j)
	for _, s := range steps {
		if err == nil {
			err = j.begin(s)
		}
		if err == nil {
			err = r.do(c.t.Context(), s, nil)
		}
	}
	if err != nil {
		c.t.Fatal(err)
	}
	return j
}

func (c *crowd) end(j *Journal) {
	r := (&Runner{Kernel: c.kernel}).on(j)
	for _, s := range slices.Backward(j.Steps) {
		if err := r.undo(s, link.Link{Name: j.Link}); err != nil && !gone(err) && !leftAlone(err) {
			c.t.Fatal(err)
		}
	}
	if err := j.keep(nil); err != nil {
		c.t.Fatal(err)
	}
}

// orders are the ways in which the lives of nodes, a letter for each event, can
// be mixed: each is a list of events and names, such as "ua ub da db".
func orders(lives map[string]string) (all [][]string) {
	done := true
	for _, name := range slices.Sorted(maps.Keys(lives)) {
		life := lives[name]
		if life == "" {
			continue
		}
		done = false
		rest := maps.Clone(lives)
		rest[name] = life[1:]
		for _, order := range orders(rest) {
			all = append(all, append([]string{life[:1] + name}, order...))
		}
	}
	if done {
		return [][]string{nil}
	}
	return all
}

func newCrowd(t *testing.T, cfg *config.Config, initial map[string]string) *crowd {
	return &crowd{t, inMemory(t), parameterKernel{values: maps.Clone(initial)}, cfg, make(map[string]*Journal)}
}

// inMemory is a temporary folder, in memory as /run is where the host has that:
// each change waits for the disk.
func inMemory(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("/dev/shm", "wgnode-test-")
	if err != nil {
		return t.TempDir()
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	return dir
}

// run has all of it happen, and wants meanwhile what those that live need.
func (c *crowd) run(order []string) {
	c.t.Helper()
	for i, event := range order {
		if name, value, ok := strings.Cut(event, "="); ok {
			if err := c.kernel.SetSysctl(name, value); err != nil {
				c.t.Fatal(err)
			}
			continue
		}
		c.do(event[0], event[1:])
		if len(c.alive) == 0 || event[0] != 'u' {
			continue
		}
		for _, name := range []string{srcValidMark, forward4, forward6} {
			if got := c.kernel.values[name]; got != "1" {
				c.t.Errorf("%v: after %v %s is %s", order, order[:i+1], name, got)
			}
		}
		if got := c.kernel.values[wanRA]; got != "2" {
			c.t.Errorf("%v: after %v a default route is lost: accept_ra is %s", order, order[:i+1], got)
		}
	}
}

// Whatever the order in which nodes come up, go down, are killed and recovered,
// the last one leaves what the first one found, and no file.
func TestParametersInAnyOrder(t *testing.T) {
	cfg := beyond(t, "Address = 10.0.0.1/24, fd00::1/64", "AllowedIPs = 0.0.0.0/0", func(i *config.Interface) { i.Forward = true })
	initial := map[string]string{srcValidMark: "0", forward4: "0", forward6: "0", lanForwarding: "1", redirects: "0", wanRA: "1"}
	lives := []string{"ud", "ukr", "ukud"}
	var all [][]string
	for _, a := range lives {
		for _, b := range lives {
			all = append(all, orders(map[string]string{"a": a, "b": b})...)
		}
	}
	all = append(all, orders(map[string]string{"a": "ud", "b": "ud", "c": "ud"})...)
	all = append(all, orders(map[string]string{"a": "ukr", "b": "ud", "c": "ud"})...)
	for i, order := range all {
		if testing.Short() && i%8 != 0 {
			continue // it runs in full without the race detector
		}
		c := newCrowd(t, cfg, initial)
		c.run(order)
		if !maps.Equal(c.kernel.values, initial) {
			t.Errorf("%v leaves %v", order, c.kernel.values)
		}
		if left, err := filepath.Glob(filepath.Join(c.dir, "*")); err != nil || len(left) > 0 {
			t.Errorf("%v leaves files %v, %v", order, left, err)
		}
	}
	t.Logf("%d orders", len(all))
}

// What somebody else sets meanwhile is theirs: nobody restores anything over it,
// not even a node that has come up since and has set it again.
func TestParametersChangedByOthers(t *testing.T) {
	cfg := beyond(t, "Address = 10.0.0.1/24", "AllowedIPs = 0.0.0.0/0", func(i *config.Interface) { i.Forward = true })
	for _, test := range []struct {
		name, initial, set string
		alone              bool // it is no node's need, which another one's up would set again
	}{
		{name: srcValidMark, initial: "1", set: "0"},
		{name: forward4, initial: "1", set: "0"},
		{name: wanRA, initial: "2", set: "0", alone: true},
		{name: lanForwarding, initial: "1", set: "0", alone: true},
	} {
		for _, order := range orders(map[string]string{"a": "ud", "b": "ukr"}) {
			for at := range len(order) + 1 {
				values := map[string]string{srcValidMark: "0", forward4: "0", forward6: "1", lanForwarding: "1", redirects: "0", wanRA: "2"}
				values[test.name] = test.initial
				c := newCrowd(t, cfg, values)
				with := slices.Insert(slices.Clone(order), at, fmt.Sprintf("%s=%s", test.name, test.set))
				for _, event := range with {
					if name, value, ok := strings.Cut(event, "="); ok {
						c.kernel.values[name] = value
					} else {
						c.do(event[0], event[1:])
					}
				}
				if got := c.kernel.values[test.name]; got != test.set {
					t.Errorf("%v leaves %s=%s", with, test.name, got)
				}
			}
		}
	}
}
