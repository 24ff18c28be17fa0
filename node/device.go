package node

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net/netip"
	"os"
	"slices"
	"syscall"
	"time"

	"golang.zx2c4.com/wireguard/tun"

	"github.com/wgnode/wgnode/node/config"
	"github.com/wgnode/wgnode/node/internal/device"
	"github.com/wgnode/wgnode/node/internal/endpoint"
	"github.com/wgnode/wgnode/node/internal/uplink"
	"github.com/wgnode/wgnode/node/port"
	"github.com/wgnode/wgnode/node/rundir"
	"github.com/wgnode/wgnode/probe/key"
	"github.com/wgnode/wgnode/tunnel/uapi"
)

// configure gives the device its configuration and opens its sockets. The mark
// is the configuration's, or one that was chosen for a default route.
func (n *Node) configure(mark uint32) error {
	cfg := n.Config()
	c := stated(cfg, n.endpoints.Load(), mark)
	err := n.tun.Apply(c, n.progress(len(c.Peers)))
	if err == nil {
		n.namePeers(cfg)
		err = n.tun.Up()
	}
	if n.hooked.port == 0 {
		n.port = n.tun.ListenPort()
	}
	return n.portTaken(err, n.wantedPort(cfg))
}

// wantedPort is the port that cfg or a PreUp hook gives, 0 for any.
func (n *Node) wantedPort(cfg *config.Config) uint16 {
	if p := cfg.Interface.ListenPort; p != 0 {
		return p
	}
	return n.hooked.port
}

// portTaken adds to an error of the device who has the port that it wanted.
func (n *Node) portTaken(err error, wanted uint16) error {
	if used, ok := errors.AsType[*port.InUseError](port.Explain(err, "udp", wanted)); ok {
		return fmt.Errorf("configure %s: %w", n.name, used)
	}
	return err
}

// stated asks a device for what cfg states and for nothing else, as wg addconf
// does: hooks may have given the device the rest. A peer that has several sections
// is one, and each prefix is given to the peer that has it in the end. The mark is
// the one of cfg, or one that was chosen; 0 is none.
func stated(cfg *config.Config, es *endpoint.Set, mark uint32) *uapi.Change {
	i := &cfg.Interface
	c := &uapi.Change{}
	if i.Given("PrivateKey") || !i.PrivateKey.IsZero() {
		c.PrivateKey = &i.PrivateKey
	}
	if i.Given("ListenPort") || i.ListenPort != 0 {
		c.ListenPort = &i.ListenPort
	}
	if mark != 0 || statesMark(cfg) {
		c.FwMark = &mark
	}
	at := make(map[key.Public]int) // into c.Peers
	for n := range cfg.Peers {
		p := &cfg.Peers[n]
		j, ok := at[p.PublicKey]
		if !ok {
			j = len(c.Peers)
			at[p.PublicKey] = j
			c.Peers = append(c.Peers, uapi.PeerChange{PublicKey: p.PublicKey, Endpoint: es.Of(p.PublicKey)})
		}
		to := &c.Peers[j]
		if p.Given("PresharedKey") || !p.PresharedKey.IsZero() {
			to.PresharedKey = &p.PresharedKey
		}
		if p.Given("PersistentKeepalive") || p.PersistentKeepalive != 0 {
			to.Keepalive = &p.PersistentKeepalive
		}
		to.ReplaceIPs = to.ReplaceIPs || !p.Incremental
		to.RemovedIPs = append(to.RemovedIPs, p.Removed...)
	}
	for _, r := range cfg.AllowedRoutes() {
		to := &c.Peers[at[cfg.Peers[r.Peer].PublicKey]]
		to.AllowedIPs = append(to.AllowedIPs, r.Prefix)
		to.RemovedIPs = slices.DeleteFunc(to.RemovedIPs, func(p netip.Prefix) bool { return p == r.Prefix })
	}
	return c
}

// statesMark reports whether cfg says what the mark is to be, or that there is
// to be none.
func statesMark(cfg *config.Config) bool {
	return cfg.Interface.Given("FwMark") || cfg.Interface.FwMark != 0
}

