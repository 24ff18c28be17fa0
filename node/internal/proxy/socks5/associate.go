package socks5

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"sync"

	"github.com/wgnode/wgnode/node/internal/proxy"
)

const (
	maxPacket = 65535
	// maxNames and maxLookups bound what the names in packets make us keep and
	// do; packets beyond are dropped.
	maxNames, maxLookups = 256, 16
	// maxAssociations is how many a server has at a time: each has buffers for
	// the largest packets.
	maxAssociations = 256
)

// associate relays packets until the client closes its connection.
func (s *server) associate(ctx context.Context, client net.Conn, from target) error {
	select {
	case s.associations <- struct{}{}:
		defer func() { <-s.associations }()
	default:
		return s.refuse(client, generalFailure, errors.New("too many associations at a time"))
	}
	local, remote := addrPort(client.LocalAddr()), addrPort(client.RemoteAddr())
	near, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(netip.AddrPortFrom(local.Addr(), 0)))
	if err != nil {
		return s.refuse(client, generalFailure, fmt.Errorf("open socket for packets: %w", err))
	}
	defer near.Close() // packets that are under way may get lost
	a := association{server: s, near: near, client: remote.Addr(), names: make(map[string]netip.Addr)}
	if from.port != 0 {
		a.from = netip.AddrPortFrom(remote.Addr(), from.port)
	}
	if _, err := client.Write(appendReply(nil, succeeded, addrPort(near.LocalAddr()))); err != nil {
		return fmt.Errorf("reply: %w", err)
	}
	ctx, cancel := context.WithCancel(ctx)
	var wg sync.WaitGroup
	defer wg.Wait()
	defer a.close()
	defer near.Close() // before the wait, and again for the paths above
	defer cancel()
	wg.Go(func() { a.outward(ctx) })
	// The client has nothing more to say. Its end is that of the association.
	if _, err := io.Copy(io.Discard, client); err != nil && !errors.Is(err, net.ErrClosed) {
		s.opt.Logger.Debug("socks5: connection of packets broke", "client", remote.String(), "error", err)
	}
	return nil
}

// association is one client's UDP.
type association struct {
	*server
	near   *net.UDPConn
	client netip.Addr

	tasks sync.WaitGroup // readers of far, and lookups

	mu      sync.Mutex            // guards what follows
	from    netip.AddrPort        // where the client's packets come from
	far     [2]net.PacketConn     // of IPv4 and IPv6, nil before they are needed
	names   map[string]netip.Addr // that were looked up
	lookups int                   // under way
	ended   bool
}

func (a *association) close() {
	a.mu.Lock()
	a.ended = true
	for _, c := range a.far {
		if c != nil {
			_ = c.Close() // packets that are under way may get lost
		}
	}
	a.mu.Unlock()
	a.tasks.Wait()
}

// outward sends on what the client sends.
func (a *association) outward(ctx context.Context) {
	buf := make([]byte, maxPacket)
	for {
		n, from, err := a.near.ReadFromUDPAddrPort(buf)
		if err != nil && !proxy.Told(err) {
			return // closed
		}
		from = unmap(from)
		if err != nil || !a.admit(from) {
			continue
		}
		r := bytes.NewReader(buf[:n])
		var head [3]byte
		if _, err := io.ReadFull(r, head[:]); err != nil || head[2] != 0 {
			continue // no header, or a fragment
		}
		t, err := readTarget(r)
		if err != nil {
			continue
		}
		a.send(ctx, t, buf[n-r.Len():n])
	}
}

// admit reports whether packets from there are the client's. The first one
// settles its port.
func (a *association) admit(from netip.AddrPort) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	if !a.from.IsValid() && from.Addr().WithZone("") == a.client.WithZone("") {
		a.from = from
	}
	return from == a.from
}

// send sends a packet, at once or when its name is known.
func (a *association) send(ctx context.Context, t target, packet []byte) {
	if addr, err := netip.ParseAddr(t.host); err == nil {
		a.sendTo(netip.AddrPortFrom(addr, t.port), packet)
		return
	}
	a.mu.Lock()
	addr, known := a.names[t.host]
	busy := a.ended || a.lookups == maxLookups
	if !known && !busy {
		a.lookups++
		a.tasks.Add(1)
	}
	a.mu.Unlock()
	switch {
	case known:
		a.sendTo(netip.AddrPortFrom(addr, t.port), packet)
	case !busy:
		packet = bytes.Clone(packet)
		go func() {
			defer a.tasks.Done()
			a.lookUp(ctx, t, packet)
		}()
	}
}

func (a *association) lookUp(ctx context.Context, t target, packet []byte) {
	lctx, cancel := context.WithTimeout(ctx, a.opt.DialTime)
	addrs, err := a.to.LookupNetIP(lctx, "ip", t.host)
	cancel()
	a.mu.Lock()
	a.lookups--
	if err == nil {
		if len(a.names) >= maxNames {
			clear(a.names)
		}
		a.names[t.host] = addrs[0].Unmap()
	}
	a.mu.Unlock()
	if err != nil {
		a.opt.Logger.Debug("socks5: packet not sent", "to", t.String(), "error", err)
		return
	}
	a.sendTo(netip.AddrPortFrom(addrs[0].Unmap(), t.port), packet)
}

func (a *association) sendTo(to netip.AddrPort, packet []byte) {
	c, err := a.socket(to.Addr())
	if c != nil {
		_, err = c.WriteTo(packet, net.UDPAddrFromAddrPort(to))
	}
	if err != nil {
		a.opt.Logger.Debug("socks5: packet not sent", "to", to.String(), "error", err)
	}
}

// socket returns the socket for to's family, nil if the association has ended.
func (a *association) socket(to netip.Addr) (net.PacketConn, error) {
	family, network, any := 0, "udp4", "0.0.0.0:0"
	if to.Is6() {
		family, network, any = 1, "udp6", "[::]:0"
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.ended || a.far[family] != nil {
		return a.far[family], nil // closed, if it has ended
	}
	c, err := a.to.ListenPacket(network, any)
	if err != nil {
		return nil, err
	}
	a.far[family] = c
	a.tasks.Go(func() { a.inward(c) })
	return c, nil
}

// inward hands the client what comes back, with where it comes from.
func (a *association) inward(c net.PacketConn) {
	buf := make([]byte, maxPacket)
	var out []byte
	for {
		n, from, err := c.ReadFrom(buf)
		a.mu.Lock()
		to, ended := a.from, a.ended
		a.mu.Unlock()
		if ended || errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			// What is told of a packet that was sent before could be told again.
			a.opt.Logger.Debug("socks5: receiving failed", "error", err)
			if !proxy.Told(err) {
				return
			}
			continue
		}
		out = append(appendAddr(append(out[:0], 0, 0, 0), addrPort(from)), buf[:n]...)
		if _, err := a.near.WriteToUDPAddrPort(out, to); err != nil {
			a.opt.Logger.Debug("socks5: packet not delivered", "client", to.String(), "error", err)
		}
	}
}
