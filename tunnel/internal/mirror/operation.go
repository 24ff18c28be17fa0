package mirror

import (
	"strings"

	"golang.zx2c4.com/wireguard/device"

	"github.com/wgnode/wgnode/probe/key"
)

// operation is a change of the configuration that the device is given, in one or more
// parts. The device begins with it at once: the first messages to a new peer are sent, and
// can be answered, before it has taken the whole in, and so before the mirror follows. The
// peers that an operation names are known meanwhile, and nothing is concluded from where
// packets to them go. The caller of all of it holds Keeper.mu.
type operation struct {
	k     *Keeper
	keys  []key.Public // that the device has yet to come to, in the order of the text
	named map[*Peer]bool
}

func (k *Keeper) begin() *operation {
	k.known.Store(nil)
	k.under = &operation{k: k, named: make(map[*Peer]bool)}
	return k.under
}

// end is for when the mirror has followed.
func (op *operation) end() {
	op.k.under = nil
	for p, created := range op.named {
		p.changing.Store(false)
		if created && !p.Configured.Load() {
			op.k.m.Peers.removed(p)
		}
	}
}

// set gives the device a part.
func (op *operation) set(config string) error {
	op.keys = op.keys[:0]
	for line := range strings.Lines(config) {
		name, value, _ := strings.Cut(strings.TrimSuffix(line, "\n"), "=")
		if name != "public_key" {
			continue
		}
		k, ok := hexKey(value)
		if !ok {
			break // as far as the device goes
		}
		op.keys = append(op.keys, k)
		if p := op.k.m.Peers.Find(k); p != nil {
			op.name(p, false)
		}
	}
	return op.k.dev.IpcSet(config)
}

func (op *operation) name(p *Peer, created bool) {
	op.named[p] = op.named[p] || created
	p.changing.Store(true)
}

// Created is called as the device says, in the course of an operation, that it has a new
// peer, which its log names by arg from now on.
func (k *Keeper) Created(arg any) {
	ptr, ok := arg.(*device.Peer)
	op := k.under
	if !ok || op == nil {
		return
	}
	for len(op.keys) > 0 {
		pub := op.keys[0]
		op.keys = op.keys[1:] // those before were peers already
		if k.dev.LookupPeer(device.NoisePublicKey(pub)) == ptr {
			p := k.m.Peers.Ensure(pub)
			k.m.Peers.bind(ptr, p)
			op.name(p, true)
			return
		}
	}
}
