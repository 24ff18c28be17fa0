//go:build linux

package kerneltunnel

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"sync"

	"golang.org/x/sys/unix"

	"github.com/wgnode/wgnode/node/config"
	"github.com/wgnode/wgnode/probe/host/kernelwg"
	"github.com/wgnode/wgnode/probe/key"
)

// filed is what wg-quick's file says of the device. It has no secrets: a preshared key is there or
// not, and the private key is kept only if it is not the device's, since that is a fault.
type filed struct {
	path string // "": there is none to look for

	mu     sync.Mutex
	was    unix.Stat_t    // guarded by mu: of the file that was read
	config *config.Config // guarded by mu: what it says; nil: nothing that is to be used
	own    bool           // guarded by mu: it has the device's private key
	failed error          // guarded by mu: why it cannot be used
}

// secretThere stands for any preshared key.
var secretThere = key.Preshared{1}

func newFiled(device string) *filed {
	if !config.ValidName(device) {
		return &filed{}
	}
	return &filed{path: filepath.Join(config.Dir, device+".conf")}
}

// read is what the file says now, nil if it says nothing of this device: it is another's, or there is
// none. The error says why it is not used.
func (f *filed) read(d *kernelwg.Device) (*config.Config, error) {
	if f.path == "" {
		return nil, nil
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	var is unix.Stat_t
	if err := unix.Stat(f.path, &is); err != nil {
		f.was, f.config, f.failed = unix.Stat_t{}, nil, nil
		return nil, nil
	}
	is.Atim = f.was.Atim // which reading changes
	if is != f.was {
		f.was = is
		f.config, f.failed = config.Read(f.path)
		if f.failed != nil {
			f.config = nil
		} else {
			f.config, f.own = withoutSecrets(f.config, d.Public)
		}
	}
	switch {
	case errors.Is(f.failed, fs.ErrNotExist):
		return nil, nil
	case f.failed != nil:
		return nil, fmt.Errorf("what %s says is not used: %w", f.path, f.failed)
	case !f.own && !slices.ContainsFunc(f.config.Peers, func(p config.Peer) bool { return d.Peer(p.PublicKey) != nil }):
		return nil, nil // another program has made a device of the name
	}
	return f.config, nil
}

// withoutSecrets is a configuration without its secrets, and without what a device does not take
// in: a peer with its own key. It tells whether the private key is that of the public one.
func withoutSecrets(c *config.Config, public key.Public) (_ *config.Config, own bool) {
	some := *c
	private := &some.Interface.PrivateKey
	if own = !private.IsZero() && private.Public() == public; own {
		*private = key.Private{}
	}
	some.Peers = slices.DeleteFunc(slices.Clone(c.Peers), func(p config.Peer) bool { return p.PublicKey == public })
	for i := range some.Peers {
		if p := &some.Peers[i]; !p.PresharedKey.IsZero() {
			p.PresharedKey = secretThere
		}
	}
	return &some, own
}

// applied is the file as it would be if the device had all of it and the same besides: what the
// device has of peers, and what the file has of all that the device does not tell. Where a peer is
// may have been learned from its packets, so that another endpoint is no other than the file's.
func applied(c *config.Config, d *kernelwg.Device) *config.Config {
	is := *c
	is.Interface.PrivateKey = key.Private{}
	is.Interface.DNS = nil // what became of that is known of a node alone
	is.Peers = nil
	for i := range c.Peers {
		has := d.Peer(c.Peers[i].PublicKey)
		if has == nil {
			continue
		}
		p := c.Peers[i]
		p.AllowedIPs = has.AllowedIPs
		if !has.Endpoint.IsValid() {
			p.Endpoint = ""
		}
		if p.PresharedKey = (key.Preshared{}); has.Preshared {
			p.PresharedKey = secretThere
		}
		is.Peers = append(is.Peers, p)
	}
	return &is
}

// written is the endpoint of each peer as the file has it.
func written(c *config.Config) map[key.Public]string {
	all := make(map[key.Public]string)
	for i := range c.Peers {
		if ep := c.Peers[i].Endpoint; ep != "" {
			all[c.Peers[i].PublicKey] = ep
		}
	}
	return all
}
