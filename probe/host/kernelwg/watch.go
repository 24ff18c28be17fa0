//go:build linux

package kernelwg

import (
	"context"
	"errors"
	"sync"

	"github.com/cilium/ebpf/btf"

	"github.com/wgnode/wgnode/probe"
	"github.com/wgnode/wgnode/probe/host/bpf"
)

// functions is a watch at level exact.
type functions struct {
	program *programs
	events  *translator
	close   func() error
}

// startFunctions begins to watch at level exact.
func startFunctions(opt *Options) (*functions, error) {
	if err := exact(); err != nil {
		return nil, err
	}
	kernel, err := bpf.KernelTypes()
	if err != nil {
		return nil, err
	}
	wireguard, err := moduleTypes()
	if err != nil {
		return nil, err
	}
	l, err := readLayout(kernel, wireguard)
	if err != nil {
		return nil, err
	}
	w := &functions{events: newTranslator(opt.log(probe.LevelExact), opt.Flows)}
	if w.program, err = loadPrograms(collection(l, opt)); err != nil {
		return nil, err
	}
	w.close = sync.OnceValue(w.program.end)
	w.events.watch(w.program)
	w.program.start(w.events)
	// The last of a packet's way first, so that what is seen of it at the first hook is seen
	// at the others, too.
	for i := len(hooks) - 1; i >= 0; i-- {
		if err := w.program.attach(&hooks[i]); err != nil {
			return nil, errors.Join(err, w.Close())
		}
	}
	return w, nil
}

// moduleTypes are WireGuard's, which contain the kernel's.
func moduleTypes() (*btf.Spec, error) {
	if builtin() {
		return bpf.KernelTypes()
	}
	return bpf.ModuleTypes(module)
}

// Level implements [Source].
func (w *functions) Level() probe.Level { return probe.LevelExact }

// Peers implements [Source].
func (w *functions) Peers() *Peers { return w.events.peers }

// Know implements [Source].
func (w *functions) Know(d *Device) { w.events.allow.set(d, w.events.peers) }

// Lost implements [Source].
func (w *functions) Lost() (uint64, error) { return w.program.lost() }

// Sync implements [Source].
func (w *functions) Sync(ctx context.Context) { w.program.sync(ctx) }

// Close implements [Source].
func (w *functions) Close() error { return w.close() }
