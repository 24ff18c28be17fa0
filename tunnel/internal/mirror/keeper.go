package mirror

import (
	"fmt"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"

	"golang.zx2c4.com/wireguard/device"

	"github.com/wgnode/wgnode/probe"
	"github.com/wgnode/wgnode/probe/key"
	"github.com/wgnode/wgnode/tunnel/internal/noise"
	"github.com/wgnode/wgnode/tunnel/uapi"
)

// Keeper gives the device its configuration, and keeps the mirror true to it.
type Keeper struct {
	m   *Mirror
	dev *device.Device

	mu    sync.Mutex                  // serializes changes of the configuration
	under *operation                  // guarded by mu: the one that the device is given, nil if none
	known atomic.Pointer[uapi.Status] // see Configuration; nil: to be read; set under mu
}

// NewKeeper returns one whose device is yet to be attached: the device is made with a log
// that asks the keeper.
func NewKeeper(m *Mirror) *Keeper { return &Keeper{m: m} }

// Attach says what the device is, before it is configured.
func (k *Keeper) Attach(dev *device.Device) { k.dev = dev }

// Set applies a UAPI set operation to the device, for a client of the UAPI socket or
// for the node itself, and then what it did to the mirror: peers, AllowedIPs, endpoints.
// If the device refuses part of it, or the private key changes, the mirror is built
// anew from what the device says.
func (k *Keeper) Set(config string, client bool) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	op := k.begin()
	defer op.end()
	err := op.set(config)
	f := k.follow(client)
	if err != nil || !f.apply(config) {
		if rerr := k.resync(client); rerr != nil {
			return fmt.Errorf("read configuration back: %w", rerr)
		}
		return err
	}
	f.bind()
	return nil
}

// Part is how many peers are given to the device at a time: a fraction of a
// second's work for it.
const Part = 1000

// Apply is set for a change of the private key, and for as many peers as
// one may want to be told of: progress, if not nil, is.
func (k *Keeper) Apply(change *uapi.Change, progress func(peers int)) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	op := k.begin()
	defer op.end()
	f := k.follow(false)
	followed := true // the mirror has followed so far
	var err error
	rest := *change
	for done := 0; ; {
		now := rest
		now.Peers = rest.Peers[:min(Part, len(rest.Peers))]
		text := now.Text()
		if err = op.set(text); err != nil {
			break
		}
		followed = followed && f.apply(text)
		done += len(now.Peers)
		if progress != nil {
			progress(done)
		}
		rest = uapi.Change{Peers: rest.Peers[len(now.Peers):]}
		if rest.IsZero() {
			break
		}
	}
	if err == nil && followed {
		f.bind()
		return nil
	}
	if rerr := k.resync(false); rerr != nil {
		return fmt.Errorf("read configuration back: %w", rerr)
	}
	return err
}

// bind learns the pointer by which the device's log names p.
func (k *Keeper) bind(p *Peer) {
	if !p.Configured.Load() {
		k.m.Peers.bind(nil, p)
		return
	}
	k.m.Peers.bind(k.dev.LookupPeer(device.NoisePublicKey(p.Key)), p)
}

// resync builds the mirror from what the device says, after an operation of a client
// or of the node itself. The caller holds mu.
func (k *Keeper) resync(client bool) error {
	s, err := k.Status()
	if err != nil {
		return err
	}
	if k.m.Identity.Load().Secret != s.PrivateKey {
		k.m.Identity.Store(noise.NewIdentity(s.PrivateKey))
	}
	routes := make(map[netip.Prefix]probe.PeerID)
	present := make(map[*Peer]bool, len(s.Peers))
	for i := range s.Peers {
		ps := &s.Peers[i]
		p := k.m.Peers.Ensure(ps.PublicKey)
		present[p] = true
		p.Configured.Store(true)
		if ps.Endpoint.IsValid() {
			if was := p.Endpoint.Load(); was == nil || *was != plainEndpoint(ps.Endpoint) {
				k.m.EndpointSet(p, ps.Endpoint, client)
			}
		} else {
			p.Endpoint.Store(nil)
		}
		for _, prefix := range ps.AllowedIPs {
			routes[prefix.Masked()] = p.ID
		}
		k.bind(p)
	}
	k.m.Allowed.replace(routes)
	for p := range k.m.Peers.All() {
		if !present[p] && p.Configured.Swap(false) {
			p.Endpoint.Store(nil)
			k.bind(p)
			k.m.Peers.removed(p)
		}
	}
	k.m.Peers.forget()
	return nil
}

// Status is what the device says of itself and its peers, keys included.
func (k *Keeper) Status() (*uapi.Status, error) {
	var b strings.Builder
	if err := k.dev.IpcGetOperation(&b); err != nil {
		return nil, fmt.Errorf("read configuration: %w", err)
	}
	return uapi.ParseText(b.String())
}

// Configuration is what the device was told, as [Keeper.Status] has it, without secrets and
// without what changes by itself: endpoints, handshakes, bytes. It is kept until the next
// change of the configuration, and nobody may change it. Who asks about one of thousands of
// peers does not have all of them told.
func (k *Keeper) Configuration() (*uapi.Status, error) {
	if s := k.known.Load(); s != nil {
		return s, nil
	}
	kept := k.mu.TryLock() // else it is being changed, which may take long
	if kept {
		defer k.mu.Unlock()
	}
	s, err := k.Status()
	if err != nil {
		return nil, err
	}
	s.PrivateKey = key.Private{}
	for i := range s.Peers {
		p := &s.Peers[i]
		*p = uapi.PeerStatus{PublicKey: p.PublicKey, PersistentKeepalive: p.PersistentKeepalive, AllowedIPs: p.AllowedIPs}
	}
	if kept {
		k.known.Store(s)
	}
	return s, nil
}
