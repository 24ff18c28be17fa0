// Package kernelnode has WireGuard devices of the kernel's answer as nodes do. Such a device has no
// process that could be asked, so somebody serves it: whoever looks at it serves it to itself
// ([Dial]), or a monitor serves all that there are to everybody, and keeps their past ([Monitor]).
// Nothing about a device is changed.
//
// The handlers are those of package control; what they are given is a device as package
// kerneltunnel looks at one.
package kernelnode

import (
	"log/slog"
	"os/exec"

	"github.com/wgnode/wgnode/node/exporter"
	"github.com/wgnode/wgnode/node/rundir"
	"github.com/wgnode/wgnode/probe"
)

// Options say how a WireGuard device of the kernel's is looked at.
type Options struct {
	// Sender returns a command that runs [sender.Pass]; nil: no probe is sent as another process.
	Sender func() *exec.Cmd
	// RecorderBytes is the memory of the flight recorder; probe.DefaultRecorderBytes if 0.
	RecorderBytes int
	// Logger gets what happens meanwhile. Nil is for none.
	Logger *slog.Logger
	// RunDir is the folder below which a monitor has its sockets; [rundir.Default] if empty.
	RunDir string
}

func (o *Options) settle() {
	if o.RecorderBytes == 0 {
		o.RecorderBytes = probe.DefaultRecorderBytes
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.RunDir == "" {
		o.RunDir = rundir.Default()
	}
}

// MonitorOptions say which devices of the kernel's are looked at, and how.
type MonitorOptions struct {
	Options
	// Names are those of the devices, which need not be there yet. None: all that there are.
	Names []string
	// Metrics is where they are shown to Prometheus; the zero Listen: nowhere. MetricsHosts are
	// names under which it may be asked besides those of loopback.
	Metrics      exporter.Place
	MetricsHosts []string
	// Ready is called once those are looked at that are there at the beginning. It may be nil.
	Ready func() error
}

// ReadOnlyError: a device of the kernel's was asked for what only a node does.
type ReadOnlyError struct{ Name string }

func (e *ReadOnlyError) Error() string {
	return e.Name + " is a WireGuard device of the kernel's: it can be looked at, and is not wgnode's to change"
}
