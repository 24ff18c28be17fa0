//go:build linux

package sitetest

import (
	"net/netip"

	"golang.org/x/net/dns/dnsmessage"

	"github.com/wgnode/wgnode/node/lab"
)

// OriginalResolv is a resolv.conf that a site may have before a node changes it.
const OriginalResolv = "# the site's\nnameserver 10.9.1.1\noptions timeout:1"

// ServeNames answers every question for an IPv4 address at addr with one.
func (s *Site) ServeNames(h *lab.Host, addr string, answer netip.Addr) {
	c := h.ListenPacket("udp", addr)
	go func() {
		buf := make([]byte, 1500)
		for {
			n, from, err := c.ReadFrom(buf)
			if err != nil {
				return // closed
			}
			var m dnsmessage.Message
			if err := m.Unpack(buf[:n]); err != nil || len(m.Questions) != 1 {
				s.T.Errorf("a question that is none: %v", err)
				return
			}
			m.Response, m.Additionals = true, nil
			if q := m.Questions[0]; q.Type == dnsmessage.TypeA {
				m.Answers = []dnsmessage.Resource{{
					Header: dnsmessage.ResourceHeader{Name: q.Name, Class: q.Class, TTL: 1},
					Body:   &dnsmessage.AResource{A: answer.As4()},
				}}
			}
			reply, err := m.Pack()
			if err != nil {
				s.T.Error(err)
				return
			}
			_, _ = c.WriteTo(reply, from) // lost packets are a fact of UDP
		}
	}()
}
