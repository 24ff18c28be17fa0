package node

import (
	"context"
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
	"golang.zx2c4.com/wireguard/tun"

	"github.com/wgnode/wgnode/node/config"
	"github.com/wgnode/wgnode/node/explain"
	"github.com/wgnode/wgnode/node/hook"
	"github.com/wgnode/wgnode/node/plan"
	"github.com/wgnode/wgnode/node/uplink"
)

// Link is a TUN device that somebody else has made and set up, perhaps in a
// network namespace that this process is not in.
type Link struct {
	TUN    *os.File       // the node owns it
	MTU    int            // bytes; it does not change
	Prober explain.Prober // sends probes where the link is; may be nil
}

// onHost reports whether the node sets up an interface of this host.
func (o *Options) onHost() bool { return !o.Netstack && o.MakeLink == nil }

// startElsewhere serves a link that is made by [Options.MakeLink]. It has no
// steps. The journal names the process, for [Down].
func (n *Node) startElsewhere(ctx context.Context) error {
	mtu, err := n.mtuElsewhere()
	if err != nil {
		return err
	}
	j, err := plan.CreateJournal(journalPath(n.opt.RunDir, n.name), n.name, n.Config().Path)
	if err != nil {
		return err
	}
	n.journal = j
	l, err := n.opt.MakeLink(ctx, mtu)
	if err != nil {
		return err
	}
	n.link = l
	dev, err := openElsewhere(l)
	if err != nil {
		return err
	}
	if err := n.newTunnel(dev); err != nil {
		return err
	}
	if err := n.serveUAPI(nil); err != nil {
		return err
	}
	return n.configure(n.markElsewhere())
}

// mtuElsewhere is the MTU in bytes that the link should have.
func (n *Node) mtuElsewhere() (int, error) {
	if m := n.Config().Interface.MTU; m > 0 {
		return m, nil
	}
	endpoints := n.endpoints.Load().Addrs()
	now, err := uplink.Look(endpoints, n.Config().Interface.FwMark)
	if err != nil {
		return 0, err
	}
	s := plan.State{DefaultMTU: now.Default4.MTU}
	for _, a := range endpoints {
		if mtu := now.Ways[a].MTU; mtu > 0 {
			s.EndpointMTUs = append(s.EndpointMTUs, mtu)
		}
	}
	mtu, _, err := s.MTU()
	return mtu, err
}

// markElsewhere is the mark of the configuration, if this process may set it.
func (n *Node) markElsewhere() uint32 {
	mark := n.Config().Interface.FwMark
	if mark == 0 {
		return 0
	}
	if err := canMark(mark); err != nil {
		n.say("[!] skipped: FwMark: %v", err)
		return 0
	}
	return mark
}

func canMark(mark uint32) error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	return errors.Join(unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_MARK, int(mark)), unix.Close(fd))
}

// elsewhereTUN answers what the module would ask the kernel about an interface
// of that name in this process's network namespace.
type elsewhereTUN struct {
	tun.Device
	mtu int
}

// MTU implements tun.Device.
func (t elsewhereTUN) MTU() (int, error) { return t.mtu, nil }

// openElsewhere takes over the descriptor.
func openElsewhere(l *Link) (tun.Device, error) {
	fd, err := unix.FcntlInt(l.TUN.Fd(), unix.F_DUPFD_CLOEXEC, 0)
	if cerr := l.TUN.Close(); err == nil && cerr != nil {
		return nil, errors.Join(fmt.Errorf("use TUN device: %w", cerr), unix.Close(fd))
	}
	if err != nil {
		return nil, fmt.Errorf("use TUN device: %w", err)
	}
	dev, _, err := tun.CreateUnmonitoredTUNFromFD(fd)
	if err != nil {
		return nil, fmt.Errorf("use TUN device: %w", err) // the module has taken fd
	}
	return elsewhereTUN{dev, l.MTU}, nil
}

// skipElsewhere says what of a configuration is about a host's own interface.
func (n *Node) skipElsewhere() {
	i := &n.Config().Interface
	for _, p := range []hook.Phase{hook.PreUp, hook.PostUp, hook.PreDown, hook.PostDown} {
		if len(plan.Hooks(n.Config(), p)) > 0 {
			n.say("[!] skipped: %s: the interface is not this host's", p)
		}
	}
	for _, s := range []struct {
		key  string
		used bool
		why  string
	}{
		{"Table", i.Table != config.TableAuto, "the interface is not this host's; AllowedIPs are its routes"},
		{"SaveConfig", i.SaveConfig, "the interface is not this host's"},
		{"kill_switch", i.KillSwitch, "what uses the interface has no other; this host is left as it is"},
		{"forward", i.Forward, "this host's packets are left alone"},
		{"masquerade", len(i.Masquerade) > 0, "this host's packets are left alone"},
		{"port_forward", len(i.PortForwards) > 0, "this host's packets are left alone"},
	} {
		if s.used {
			n.say("[!] skipped: %s: %s", s.key, s.why)
		}
	}
}
