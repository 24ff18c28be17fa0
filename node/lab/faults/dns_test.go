//go:build linux

package faults

import (
	"net"
	"slices"

	"golang.org/x/net/dns/dnsmessage"
)

// refusing is a name server on H that refuses all questions but those for some names.
func refusing(s *site, names ...string) {
	c := s.H.ListenPacket("udp", net.JoinHostPort(s.Inner(2), "53"))
	go replies(s, c, c, names)
}

// answering is a name server on H that answers from another address than it is asked at.
func answering(s *site, from string) {
	asked := s.H.ListenPacket("udp", net.JoinHostPort(s.Inner(2), "53"))
	go replies(s, asked, s.H.ListenPacket("udp", net.JoinHostPort(from, "53")), []string{"."})
}

// replies answers questions that come to one socket by another, until the first is closed.
func replies(s *site, in, out net.PacketConn, names []string) {
	buf := make([]byte, 1500)
	for {
		n, from, err := in.ReadFrom(buf)
		if err != nil {
			return
		}
		var m dnsmessage.Message
		if err := m.Unpack(buf[:n]); err != nil || len(m.Questions) != 1 {
			s.T.Errorf("a question that is none: %v", err)
			return
		}
		m.Response, m.Additionals = true, nil
		if !slices.Contains(names, m.Questions[0].Name.String()) {
			m.RCode = dnsmessage.RCodeRefused
		}
		reply, err := m.Pack()
		if err != nil {
			s.T.Error(err)
			return
		}
		_, _ = out.WriteTo(reply, from) // lost packets are a fact of UDP
	}
}
