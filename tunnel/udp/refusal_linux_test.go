package udp

import (
	"fmt"
	"runtime"
	"sync/atomic"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"
)

// refuseOn makes the node's kernel refuse joined packets by one interface, as
// it does where nobody can compute their checksums. It counts the refusals, and
// what goes out joined.
func (n *node) refuseOn(ifindex uint32) (refused, joined *atomic.Int32) {
	refused, joined = new(atomic.Int32), new(atomic.Int32)
	for _, s := range n.Bind.(*Bind).open.Load().sockets() {
		kernel := s.sendmmsg
		s.sendmmsg = func(fd uintptr, msgs []message) (int, unix.Errno) {
			if msgs[0].Iovlen == 1 {
				return kernel(fd, msgs)
			}
			src, _ := parseControl(unsafe.Slice(msgs[0].Control, msgs[0].Controllen))
			if src.ifindex == ifindex {
				refused.Add(1)
				return 0, unix.EIO
			}
			joined.Add(1)
			return kernel(fd, msgs)
		}
	}
	return refused, joined
}

// reach makes a learned endpoint at from for each of to, and returns it. A change of
// the network, such as the kernel's late ones of a new namespace, makes an endpoint
// forget its interface; then it is learned once more.
func reach(t *testing.T, from, to *node, addr string) *Endpoint {
	t.Helper()
	var ep *Endpoint
	within(t, "an interface is learned", func() bool {
		to.mustSend(t, to.endpoint(t, addr, from.port), []byte("hello"))
		ep = from.nextPacket(t).ep.(*Endpoint)
		return ep.source().ifindex != 0
	})
	return ep
}

// One interface that cannot send joined packets gets single ones, from then on
// without trying; others go on as before. After a change of the network it is
// tried again.
func TestJoinedPacketsRefusedByOneInterface(t *testing.T) {
	for _, c := range []struct{ family, router, lo string }{
		{"v4", "10.9.0.1", "127.0.0.1"},
		{"v6", "fd09::1", "::1"},
	} {
		t.Run(c.family, func(t *testing.T) {
			t.Parallel()
			host, router := routed(t)
			a, b, local := router.node(t, Options{}), host.node(t, Options{}), router.node(t, Options{})
			away, here := reach(t, a, b, c.router), reach(t, a, local, c.lo)
			gen := &a.Bind.(*Bind).gen
			first := gen.now()
			refused, joined := a.refuseOn(away.source().ifindex)
			// Earlier changes of the network may have their echo, after which it
			// is right to try again.
			tooOften := func() bool { return refused.Load() > 1+int32(gen.now()-first) }
			packets := numbered(100, func(i int) int { return 1000 - i/99 })
			settled := first
			for round := 0; round < 3 || refused.Load() == 0 && gen.now() != settled; round++ {
				if now := gen.now(); now != settled { // which has made it forget the interfaces
					settled = now
					away, here = reach(t, a, b, c.router), reach(t, a, local, c.lo)
				}
				a.mustSend(t, away, packets...)
				b.expect(t, packets)
				a.mustSend(t, here, packets...)
				local.expect(t, packets)
			}
			if refused.Load() == 0 || tooOften() || joined.Load() == 0 {
				t.Errorf("refused %d times, want once; joined elsewhere %d times", refused.Load(), joined.Load())
			}
			c2 := host.node(t, Options{})
			a.mustSend(t, reach(t, a, c2, c.router), packets...)
			c2.expect(t, packets)
			if tooOften() {
				t.Error("another peer behind the same interface was tried")
			}

			before, so := gen.now(), refused.Load()
			router.run(t, "ip route add 10.90.0.0/24 via 10.9.0.2")
			within(t, "the change is noticed", func() bool { return gen.now() != before })
			a.mustSend(t, reach(t, a, b, c.router), packets...)
			b.expect(t, packets)
			if refused.Load() == so {
				t.Error("not tried again after a change of the network")
			}
		})
	}
}

// Where the interface is not known, it is remembered of the peer.
func TestJoinedPacketsRefusedOnTheWayToAPeer(t *testing.T) {
	a, b := newNode(t, Options{}), newNode(t, Options{})
	refused, _ := a.refuseOn(0)
	packets := numbered(100, func(int) int { return 1000 })
	ep := a.endpoint(t, "127.0.0.1", b.port)
	for range 3 {
		a.mustSend(t, ep, packets...)
		b.expect(t, packets)
	}
	if refused.Load() != 1 {
		t.Errorf("refused %d times, want once", refused.Load())
	}
}

// setChecksums turns an interface's computing of checksums on or off, and with
// it whatever needs it: ethtool -K NAME tx on|off.
func (n *netns) setChecksums(t *testing.T, name string, on uint32) {
	t.Helper()
	var err error
	n.do(func() {
		var fd int
		if fd, err = unix.Socket(unix.AF_INET, unix.SOCK_DGRAM, 0); err != nil {
			return
		}
		defer unix.Close(fd)
		value := struct{ cmd, data uint32 }{unix.ETHTOOL_STXCSUM, on}
		// struct ifreq: a name, and a pointer in a union.
		var req struct {
			name [unix.IFNAMSIZ]byte
			data unsafe.Pointer
			_    [16]byte
		}
		copy(req.name[:], name)
		req.data = unsafe.Pointer(&value)
		if _, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), unix.SIOCETHTOOL, uintptr(unsafe.Pointer(&req))); errno != 0 {
			err = errno
		}
		runtime.KeepAlive(&value)
	})
	if err != nil {
		t.Fatalf("set checksums of %s to %d: %v", name, on, err)
	}
}

// What the kernel does about joined packets where the interface computes no
// checksums differs by version: they get through in any.
func TestInterfaceWithoutChecksums(t *testing.T) {
	host, router := routed(t)
	a, b := host.node(t, Options{}), router.node(t, Options{})
	packets := numbered(300, func(i int) int { return 1200 + i/299 })
	for _, on := range []uint32{1, 0, 1} {
		host.setChecksums(t, "veth0", on)
		for _, dst := range []string{"10.9.0.1", "fd09::1"} {
			a.mustSend(t, a.endpoint(t, dst, b.port), packets...)
			b.expect(t, packets)
		}
	}
}

// The link's MTU changes back and forth while packets are on their way.
func TestMTUChangesWhilePacketsFlow(t *testing.T) {
	host, router := routed(t)
	a, b := host.node(t, Options{}), router.node(t, Options{})
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		for i := 0; ; i++ {
			select {
			case <-stop:
				return
			default:
				host.run(t, fmt.Sprintf("ip link set veth0 mtu %d", []int{1300, 1500}[i%2]))
			}
		}
	}()
	packets := numbered(128, func(i int) int { return 1400 - i/120 })
	for range 40 {
		for _, dst := range []string{"10.9.0.1", "fd09::1"} {
			a.mustSend(t, a.endpoint(t, dst, b.port), packets...)
			b.expect(t, packets)
		}
	}
	close(stop)
	<-stopped
}
