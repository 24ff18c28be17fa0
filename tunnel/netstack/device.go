package netstack

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"sync"
	"sync/atomic"
	"syscall"

	"golang.zx2c4.com/wireguard/tun"
	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/header"
	"gvisor.dev/gvisor/pkg/tcpip/stack"

	"github.com/wgnode/wgnode/probe"
)

const (
	// batchSize is how many packets pass a call, as with wireguard-go's own TUN
	// device on Linux.
	batchSize = 128
	// queued is how many segments of TCP, or packets, of the stack wait to be
	// read. Who sends more waits himself.
	queued = 1024
)

// device is the TUN device whose other end is a stack in this process.
//
//	Net ─ stack ─ link ─ out ─ segments ─> Read ─> WireGuard
//	Net ─ stack <─ link <─ joiner <────── Write <─ WireGuard
//
// It does not tell of itself that it is up, as a network interface does: the
// WireGuard device would open its sockets on that account, while it is being
// configured: a port that is taken would then not be an error, but another port.
type device struct {
	mtu    int
	out    chan *stack.PacketBuffer
	done   chan struct{}
	events chan tun.Event
	own    *side
	cut    segments // of the one goroutine that reads

	addrs    map[netip.Addr]struct{} // of the stack
	refusals *refusals
	others   atomic.Pointer[others] // nil: nobody takes what is for others

	closing sync.Once
}

// others is what becomes of packets that are for none of the stack's addresses.
type others struct {
	to    Transit
	stack *transit // nil: none may pass
}

func newDevice(addrs []netip.Addr, mtu int) (*device, error) {
	d := &device{mtu: mtu, out: make(chan *stack.PacketBuffer, queued), done: make(chan struct{}), events: make(chan tun.Event),
		addrs: make(map[netip.Addr]struct{}), refusals: newRefusals(addrs)}
	var err error
	if d.own, err = newSide(newLink(mtu, d.out, d.done), true); err != nil {
		return nil, err
	}
	for _, a := range addrs {
		d.addrs[a] = struct{}{}
		protocol := header.IPv4ProtocolNumber
		if a.Is6() {
			protocol = header.IPv6ProtocolNumber
		}
		address := tcpip.ProtocolAddress{Protocol: protocol, AddressWithPrefix: tcpip.AddrFromSlice(a.AsSlice()).WithPrefix()}
		if err := d.own.stack.AddProtocolAddress(nic, address, stack.AddressProperties{}); err != nil {
			return nil, errors.Join(fmt.Errorf("add address %s: %s", a, err), d.Close())
		}
	}
	return d, nil
}

// Read implements [tun.Device]. It waits for one packet and takes along those
// that are there by then.
func (d *device) Read(bufs [][]byte, sizes []int, offset int) (int, error) {
	n := 0
	for n < len(bufs) {
		if d.cut.empty() {
			pkt, err := d.sent(n == 0)
			if err != nil {
				return 0, err
			}
			if pkt == nil {
				break
			}
			if !d.cut.begin(pkt) {
				pkt.DecRef()
				continue
			}
		}
		if sizes[n] = d.cut.next(bufs[n][offset:]); sizes[n] > 0 {
			n++
		}
	}
	return n, nil
}

// sent returns what the stack has sent next, nil if that is nothing and wait is
// false.
func (d *device) sent(wait bool) (*stack.PacketBuffer, error) {
	select {
	case pkt := <-d.out:
		return pkt, nil
	default:
	}
	if !wait {
		return nil, nil
	}
	select {
	case pkt := <-d.out:
		return pkt, nil
	case <-d.done:
		return nil, os.ErrClosed
	}
}

// Write implements [tun.Device]. Neither the packets nor the buffers are kept.
func (d *device) Write(bufs [][]byte, offset int) (int, error) {
	select {
	case <-d.done:
		return 0, os.ErrClosed
	default:
	}
	var room, more [batchSize][]byte
	own, foreign := room[:0], more[:0]
	var failed error
	for _, b := range bufs {
		if b = b[offset:]; len(b) == 0 {
			continue
		}
		src, dst, ok := ends(b)
		_, mine := d.addrs[dst]
		switch {
		case !ok:
			failed = syscall.EAFNOSUPPORT
		case mine:
			own = append(own, b)
		case src.IsLoopback() || dst.IsLoopback():
			// No network has such packets, and the stack would log them.
		case Routable(dst):
			foreign = append(foreign, b)
		default:
			own = append(own, b)
		}
	}
	if len(own) > 0 {
		d.own.inject(own)
	}
	if len(foreign) > 0 {
		d.passOn(foreign)
	}
	return len(bufs), failed
}

// passOn gives packets to who takes what is for others, or says that they may not
// pass.
func (d *device) passOn(pkts [][]byte) {
	o := d.others.Load()
	if o != nil && o.stack != nil {
		o.stack.inject(pkts)
		return
	}
	for _, b := range pkts {
		var e probe.Event
		if !e.DecodeInner(b) || e.Flags&probe.FlagFragment != 0 {
			continue
		}
		if e.Proto == probe.ProtoICMP || e.Proto == probe.ProtoICMPv6 {
			if request, _ := e.ICMPEcho(); !request {
				continue // no error about an error
			}
			e.InnerDstPort = 0
		}
		src, dst := e.Inner()
		if o != nil {
			o.to.May(Flow{e.Proto, src, dst}) // for whoever wants to know
		}
		d.refusals.say(d.own.stack, b[:min(len(b), maxHeaders)], syscall.EACCES)
	}
}

// setOthers makes to the one who takes what is for others, from now on. It may be
// called by one at a time.
func (d *device) setOthers(to *Transit) error {
	var next *others
	if to != nil {
		next = &others{to: *to}
		if to.TCP != nil {
			var err error
			if next.stack, err = newTransit(newLink(d.mtu, d.out, d.done), *to, d.refusals); err != nil {
				return err
			}
		}
	}
	if old := d.others.Swap(next); old != nil && old.stack != nil {
		old.stack.close()
	}
	return nil
}

// Close implements [tun.Device]. It ends the stack, and what is open in it.
func (d *device) Close() error {
	d.closing.Do(func() {
		close(d.done)
		d.own.close()
		_ = d.setOthers(nil) // which makes nothing that could fail
		close(d.events)
		for {
			select {
			case pkt := <-d.out:
				pkt.DecRef()
				continue
			default:
			}
			return
		}
	})
	return nil
}

// BatchSize implements [tun.Device].
func (*device) BatchSize() int { return batchSize }

// Events implements [tun.Device].
func (d *device) Events() <-chan tun.Event { return d.events }

// MTU implements [tun.Device].
func (d *device) MTU() (int, error) { return d.mtu, nil }

// Name implements [tun.Device].
func (*device) Name() (string, error) { return "netstack", nil }

// File implements [tun.Device].
func (*device) File() *os.File { return nil }
