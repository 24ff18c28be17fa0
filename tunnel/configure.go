package tunnel

import (
	"errors"
	"fmt"
	"net/netip"

	"golang.zx2c4.com/wireguard/device"

	"github.com/wgnode/wgnode/probe"
	"github.com/wgnode/wgnode/probe/key"
	"github.com/wgnode/wgnode/tunnel/uapi"
)

// Config is what a tunnel is configured with.
type Config struct {
	PrivateKey key.Private
	ListenPort uint16 // 0: any
	FwMark     uint32 // 0: none
	Peers      []PeerConfig
}

// MaxPeers is how many peers the device takes.
const MaxPeers = device.MaxPeers

// PeerConfig is the configuration of one peer.
type PeerConfig struct {
	Name                string // for people; may be empty
	PublicKey           key.Public
	PresharedKey        key.Preshared  // zero: none
	Endpoint            netip.AddrPort // zero: not known
	AllowedIPs          []netip.Prefix
	PersistentKeepalive uint16 // seconds; 0: off
}

// Configure replaces the whole configuration. All sessions end.
func (t *Tunnel) Configure(c Config) error {
	change := c.change()
	change.ReplacePeers = true
	if err := t.keep.Apply(change, nil); err != nil {
		return configError(err)
	}
	for i := range c.Peers {
		t.Name(c.Peers[i].PublicKey, c.Peers[i].Name)
	}
	return nil
}

// Apply asks for a change of the configuration: what it does not state stays, and
// so do the sessions of peers that it does not remove. progress, if not nil, is
// told now and then how many of its peers the device has.
func (t *Tunnel) Apply(change *uapi.Change, progress func(peers int)) error {
	if err := t.keep.Apply(change, progress); err != nil {
		return configError(err)
	}
	return nil
}

// Status is what the device says of itself and its peers, keys included.
func (t *Tunnel) Status() (*uapi.Status, error) { return t.keep.Status() }

// Configuration is what the device was told, as [Tunnel.Status] has it, without secrets and
// without what changes by itself: endpoints, handshakes, bytes. It is kept until the next
// change of the configuration, and nobody may change it. Who asks about one of thousands of
// peers does not have all of them told.
func (t *Tunnel) Configuration() (*uapi.Status, error) { return t.keep.Configuration() }

// Name notes the name of a peer, for people.
func (t *Tunnel) Name(k key.Public, name string) {
	if k != t.PublicKey() { // which is no peer
		t.m.Peers.Ensure(k).SetName(name)
	}
}

// change asks for the whole of c.
func (c *Config) change() *uapi.Change {
	change := &uapi.Change{PrivateKey: &c.PrivateKey, ListenPort: &c.ListenPort, FwMark: &c.FwMark}
	for i := range c.Peers {
		p := &c.Peers[i]
		change.Peers = append(change.Peers, uapi.PeerChange{
			PublicKey: p.PublicKey, PresharedKey: &p.PresharedKey, Endpoint: p.Endpoint,
			Keepalive: &p.PersistentKeepalive, ReplaceIPs: true, AllowedIPs: p.AllowedIPs,
		})
	}
	return change
}

// SetEndpoint gives a peer of the configuration another endpoint, and records
// that as an event.
func (t *Tunnel) SetEndpoint(k key.Public, ep netip.AddrPort) error {
	old, _ := t.StateOf(k)
	err := t.keep.Set(fmt.Sprintf("public_key=%s\nupdate_only=true\nendpoint=%s\n", k.Hex(), ep), false)
	if err != nil {
		return fmt.Errorf("set endpoint of peer %s: %w", k.Short(), configError(err))
	}
	if now, ok := t.StateOf(k); ok && now.Endpoint != old.Endpoint {
		if old.Endpoint.IsValid() {
			t.m.Peers.Get(now.ID).Moves.Add(1)
		}
		t.m.Record(probe.Event{Kind: probe.KindEndpoint, Peer: now.ID,
			OuterSrc: probe.AddrFrom(old.Endpoint.Addr()), OuterSrcPort: old.Endpoint.Port(),
			OuterDst: probe.AddrFrom(now.Endpoint.Addr()), OuterDstPort: now.Endpoint.Port()})
	}
	return nil
}

// configError keeps the device's error code and drops its text, which may
// quote a line with a key.
func configError(err error) error {
	var ipc *device.IPCError
	if !errors.As(err, &ipc) {
		return errors.New("configure device: refused")
	}
	cause := errors.Unwrap(ipc)
	for cause != nil {
		next := errors.Unwrap(cause)
		if next == nil {
			break
		}
		cause = next
	}
	var errno interface{ Timeout() bool } // a system error, such as "address already in use"
	if cause != nil && errors.As(cause, &errno) {
		return fmt.Errorf("configure device: %w", cause)
	}
	return fmt.Errorf("configure device: refused with code %d", ipc.ErrorCode())
}
