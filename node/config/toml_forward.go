package config

import (
	"fmt"
	"net/netip"
)

// forward is the table that is being read.
func (p *parser) forward() *PortForward {
	all := p.cfg.Interface.PortForwards
	return &all[len(all)-1]
}

func (p *parser) setForwardProtocol(v string) error {
	if v != "tcp" && v != "udp" {
		return fmt.Errorf("%s is neither tcp nor udp", quote(v))
	}
	p.forward().Protocol = v
	return nil
}

func (p *parser) setForwardFrom(v string) error {
	p.forward().From = v
	return checkInterface(v)
}

func (p *parser) setForwardPort(v string) (err error) {
	p.forward().Port, err = parsePort(v)
	return err
}

func (p *parser) setForwardTo(v string) error {
	to, err := netip.ParseAddrPort(v)
	switch {
	case err != nil || to.Port() == 0 || to.Addr().Zone() != "":
		return fmt.Errorf("%s is not ADDRESS:PORT, an IPv6 address in brackets", quote(v))
	case to.Addr().Is4In6():
		return fmt.Errorf("%s is an IPv4 address in IPv6 notation: write it as IPv4", quote(v))
	}
	p.forward().To = to
	return nil
}

// endForward refuses what could lead a connection to two places.
func (p *parser) endForward() {
	last := *p.forward()
	all := p.cfg.Interface.PortForwards
	for _, f := range all[:len(all)-1] {
		if last.Port != 0 && f.Port == last.Port && f.Protocol == last.Protocol && f.From == last.From &&
			f.To.Addr().Is4() == last.To.Addr().Is4() {
			p.fail("port", "%s port %d is forwarded to %s already", f.Protocol, f.Port, f.To)
			return
		}
	}
}
