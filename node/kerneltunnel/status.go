//go:build linux

package kerneltunnel

import (
	"context"

	"github.com/wgnode/wgnode/probe/host/kernelwg"
	"github.com/wgnode/wgnode/tunnel/uapi"
)

// StatusOf is what the kernel tells of a device, as a userspace device says it. It has no
// private key, and no preshared one.
func StatusOf(d *kernelwg.Device) *uapi.Status {
	s := &uapi.Status{PublicKey: d.Public, ListenPort: d.Port, FwMark: d.Mark}
	for i := range d.Peers {
		p := &d.Peers[i]
		s.Peers = append(s.Peers, uapi.PeerStatus{PublicKey: p.Public, Endpoint: p.Endpoint, LastHandshake: p.Handshake,
			RxBytes: p.Received, TxBytes: p.Sent, PersistentKeepalive: p.Keepalive, AllowedIPs: p.AllowedIPs})
	}
	return s
}

// Index is the device's number among the host's interfaces.
func (t *Tunnel) Index() uint32 {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.device.Index
}

// Settle returns when all that has happened so far has come to the flight recorder, or ctx
// ends.
func (t *Tunnel) Settle(ctx context.Context) { t.source.Sync(ctx) }

// Lost is how many events, at least, have found no room on their way to the flight recorder.
func (t *Tunnel) Lost() uint64 {
	n, err := t.source.Lost()
	if err != nil {
		return 0 // the watch has ended
	}
	return n
}
