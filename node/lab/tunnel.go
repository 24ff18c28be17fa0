//go:build linux

package lab

import (
	"context"
	"crypto/ecdh"
	"crypto/rand"
	"encoding/base64"
	"testing"

	"github.com/wgnode/wgnode/probe/patience"
)

// Key is a WireGuard key pair in base64, as configuration files have it.
type Key struct {
	Private, Public string
}

// NewKey makes a key pair.
func NewKey(t testing.TB) Key {
	t.Helper()
	private, err := ecdh.X25519().GenerateKey(rand.Reader)
	if err != nil {
		t.Fatalf("generate key: %v", err)
	}
	return Key{
		Private: base64.StdEncoding.EncodeToString(private.Bytes()),
		Public:  base64.StdEncoding.EncodeToString(private.PublicKey().Bytes()),
	}
}

// Tunnel is what [Host.WireguardGo] sets up.
type Tunnel struct {
	Name   string   // of the interface: "wg0"
	Conf   string   // in the format of wg setconf; AllowedIPs add no routes
	Addrs  []string // of the interface: "10.7.0.1/24"
	Routes []string // prefixes routed into it: "192.168.200.0/24"
}

// WireguardGo starts wireguard-go, the program that this module builds upon,
// and sets its interface up: a peer that is known to be good. It returns when
// the tunnel is ready for the first packet. It needs wg.
func (h *Host) WireguardGo(tunnel Tunnel) *Proc {
	h.t.Helper()
	Need(h.t, "wg")
	p := h.StartEnv([]string{"LOG_LEVEL=verbose"}, WireguardGo(h.t), "-f", tunnel.Name)
	h.AwaitUAPI(p, tunnel.Name)
	h.SetUpTunnel(tunnel)
	return p
}

// AwaitUAPI waits until p, a WireGuard program, accepts configuration for the
// interface. If p may put itself in the background, its early end is no error
// as long as it succeeded.
func (h *Host) AwaitUAPI(p *Proc, name string) {
	h.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience.Limit())
	defer cancel()
	go func() {
		select {
		case <-p.Done():
			if p.Wait() != nil {
				cancel()
			}
		case <-ctx.Done():
		}
	}()
	if err := h.AwaitSocket(ctx, "/var/run/wireguard/"+name+".sock"); err != nil {
		h.t.Fatalf("%s: %v\n%s", p, err, p.Output())
	}
}

// SetUpTunnel configures a WireGuard interface that a program has made: keys
// and peers by wg setconf, then addresses, up, and routes.
func (h *Host) SetUpTunnel(tunnel Tunnel) {
	h.t.Helper()
	h.RunInput(tunnel.Conf, "wg", "setconf", tunnel.Name, "/dev/stdin")
	h.do("set up "+tunnel.Name, func() error {
		if err := addAddrs(tunnel.Name, tunnel.Addrs); err != nil {
			return err
		}
		if err := setUp(tunnel.Name); err != nil {
			return err
		}
		for _, prefix := range tunnel.Routes {
			if err := addRoute(prefix, tunnel.Name); err != nil {
				return err
			}
		}
		return nil
	})
}
