//go:build linux

package lab

import (
	"encoding/binary"
	"io"
	"net"
	"net/netip"
	"strings"
	"sync"

	"golang.org/x/net/dns/dnsmessage"
)

// Zone is what a DNS server knows. The zero value knows nothing. Its methods may
// be called at any time, also while it is served.
type Zone struct {
	mu    sync.Mutex
	names map[string][]netip.Addr
	asked map[string]int
}

// Set gives a name addresses, IPv4 and IPv6 mixed, in place of those it had.
func (z *Zone) Set(name string, addrs ...string) {
	z.mu.Lock()
	defer z.mu.Unlock()
	if z.names == nil {
		z.names = make(map[string][]netip.Addr)
	}
	list := make([]netip.Addr, len(addrs))
	for i, a := range addrs {
		list[i] = netip.MustParseAddr(a)
	}
	z.names[name] = list
}

// Asked returns how many questions there were about a name. That for IPv4 and
// that for IPv6 are two.
func (z *Zone) Asked(name string) int {
	z.mu.Lock()
	defer z.mu.Unlock()
	return z.asked[name]
}

// ServeDNS answers questions about the zone at an address ("10.9.1.1:53"), by UDP
// and TCP, until the lab is torn down.
func (h *Host) ServeDNS(addr string, z *Zone) {
	h.t.Helper()
	go z.Serve(h.ListenPacket("udp", addr))
	l := h.Listen("tcp", addr)
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return // closed
			}
			go z.serveTCP(c)
		}
	}()
}

// serveTCP answers the questions of one client, one after the other.
func (z *Zone) serveTCP(c net.Conn) {
	defer c.Close() // nothing more was asked
	for {
		var length [2]byte
		if _, err := io.ReadFull(c, length[:]); err != nil {
			return
		}
		question := make([]byte, binary.BigEndian.Uint16(length[:]))
		if _, err := io.ReadFull(c, question); err != nil {
			return
		}
		reply, ok := z.answer(question)
		if !ok {
			return
		}
		if _, err := c.Write(append(binary.BigEndian.AppendUint16(nil, uint16(len(reply))), reply...)); err != nil {
			return
		}
	}
}

// Serve answers the questions that come in, until c is closed. What is no
// question gets no answer.
func (z *Zone) Serve(c net.PacketConn) {
	buf := make([]byte, 512)
	for {
		n, from, err := c.ReadFrom(buf)
		if err != nil {
			return // closed
		}
		if reply, ok := z.answer(buf[:n]); ok {
			// Lost packets are a fact of UDP.
			_, _ = c.WriteTo(reply, from)
		}
	}
}

func (z *Zone) answer(question []byte) (reply []byte, ok bool) {
	var m dnsmessage.Message
	if err := m.Unpack(question); err != nil || len(m.Questions) != 1 {
		return nil, false
	}
	q := m.Questions[0]
	name := strings.TrimSuffix(q.Name.String(), ".")
	z.mu.Lock()
	defer z.mu.Unlock()
	if z.asked == nil {
		z.asked = make(map[string]int)
	}
	z.asked[name]++
	addrs, known := z.names[name]
	m.Header = dnsmessage.Header{ID: m.ID, Response: true, Authoritative: true, RecursionAvailable: true}
	m.Answers, m.Authorities, m.Additionals = nil, nil, nil
	if !known {
		m.RCode = dnsmessage.RCodeNameError
	}
	for _, a := range addrs {
		r := dnsmessage.Resource{Header: dnsmessage.ResourceHeader{Name: q.Name, Class: dnsmessage.ClassINET, TTL: 1}}
		switch {
		case a.Is4() && q.Type == dnsmessage.TypeA:
			r.Body = &dnsmessage.AResource{A: a.As4()}
		case a.Is6() && q.Type == dnsmessage.TypeAAAA:
			r.Body = &dnsmessage.AAAAResource{AAAA: a.As16()}
		default:
			continue
		}
		m.Answers = append(m.Answers, r)
	}
	reply, err := m.Pack()
	return reply, err == nil
}
