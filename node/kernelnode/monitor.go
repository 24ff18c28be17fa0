//go:build linux

package kernelnode

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"os"
	"slices"
	"sync"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"golang.org/x/sys/unix"

	"github.com/wgnode/wgnode/node/exporter"
	"github.com/wgnode/wgnode/node/internal/burst"
	"github.com/wgnode/wgnode/node/internal/metrics"
	"github.com/wgnode/wgnode/node/link"
	"github.com/wgnode/wgnode/node/rundir"
	"github.com/wgnode/wgnode/node/unixsocket"
	"github.com/wgnode/wgnode/probe/host/kernelwg"
)

// monitor looks at devices as they come and go.
type monitor struct {
	MonitorOptions

	mu      sync.Mutex
	running map[string]*watchedDevice // guarded by mu where it is changed, and where others read it

	failed map[string]kernelwg.Link // those that cannot be looked at as they are
	absent map[string]string        // those of Names that are waited for, and what was said of each
	gone   chan *watchedDevice
}

// watchedDevice is a device that is looked at.
type watchedDevice struct {
	*server
	name  string
	link  kernelwg.Link
	stop  context.CancelFunc
	ended error // valid once it came out of gone
}

// Monitor looks at devices of the kernel's until ctx ends, which is no error: each one that is
// up, also one that comes later. It keeps their flight recorders, and has a control socket for
// each, which [Dial] finds. Nothing about the devices is changed. That the first ones
// cannot be looked at is an error; of later ones the log tells.
func Monitor(ctx context.Context, o MonitorOptions) error {
	o.settle()
	// Without them it would wait for devices that it cannot look at.
	var rights *link.RightsError
	if err := link.CheckRights(); errors.As(err, &rights) && errors.Is(rights.Network, unix.EPERM) {
		return fmt.Errorf("look at devices of the kernel's: %w", rights.Network)
	}
	if _, less := kernelwg.Possible(); less != nil {
		o.Logger.Warn("not all can be seen, as this host is now", "reason", less)
	}
	dir := monitorDir(o.RunDir)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("create run folder: %w", err)
	}
	if err := rundir.Check(dir); err != nil {
		return err
	}
	m := &monitor{MonitorOptions: o, running: make(map[string]*watchedDevice),
		failed: make(map[string]kernelwg.Link), absent: make(map[string]string), gone: make(chan *watchedDevice)}
	shown, err := exporter.Listen(o.Metrics)
	if err != nil {
		return err
	}
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	serving := make(chan error, 1)
	go func() { serving <- m.serveMetrics(ctx, shown) }()
	err = m.run(ctx, serving)
	stop()
	return errors.Join(err, m.end(), <-serving)
}

// run looks at devices until ctx ends or serving says why the metrics are served no more.
func (m *monitor) run(ctx context.Context, serving chan error) error {
	watcher, changed, err := burst.Links() // before the first look, so that none is missed
	if err != nil {
		return err
	}
	defer watcher.Close()
	if err := m.look(ctx); err != nil {
		return err
	}
	if m.Ready != nil {
		if err := m.Ready(); err != nil {
			return err
		}
	}
	for {
		select {
		case <-ctx.Done():
			return nil
		case err := <-serving:
			serving <- nil // for who waits for it
			return err
		case d := <-m.gone:
			m.forget(d)
		case <-changed:
			if err := m.look(ctx); err != nil {
				m.Logger.Error("not all of the kernel's devices are looked at", "error", err)
			}
		}
	}
}

// look makes what is looked at what there is to look at.
func (m *monitor) look(ctx context.Context) error {
	links, err := kernelwg.Links()
	if err != nil {
		return err
	}
	for name, d := range m.running {
		if is, ok := links[name]; !ok || is.Index != d.link.Index {
			d.stop()
			for m.running[name] == d {
				m.forget(<-m.gone)
			}
		}
	}
	m.tellAbsent(links)
	var errs []error
	for name, is := range links {
		wanted := is.Up && (len(m.Names) == 0 || slices.Contains(m.Names, name))
		if m.running[name] != nil || !wanted || m.failed[name] == is {
			continue
		}
		delete(m.failed, name)
		if err := m.begin(ctx, name, is); err != nil {
			m.failed[name] = is // until it is another
			errs = append(errs, err)
		}
	}
	for name := range m.failed {
		if is, ok := links[name]; !ok || !is.Up {
			delete(m.failed, name)
		}
	}
	return errors.Join(errs...)
}