// namePeers notes the names that cfg has for its peers.
func (n *Node) namePeers(cfg *config.Config) {
	named := make(map[key.Public]bool)
	for i := range cfg.Peers {
		p := &cfg.Peers[i]
		if p.Name != "" || !named[p.PublicKey] {
			n.tun.Name(p.PublicKey, p.Name)
			named[p.PublicKey] = true
		}
	}
}

// Endpoint returns a peer's endpoint as the configuration has it, "" if it has
// none, and why its name did not resolve when it was last tried, nil if it did.
// Such a name is tried again for as long as the node runs.
func (n *Node) Endpoint(k key.Public) (written string, err error) {
	return n.endpoints.Load().Written(k)
}

// addressesOf are all addresses of the name that a peer's endpoint is written as, the
// preferred one first; none where it is not a name.
func (n *Node) addressesOf(k key.Public) []netip.AddrPort { return n.endpoints.Load().Addresses(k) }

// follower returns what looks after the endpoints that are written as names.
func (n *Node) follower() *endpoint.Follower {
	return n.endpoints.Load().Follow(endpoint.Options{
		Tunnel: n.tun, Logger: n.opt.Logger.With("interface", n.name), StaleAfter: n.opt.StaleAfter,
		Reachable: func(a netip.Addr) bool { return uplink.Reachable(a, n.mark()) },
	})
}

// progressTime is how often one is told how far the device is.
const progressTime = 500 * time.Millisecond

// progress says now and then how many of so many peers the device has.
func (n *Node) progress(of int) func(peers int) {
	said := time.Now()
	return func(peers int) {
		if time.Since(said) >= progressTime {
			said = time.Now()
			n.say("[.] %d of %d peers", peers, of)
		}
	}
}

// kernelDevice is the node as the plan sees it: a TUN device of the kernel's,
// served by this process.
type kernelDevice struct{ n *Node }

func (d kernelDevice) Create(_ context.Context, name string) error {
	dev, err := device.Create(name)
	if err != nil {
		return err
	}
	if err := d.n.newTunnel(device.Steady(dev, name, d.n.log()), device.SendICMP); err != nil {
		return err
	}
	return d.n.serveUAPI(nil)
}

func (d kernelDevice) Configure(_ context.Context, mark uint32) error { return d.n.configure(mark) }

// newTunnel makes the tunnel over dev, which is closed if that fails. The last argument is
// that of [tunnel.Options].
func (n *Node) newTunnel(dev tun.Device, send func(to netip.Addr, message []byte) error) (err error) {
	n.tun, err = device.NewTunnel(dev, device.Options{RecorderBytes: n.opt.RecorderBytes, Bind: n.opt.Bind, SendICMP: send, Log: n.log()})
	return err
}

// log is the logger of what is said of this interface.
func (n *Node) log() *slog.Logger { return n.opt.Logger.With("interface", n.name) }

// serveUAPI opens the socket of WireGuard's own protocol, or takes over an open
// one, and answers from then on.
func (n *Node) serveUAPI(socket *os.File) error {
	if n.opt.NoUAPI {
		return nil
	}
	l, err := device.ListenUAPI(n.name, socket)
	if !n.mode.traits().onHost && (errors.Is(err, fs.ErrPermission) || errors.Is(err, syscall.EROFS)) {
		// Its folder is root's, and this kind of node can do without.
		n.say("[!] wg(8) will not see %s: %v", n.name, err)
		return nil
	}
	if err != nil {
		return err
	}
	n.uapi = device.ServeUAPI(n.tun, l)
	return nil
}

// listenControl opens the control socket. From then on clients can connect; they
// are answered once Run has begun.
func (n *Node) listenControl() error {
	if n.opt.NoControl {
		return nil
	}
	l, err := rundir.Listen(rundir.Socket(n.opt.RunDir, n.name))
	if err != nil {
		return err
	}
	n.control = l
	return nil
}
