package running

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/wgnode/wgnode/node/control"
	"github.com/wgnode/wgnode/node/kernelnode"
	"github.com/wgnode/wgnode/probe/overview"
)

// overviewTime is how long a tunnel may take to answer, beside what it is asked to wait.
const overviewTime = 5 * time.Second

// HostOptions say how the tunnels of a host are asked.
type HostOptions struct {
	Kernel kernelnode.Options
	// Say words why a tunnel cannot be asked, and what to do about it. err is nil where what is
	// known of it says so. Nil: the error is told, and no advice.
	Say func(k *Known, err error) (why string, advice []string)
}

// Host asks the tunnels of this host what there is to see of them, as often as it is asked. It is
// safe for concurrent use.
type Host struct {
	ctx context.Context
	opt HostOptions

	mu     sync.Mutex
	kernel map[string]*askedDevice // guarded by mu
}

// askedDevice is a device of the kernel's that is watched, perhaps by this process.
type askedDevice struct {
	client *control.Client
	stop   context.CancelFunc
}

// NewHost returns a Host. Devices of the kernel's that no [kernelnode.Monitor] watches this process
// watches, from the first time that they are asked for until ctx ends.
func NewHost(ctx context.Context, o HostOptions) *Host {
	return &Host{ctx: ctx, opt: o, kernel: make(map[string]*askedDevice)}
}

// Overview asks all tunnels at once, or those of the names that are given. One that cannot be
// asked says why.
func (h *Host) Overview(ctx context.Context, names []string, req overview.Request) *overview.Overview {
	all, unseen := List()
	o := &overview.Overview{At: time.Now()}
	o.Host, _ = os.Hostname() // which is for people
	if unseen != nil {
		o.Unseen = strings.Split(unseen.Error(), "\n")
	}
	if len(names) > 0 {
		all = slices.DeleteFunc(all, func(k Known) bool { return !slices.Contains(names, k.Name) })
	}
	o.Tunnels = make([]overview.Tunnel, len(all))
	var asked sync.WaitGroup
	for i := range all {
		asked.Go(func() { o.Tunnels[i] = h.tunnel(ctx, &all[i], &req) })
	}
	asked.Wait()
	for _, name := range names {
		if !slices.ContainsFunc(all, func(k Known) bool { return k.Name == name }) {
			o.Tunnels = append(o.Tunnels, overview.Tunnel{Interface: name, State: "absent", Error: "there is no tunnel " + name})
		}
	}
	return o
}

// tunnel is what there is to see of one.
func (h *Host) tunnel(ctx context.Context, k *Known, req *overview.Request) overview.Tunnel {
	t := overview.Tunnel{Interface: k.Name, Kind: overview.KindNode, State: string(k.State), PID: k.PID, User: k.User}
	switch k.State {
	case StateRunning, StateKernel:
	case StateForeign:
		if k.RunDir == "" {
			t.Kind = "" // any program's
		}
		fallthrough
	default:
		h.say(&t, k, nil)
		return t
	}
	ctx, cancel := context.WithTimeout(ctx, overviewTime+req.Wait)
	defer cancel()
	got, err := h.ask(ctx, k, *req)
	if err != nil {
		if t.State = overview.Running; k.State == StateKernel {
			t.Kind = overview.KindKernel
		}
		h.say(&t, k, err)
		return t
	}
	return *got
}

func (h *Host) say(t *overview.Tunnel, k *Known, err error) {
	switch {
	case h.opt.Say != nil:
		var advice []string
		t.Error, advice = h.opt.Say(k, err)
		t.Advice = advice
	case err != nil:
		t.Error = err.Error()
	default:
		t.Error = fmt.Sprintf("it is %s", k.State)
	}
}

// ask asks a tunnel that can be asked.
func (h *Host) ask(ctx context.Context, k *Known, req overview.Request) (*overview.Tunnel, error) {
	if k.State == StateKernel {
		return h.askKernel(ctx, k.Name, req)
	}
	c, err := Dial(k.Name)
	if err != nil {
		return nil, err
	}
	return c.Overview(ctx, req)
}

func (h *Host) askKernel(ctx context.Context, name string, req overview.Request) (*overview.Tunnel, error) {
	d, err := h.watch(name)
	if err != nil {
		return nil, err
	}
	t, err := d.client.Overview(ctx, req)
	if err != nil && ctx.Err() == nil {
		// The device, or its monitor, has gone: there may be another by now.
		h.mu.Lock()
		if h.kernel[name] == d {
			delete(h.kernel, name)
		}
		h.mu.Unlock()
		d.stop()
	}
	return t, err
}

// watch has a device watched.
func (h *Host) watch(name string) (*askedDevice, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if d := h.kernel[name]; d != nil {
		return d, nil
	}
	if err := h.ctx.Err(); err != nil {
		return nil, err
	}
	ctx, stop := context.WithCancel(h.ctx)
	c, err := kernelnode.Dial(ctx, name, h.opt.Kernel)
	if err != nil {
		stop()
		return nil, err
	}
	d := &askedDevice{c, stop}
	h.kernel[name] = d
	return d, nil
}
