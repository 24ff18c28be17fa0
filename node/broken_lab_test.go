//go:build linux

package node

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/wgnode/wgnode/node/config"
	"github.com/wgnode/wgnode/node/internal/nftables"
	"github.com/wgnode/wgnode/node/internal/rule"
	"github.com/wgnode/wgnode/node/lab"
	"github.com/wgnode/wgnode/node/link"
	"github.com/wgnode/wgnode/node/plan"
	"github.com/wgnode/wgnode/node/resolver"
)

// These tests break off a node at each of its steps, and look whether the host
// is as before afterwards.

const (
	breakEnv = "WGNODE_TEST_BREAK" // "MANNER STEP": makes this process a node

	fails        = "fails"
	killedBefore = "killed-before"
	killedAfter  = "killed-after"
	unbroken     = "unbroken"
)

func TestMain(m *testing.M) {
	if manner, step, ok := strings.Cut(os.Getenv(breakEnv), " "); ok {
		beBroken(manner, step)
	}
	os.Exit(m.Run())
}

// beBroken brings wg0 up, if it gets that far, and takes it down again.
func beBroken(manner, step string) {
	n, err := func() (*Node, error) {
		at, err := strconv.Atoi(step)
		if err != nil {
			return nil, err
		}
		cfg, err := config.Load("/etc/wireguard/wg0.conf")
		if err != nil {
			return nil, err
		}
		n := newNode(cfg, Options{}, kernelTUN{})
		b := &breaker{manner: manner, at: at}
		n.runner.Kernel, n.runner.Device = brokenKernel{n.runner.Kernel, b}, brokenDevice{n.runner.Device, b}
		err = errors.Join(n.up(context.Background()), n.Close())
		fmt.Println("steps:", b.steps)
		return n, err
	}()
	if err != nil {
		fmt.Println(n.Name(), err)
		os.Exit(1)
	}
	os.Exit(0)
}

// errBroken is why a step fails.
var errBroken = errors.New("broken for the test")

// breaker counts steps, and breaks one of them.
type breaker struct {
	manner    string
	at, steps int
}

func (b *breaker) step(do func() error) error {
	b.steps++
	if b.steps != b.at {
		return do()
	}
	switch b.manner {
	case fails:
		return errBroken
	case killedBefore:
		_ = unix.Kill(os.Getpid(), unix.SIGKILL)
	}
	err := do()
	if b.manner == killedAfter {
		_ = unix.Kill(os.Getpid(), unix.SIGKILL)
	}
	return err
}

type brokenDevice struct {
	plan.Device
	b *breaker
}

func (d brokenDevice) Create(ctx context.Context, name string) error {
	return d.b.step(func() error { return d.Device.Create(ctx, name) })
}

func (d brokenDevice) Configure(ctx context.Context, mark uint32) error {
	return d.b.step(func() error { return d.Device.Configure(ctx, mark) })
}

type brokenKernel struct {
	plan.Kernel
	b *breaker
}

func (k brokenKernel) SetUp(l link.Link, mtu int) error {
	return k.b.step(func() error { return k.Kernel.SetUp(l, mtu) })
}

func (k brokenKernel) AddAddress(l link.Link, p netip.Prefix) error {
	return k.b.step(func() error { return k.Kernel.AddAddress(l, p) })
}

func (k brokenKernel) AddRoute(l link.Link, p netip.Prefix, table int) error {
	return k.b.step(func() error { return k.Kernel.AddRoute(l, p, table) })
}

func (k brokenKernel) AddRule(r rule.Rule) error {
	return k.b.step(func() error { return k.Kernel.AddRule(r) })
}

func (k brokenKernel) AddFirewall(l link.Link, t nftables.Table) error {
	return k.b.step(func() error { return k.Kernel.AddFirewall(l, t) })
}

// SetSysctl is a step where it sets what the node needs, and not the undoing of one.
func (k brokenKernel) SetSysctl(name, value string) error {
	if value == "0" {
		return k.Kernel.SetSysctl(name, value)
	}
	return k.b.step(func() error { return k.Kernel.SetSysctl(name, value) })
}

func (k brokenKernel) SetDNS(ctx context.Context, l link.Link, c resolver.Change) error {
	return k.b.step(func() error { return k.Kernel.SetDNS(ctx, l, c) })
}

// full has one of each kind of step, and most for both families.
const full = `[Interface]
PrivateKey = SSSSSSSSSSSSSSSSSSSSSSSSSSSSSSSSSSSSSSSSSSU=
ListenPort = 51821
Address = 10.0.0.1/24, fd0a::1/64
DNS = 10.0.0.53, corp.example
[Peer]
PublicKey = AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAE=
Endpoint = 198.51.100.1:51820
AllowedIPs = 0.0.0.0/0, ::/0, 10.7.0.0/16
`

