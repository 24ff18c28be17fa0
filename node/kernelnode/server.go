//go:build linux

package kernelnode

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"os"

	"github.com/wgnode/wgnode/node/control"
	"github.com/wgnode/wgnode/node/explain"
	"github.com/wgnode/wgnode/node/internal/address"
	"github.com/wgnode/wgnode/node/internal/burst"
	"github.com/wgnode/wgnode/node/kerneltunnel"
	"github.com/wgnode/wgnode/probe/host/kernelwg"
)

// server serves one device of the kernel's.
type server struct {
	t      *kerneltunnel.Tunnel
	keeper *explain.Keeper
	mux    *http.ServeMux
	log    *slog.Logger
}

// open begins to look at a device.
func open(name string, o *Options) (*server, error) {
	t, err := kerneltunnel.OpenSized(name, o.RecorderBytes)
	if err != nil {
		return nil, err
	}
	t.Sender = o.Sender
	s := &server{t, explain.NewKeeper(t.Subject, t.Settle), http.NewServeMux(), o.Logger}
	control.Handle(s.mux, looked{t, s.keeper}, o.Logger)
	for _, what := range []string{"reload", "end", "connect"} {
		s.mux.HandleFunc("POST /v1/"+what, s.refuse)
	}
	return s, nil
}

func (s *server) refuse(w http.ResponseWriter, _ *http.Request) {
	control.Refuse(w, http.StatusConflict, &ReadOnlyError{s.t.Name()})
}

// serve answers those who connect to l until ctx ends or the device goes away, and then looks at it
// no longer.
func (s *server) serve(ctx context.Context, l net.Listener) error {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	err := s.whileThere(ctx, func(ctx context.Context) error { return control.Serve(ctx, s.mux, l) })
	s.keeper.Close()
	err = errors.Join(err, s.t.Close())
	if err != nil {
		return fmt.Errorf("serve %s: %w", s.t.Name(), err)
	}
	return nil
}

// whileThere calls fn with a context that ends with ctx, and with the device.
func (s *server) whileThere(ctx context.Context, fn func(context.Context) error) error {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	watcher, changed, err := burst.Links()
	if err != nil {
		return err
	}
	ended := make(chan error, 1)
	go func() { ended <- fn(ctx) }()
	for {
		if !thereIs(s.t.Index()) {
			stop()
		}
		select {
		case err := <-ended:
			return errors.Join(err, watcher.Close())
		case <-changed:
		}
	}
}

// looked is a device as package control serves it.
type looked struct {
	*kerneltunnel.Tunnel
	keeper *explain.Keeper
}

func (l looked) Keeper() *explain.Keeper { return l.keeper }

var _ control.Served = looked{}

// Status says what is known of the device. What it does not know of packets it does not say:
// such are the counts of what was dropped.
func (l looked) Status() (*control.Status, error) {
	device, err := l.Tunnel.Status()
	if err != nil {
		return nil, err
	}
	r := l.Recorder()
	s := &control.Status{Interface: l.Name(), Config: l.Config(), PID: os.Getpid(), Level: l.Level(),
		PublicKey: device.PublicKey, ListenPort: device.ListenPort, Peers: []control.PeerStatus{}}
	s.Counters.Recorded, s.Counters.Unrecorded = r.Recorded(), r.Lost()+l.Unseen()
	if less := l.Less(); less != nil {
		s.Less = less.Error()
	}
	said := device.ByKey()
	for _, p := range l.Peers() {
		one := control.PeerStatus{PublicKey: p.Key, Name: p.Name, Configured: p.Configured, Endpoint: p.Endpoint,
			Handshake: p.Established, Drops: make(map[string]uint64)}
		for reason, count := range p.Drops {
			one.Drops[reason.String()] = count
		}
		if is := said[p.Key]; is != nil {
			one.AllowedIPs = is.AllowedIPs
		}
		s.Peers = append(s.Peers, one)
	}
	return s, nil
}

func (looked) Addresses() []netip.Addr { return address.OfHost() }

func (l looked) Unseen() uint64 { return l.Lost() }

// Tap keeps nothing: what the kernel shows of packets is taken in, not kept.
func (looked) Tap(int) control.Tap { return control.NoTap{} }

var errKeys = errors.New("the keys of the kernel's WireGuard are not read: nothing can be decrypted")

func (looked) Keys() (control.Keys, error) { return nil, errKeys }

// thereIs reports whether the kernel has the device with a number, here. Where that cannot be
// told it is taken to.
func thereIs(index uint32) bool {
	links, err := kernelwg.Links()
	if err != nil {
		return true
	}
	for _, l := range links {
		if l.Index == index {
			return true
		}
	}
	return false
}
