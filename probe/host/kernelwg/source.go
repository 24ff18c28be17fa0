//go:build linux

package kernelwg

import (
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/wgnode/wgnode/probe"
	"github.com/wgnode/wgnode/probe/host/bpf"
)

// Options say which device is watched.
type Options struct {
	Device    uint32 // its index
	Namespace uint32 // the inode number of the network namespace that it is in
	Port      uint16 // of its encrypted packets, 0: none yet, and nothing can be captured
	// Recorder takes the events.
	Recorder *probe.Recorder
	// Saw is told of each as it is recorded, by the goroutines of the source, and at which
	// level that watches. It must not keep the pointer. It may be nil.
	Saw func(probe.Level, *probe.Event)
	// Read reads the device once more. It may be nil, and is called by the goroutines of the
	// source.
	Read func() (*Device, error)
	// Flows tell which side began a flow. nil: own ones.
	Flows *probe.Flows
}

// log is where events are written to.
type log struct {
	*probe.Recorder
	level probe.Level
	saw   func(probe.Level, *probe.Event)
}

func (o *Options) log(level probe.Level) log { return log{o.Recorder, level, o.Saw} }

// Record records an event, and has others see it.
func (l log) Record(lane probe.Lane, e *probe.Event) uint64 {
	seq := l.Recorder.Record(lane, e)
	if l.saw != nil {
		l.saw(l.level, e)
	}
	return seq
}

// Source records events of a device until it is closed. Its methods can be called by
// several goroutines.
type Source interface {
	// Level is how much the events say.
	Level() probe.Level
	// Peers are those that events have named.
	Peers() *Peers
	// Know takes in what the kernel has told of the device. From then on events name
	// the prefix of the AllowedIPs that has matched; below level exact, the peer.
	Know(*Device)
	// Lost is how much of what the kernel had to tell found no room so far: of each, an
	// event is missing, or lacks something.
	Lost() (uint64, error)
	// Sync returns when all that has happened so far is recorded, or ctx ends.
	Sync(ctx context.Context)
	// Close ends the watch. It may be called again.
	Close() error
}

// Start begins to watch at the highest level that this host allows, in the network namespace
// of the calling thread, which must be the device's. less says why that is not exact, nil if
// it is. Close ends the watch.
func Start(opt Options) (s Source, less, err error) {
	if opt.Flows == nil {
		opt.Flows = probe.NewFlows(probe.DefaultFlows)
	}
	s, err = withRefusals(opt, func(opt *Options) (s Source, err error) {
		s, less, err = startHighest(opt)
		return s, err
	})
	return s, less, err
}

// startHighest begins to watch at the highest level that this host allows.
func startHighest(opt *Options) (s Source, less, err error) {
	f, less := startFunctions(opt)
	if less == nil {
		return f, nil, nil
	}
	less = fmt.Errorf("level %s is not possible: %w", probe.LevelExact, less)
	h, err := startHalf(opt)
	if err == nil {
		return h, less, nil
	}
	less = fmt.Errorf("%w; level %s is not possible: %w", less, probe.LevelHalf, err)
	c, err := startCapture(opt, true)
	if err != nil {
		return nil, nil, fmt.Errorf("%w; level %s is not possible: %w", less, probe.LevelCapture, err)
	}
	return c, less, nil
}

// StartAt is Start at one level, and no other.
func StartAt(level probe.Level, opt Options) (Source, error) {
	if opt.Flows == nil {
		opt.Flows = probe.NewFlows(probe.DefaultFlows)
	}
	s, err := withRefusals(opt, func(opt *Options) (Source, error) {
		switch level {
		case probe.LevelExact:
			return startFunctions(opt)
		case probe.LevelCapture:
			return startCapture(opt, true)
		case probe.LevelHalf:
			return startHalf(opt)
		}
		return nil, errors.New("there is no such level of a kernel device")
	})
	if err != nil {
		return nil, fmt.Errorf("level %s is not possible: %w", level, err)
	}
	return s, nil
}

// Possible says which level this host allows for a device of the kernel's, as far as is known
// before it is tried, and, where that is not exact, why not.
func Possible() (probe.Level, error) {
	err := exact()
	if err == nil {
		return probe.LevelExact, nil
	}
	err = fmt.Errorf("level %s is not possible: %w", probe.LevelExact, err)
	if less := bpf.Available(); less != nil {
		return probe.LevelCapture, fmt.Errorf("%w; level %s is not possible: %w", err, probe.LevelHalf, less)
	}
	return probe.LevelHalf, err
}

// exact says what keeps this process from watching at level exact, nil if nothing is known to.
func exact() error {
	if _, err := os.Stat("/sys/module/" + module); err != nil {
		return ErrModule
	}
	if err := bpf.Available(); err != nil {
		if errors.Is(err, bpf.ErrTypes) {
			return fmt.Errorf("%w: %w", ErrTypes, err)
		}
		return err
	}
	if _, err := os.Stat("/sys/kernel/btf/" + module); err != nil {
		if builtin() {
			return nil // its types are the kernel's
		}
		return ErrTypes
	}
	return nil
}

// builtin reports whether WireGuard is no module of this kernel's but a part of it.
func builtin() bool {
	_, err := os.Stat("/sys/module/" + module + "/initstate") // that modules have
	return err != nil
}