// tellAbsent says which of the devices that were asked for are not there to be looked at, once
// for each reason.
func (m *monitor) tellAbsent(links map[string]kernelwg.Link) {
	said := func(name, text string, say func(msg string, args ...any), args ...any) {
		if was, ok := m.absent[name]; text != "" && (!ok || was != text) {
			say("waiting for a device of the kernel's", append(args, "reason", text)...)
		}
		m.absent[name] = text
	}
	if len(m.Names) == 0 {
		text := ""
		if len(links) == 0 {
			text = "there is none yet"
		}
		said("", text, m.Logger.Info)
	}
	for _, name := range m.Names {
		text := "there is none of the name"
		is, ours := links[name]
		_, err := link.ByName(name)
		switch {
		case ours && is.Up, m.running[name] != nil:
			text = ""
		case ours:
			text = "it is down"
		case err == nil:
			text = "the interface of the name is not the kernel's WireGuard"
		}
		said(name, text, m.Logger.Warn, "interface", name)
	}
}

// begin looks at a device, until that is stopped or the device goes away.
func (m *monitor) begin(ctx context.Context, name string, at kernelwg.Link) error {
	l, err := rundir.Listen(rundir.Socket(monitorDir(m.RunDir), name))
	if err != nil {
		return err
	}
	s, err := open(name, &m.Options)
	if err != nil {
		return errors.Join(err, unixsocket.Close(l))
	}
	d := &watchedDevice{server: s, name: name, link: at}
	ctx, d.stop = context.WithCancel(ctx)
	m.set(name, d)
	m.Logger.Info("looking at a device of the kernel's", "interface", name, "level", s.t.Level())
	if less := s.t.Less(); less != nil {
		m.Logger.Warn("not all can be seen", "interface", name, "level", s.t.Level(), "reason", less)
	}
	go func() {
		d.ended = s.serve(ctx, l)
		d.stop()
		m.gone <- d
	}()
	return nil
}

// set takes in who looks at a device; nil: nobody.
func (m *monitor) set(name string, d *watchedDevice) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if d == nil {
		delete(m.running, name)
		return
	}
	m.running[name] = d
}

// forget takes in that a device is looked at no more.
func (m *monitor) forget(d *watchedDevice) {
	m.set(d.name, nil)
	if d.ended != nil {
		m.Logger.Error("a device of the kernel's is not looked at any more", "interface", d.name, "error", d.ended)
		return
	}
	m.Logger.Info("a device of the kernel's is not looked at any more", "interface", d.name)
}

// end waits until nothing is looked at.
func (m *monitor) end() error {
	var errs []error
	for _, d := range m.running {
		d.stop()
	}
	for len(m.running) > 0 {
		d := <-m.gone
		m.forget(d)
		errs = append(errs, d.ended)
	}
	return errors.Join(errs...)
}

// serveMetrics answers GET /metrics until ctx ends.
func (m *monitor) serveMetrics(ctx context.Context, at *exporter.Listener) error {
	if at == nil {
		<-ctx.Done()
		return nil
	}
	registry := prometheus.NewRegistry()
	for _, c := range []prometheus.Collector{m, collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{})} {
		if err := registry.Register(c); err != nil {
			return errors.Join(err, at.Close())
		}
	}
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(registry, promhttp.HandlerOpts{MaxRequestsInFlight: exporter.Scrapes}))
	return at.Serve(ctx, mux, func(host string) bool { return slices.Contains(m.MetricsHosts, host) })
}

// Describe implements [prometheus.Collector]: what there will be is not known.
func (*monitor) Describe(chan<- *prometheus.Desc) {}

// Collect implements [prometheus.Collector].
func (m *monitor) Collect(to chan<- prometheus.Metric) {
	m.mu.Lock()
	now := maps.Clone(m.running)
	m.mu.Unlock()
	for name, d := range now {
		metrics.New(name, d.t).Collect(to)
		metrics.NewWatched(name, d.t.Level, d.t.Lost).Collect(to)
	}
}