// brokenHost is a host that has full, a way out, and resolv.conf.
type brokenHost struct {
	*lab.Host
	wgnode, self string
}

func newBrokenHost(t *testing.T) *brokenHost {
	lab.Need(t, "curl", "ip", "nft", "sysctl")
	l := lab.New(t)
	a, r := l.Host("a"), l.Host("r")
	l.Link(a.End("eth0", "10.9.1.2/24", "fd00:9:1::2/64"), r.End("eth0", "10.9.1.1/24", "fd00:9:1::1/64"))
	r.Run("sh", "-c", "ip address add 198.51.100.1/32 dev lo; ip address add 2001:db8:1::1/128 dev lo nodad")
	r.ServeHTTP("198.51.100.1:80", "reachable")
	r.ServeHTTP("[2001:db8:1::1]:80", ", in both families")
	a.Route("default", "10.9.1.1")
	a.Route("default", "fd00:9:1::1")
	// Without a resolvconf that the machine may have.
	a.Run("sh", "-c", "mkdir /run/bin; for p in bash sh; do ln -s $(command -v $p) /run/bin/; done")
	a.WriteFile("/etc/resolv.conf", "nameserver 10.9.1.1\n", 0o644)
	a.WriteFile("/etc/wireguard/wg0.conf", full, 0o600)
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return &brokenHost{a, lab.Wgnode(t), self}
}

// wgnodes runs the program, which may fail.
func (h *brokenHost) program(args ...string) string {
	out, status, err := h.Try(append([]string{"env", "PATH=/run/bin", h.wgnode}, args...)...)
	return fmt.Sprintf("%s: status %d, %v\n%s", args, status, err, out)
}

// node brings wg0 up and breaks off; it returns what it says.
func (h *brokenHost) node(manner string, step int) string {
	out, status, err := h.Try("env", "PATH=/run/bin", fmt.Sprintf("%s=%s %d", breakEnv, manner, step), h.self)
	return fmt.Sprintf("status %d, %v\n%s", status, err, out)
}

var madeUp = regexp.MustCompile(` (tentative|expires \w+)`)

// state is all that a node changes on a host, and whether others can be
// reached.
func (h *brokenHost) state() string {
	text := h.Run("sh", "-c", `
		ip address; ip route show table all; ip -6 route show table all; ip rule; ip -6 rule; nft list ruleset
		sysctl net.ipv4.conf.all.src_valid_mark
		find /run/wgnode /run/wireguard -mindepth 1 2>/dev/null
		ls -A /etc; cat /etc/resolv.conf
		curl -sSm5 http://198.51.100.1 http://[2001:db8:1::1]`)
	return madeUp.ReplaceAllString(text, "")
}

func TestBrokenOff(t *testing.T) {
	for _, manner := range []string{fails, killedBefore, killedAfter} {
		t.Run(manner, func(t *testing.T) {
			t.Parallel()
			h := newBrokenHost(t)
			before := h.state()
			if !strings.HasSuffix(before, "reachable, in both families") {
				t.Fatalf("before:\n%s", before)
			}
			said := h.node(unbroken, 0)
			_, count, _ := strings.Cut(said, "steps: ")
			steps, err := strconv.Atoi(strings.TrimSpace(count))
			if err != nil || steps < 14 {
				t.Fatalf("%d steps: %v\n%s", steps, err, said)
			}
			unchanged := func(step int, said string) {
				t.Helper()
				if diff := cmp.Diff(before, h.state()); diff != "" {
					t.Errorf("step %d %s, left behind:\n%s\n%s", step, manner, diff, said)
				}
			}
			unchanged(0, said)
			for step := 1; step <= steps; step++ {
				said := h.node(manner, step)
				if manner == fails {
					if !strings.Contains(said, "status 1, <nil>") || !strings.Contains(said, errBroken.Error()) {
						t.Errorf("step %d: %s", step, said)
					}
					unchanged(step, said)
					continue
				}
				if !strings.Contains(said, "signal: killed") {
					t.Errorf("step %d: %s", step, said)
				}
				unchanged(step, said+h.program("down", "wg0"))

				said += h.node(manner, step) + h.program("up", "wg0")
				if !strings.Contains(said, "[up wg0]: status 0") {
					t.Errorf("step %d %s, then\n%s", step, manner, said)
				}
				unchanged(step, said+h.program("down", "wg0"))
			}
		})
	}
}
