package kernelwg

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"slices"
	"strings"

	"github.com/vishvananda/netlink"
	"golang.zx2c4.com/wireguard/wgctrl"
	"golang.zx2c4.com/wireguard/wgctrl/wgtypes"

	"github.com/wgnode/wgnode/probe/key"
)

// Names are those of the kernel's WireGuard devices in the calling thread's network
// namespace, in order. They are for everybody to read.
func Names() ([]string, error) {
	links, err := Links()
	var names []string
	for name := range links {
		names = append(names, name)
	}
	slices.Sort(names)
	return names, err
}

// Links are those in the calling thread's network namespace, by name. They are for everybody
// to read.
func Links() (map[string]Link, error) {
	all, err := netlink.LinkList()
	if err != nil {
		return nil, fmt.Errorf("list network devices: %w", err)
	}
	links := make(map[string]Link)
	for _, l := range all {
		if at := l.Attrs(); l.Type() == module {
			links[at.Name] = Link{Index: uint32(at.Index), Up: at.Flags&net.FlagUp != 0}
		}
	}
	return links, nil
}

// Read reads what the kernel tells of a device in the calling thread's network namespace,
// which takes CAP_NET_ADMIN.
func Read(name string) (*Device, error) {
	l, err := netlink.LinkByName(name)
	if errors.As(err, new(netlink.LinkNotFoundError)) || err == nil && l.Type() != module {
		return nil, fmt.Errorf("%s %w", name, ErrNotKernel)
	}
	if err != nil {
		return nil, fmt.Errorf("find network device %s: %w", name, err)
	}
	c, err := wgctrl.New()
	if err != nil {
		return nil, fmt.Errorf("ask the kernel for WireGuard devices: %w", err)
	}
	defer c.Close()
	d, err := c.Device(name)
	if errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("%s %w", name, ErrNotKernel)
	}
	if err != nil {
		return nil, fmt.Errorf("ask the kernel for the WireGuard device %s: %w", name, err)
	}
	return withoutSecrets(d, uint32(l.Attrs().Index)), nil
}

// withoutSecrets is what is not secret of what the library has read: it asks for all.
func withoutSecrets(d *wgtypes.Device, index uint32) *Device {
	clear(d.PrivateKey[:])
	own := &Device{Name: d.Name, Index: index, Public: key.Public(d.PublicKey), Port: uint16(d.ListenPort), Mark: uint32(d.FirewallMark)}
	for i := range d.Peers {
		p := &d.Peers[i]
		mine := Peer{
			Public: key.Public(p.PublicKey), Preshared: p.PresharedKey != wgtypes.Key{},
			Sent: uint64(p.TransmitBytes), Received: uint64(p.ReceiveBytes), Keepalive: p.PersistentKeepaliveInterval,
		}
		clear(p.PresharedKey[:])
		// The kernel says that there was none by a time of zero.
		if p.LastHandshakeTime.Unix() > 0 {
			mine.Handshake = p.LastHandshakeTime
		}
		if p.Endpoint != nil {
			ep := p.Endpoint.AddrPort()
			mine.Endpoint = netip.AddrPortFrom(ep.Addr().Unmap(), ep.Port())
		}
		for _, n := range p.AllowedIPs {
			a, ok := netip.AddrFromSlice(n.IP)
			bits, of := n.Mask.Size()
			if of == 32 {
				a = a.Unmap()
			}
			if ok {
				mine.AllowedIPs = append(mine.AllowedIPs, netip.PrefixFrom(a, bits))
			}
		}
		slices.SortFunc(mine.AllowedIPs, func(a, b netip.Prefix) int { return strings.Compare(a.String(), b.String()) })
		own.Peers = append(own.Peers, mine)
	}
	return own
}
