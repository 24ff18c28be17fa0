//go:build linux

package droplist

import (
	"fmt"
	"net/netip"
	"runtime"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/wgnode/wgnode/probe"
	"github.com/wgnode/wgnode/probe/filter"
	"github.com/wgnode/wgnode/probe/host/drops"
	"github.com/wgnode/wgnode/probe/key"
)

// peers give the tunnel's peers numbers, which they keep.
type peers struct {
	ids   map[key.Public]probe.PeerID
	names map[probe.PeerID]Peer
}

func (p *peers) update(all []Peer) {
	if p.ids == nil {
		p.ids, p.names = make(map[key.Public]probe.PeerID), make(map[probe.PeerID]Peer)
	}
	for i := range all {
		id, ok := p.ids[all[i].PublicKey]
		if !ok {
			id = probe.PeerID(len(p.ids) + 1)
			p.ids[all[i].PublicKey] = id
		}
		p.names[id] = all[i]
	}
}

// filterPeers are the peers as a filter can name them.
func (p *peers) filterPeers() []filter.Peer {
	var all []filter.Peer
	for id, peer := range p.names {
		all = append(all, filter.Peer{ID: id, Key: peer.PublicKey, Name: peer.Name})
	}
	return all
}

// of is the peer that a packet goes to or comes from, 0 if that is not known.
func (p *peers) of(e *probe.Event) probe.PeerID {
	src, dst := e.Inner()
	if e.Kind != probe.KindInner {
		src, dst = e.Outer()
		for id, peer := range p.names {
			if peer.Endpoint.IsValid() && (peer.Endpoint == src || peer.Endpoint == dst) {
				return id
			}
		}
		return 0
	}
	best, bits := probe.PeerID(0), -1
	for id, peer := range p.names {
		for _, a := range peer.AllowedIPs {
			if a.Bits() > bits && (a.Contains(dst.Addr()) || a.Contains(src.Addr())) {
				best, bits = id, a.Bits()
			}
		}
	}
	return best
}

// surroundings are the devices and addresses of the network namespace.
type surroundings struct {
	devices map[uint32]string
	index   uint32 // of the tunnel's, 0: none
	drops.Addresses
}

// leastBits are those of a prefix that says whose a packet is. A shorter one is a default
// route or a half of it: it has all the world in it, and this host's own packets, too.
const (
	leastBits4 = 2
	leastBits6 = 4
)

// Around is what tells a tunnel's packets from others in the network namespace of the calling
// thread: the index of its device, 0 for none, and addresses.
func Around(t *Tunnel) (device uint32, a drops.Addresses, err error) {
	s, err := survey(t)
	if err != nil {
		return 0, a, err
	}
	return s.index, s.Addresses, nil
}

// survey looks at the network namespace of the calling thread.
func survey(t *Tunnel) (*surroundings, error) {
	s := &surroundings{devices: make(map[uint32]string)}
	links, err := netlink.LinkList()
	if err != nil {
		return nil, fmt.Errorf("list network devices: %w", err)
	}
	for _, l := range links {
		a := l.Attrs()
		s.devices[uint32(a.Index)] = a.Name
		if a.Name == t.Interface && t.Interface != "" {
			s.index = uint32(a.Index)
		}
	}
	addrs, err := netlink.AddrList(nil, netlink.FAMILY_ALL)
	if err != nil {
		return nil, fmt.Errorf("list addresses: %w", err)
	}
	for _, a := range addrs {
		ip, ok := netip.AddrFromSlice(a.IP)
		if ip = ip.Unmap(); !ok {
			continue
		}
		s.Local = append(s.Local, ip)
		bits, _ := a.Mask.Size()
		switch network := netip.PrefixFrom(ip, bits).Masked(); {
		case ip.IsLoopback() || ip.IsLinkLocalUnicast():
		case s.index != 0 && uint32(a.LinkIndex) == s.index:
			s.Inner = append(s.Inner, netip.PrefixFrom(ip, ip.BitLen()))
		case !network.IsSingleIP():
			s.Other = append(s.Other, network)
		}
	}
	if s.index == 0 {
		return s, nil // no packet of this namespace is inside of the tunnel
	}
	for i := range t.Peers {
		for _, p := range t.Peers[i].AllowedIPs {
			if p.Bits() >= leastBits4 && (p.Addr().Is4() || p.Bits() >= leastBits6) {
				s.Inner = append(s.Inner, p)
			}
		}
	}
	return s, nil
}

// within runs do in the network namespace at path.
func within(path string, do func() error) error {
	own, err := inode("/proc/thread-self/ns/net")
	if err != nil {
		return err
	}
	there, err := inode(path)
	if err != nil {
		return err
	}
	if there == own {
		return do()
	}
	done := make(chan error)
	go func() {
		runtime.LockOSThread() // and never unlocked: the thread ends with the goroutine
		fd, err := unix.Open(path, unix.O_RDONLY|unix.O_CLOEXEC, 0)
		if err == nil {
			defer unix.Close(fd)
			err = unix.Setns(fd, unix.CLONE_NEWNET)
		}
		if err != nil {
			done <- fmt.Errorf("enter the tunnel's network namespace: %w", err)
			return
		}
		done <- do()
	}()
	return <-done
}

// inode is the inode number of the network namespace at path.
func inode(path string) (uint32, error) {
	var st unix.Stat_t
	if err := unix.Stat(path, &st); err != nil {
		return 0, fmt.Errorf("find the tunnel's network namespace: stat %s: %w", path, err)
	}
	return uint32(st.Ino), nil
}
