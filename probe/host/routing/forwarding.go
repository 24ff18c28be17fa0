//go:build linux

package routing

import "fmt"

// Setting is a sysctl and its value.
type Setting struct {
	Name  string
	Value int
}

// String returns the setting as sysctl(8) shows it.
func (s Setting) String() string { return fmt.Sprintf("%s = %d", s.Name, s.Value) }

// Forwarding is whether this host passes packets on.
type Forwarding struct {
	On       bool
	Settings []Setting // those that decide it, the one that counts first
	Evidence string
	Fix      []string // commands, none if it is on
}

// Forwarding reports whether packets that come in on the link are forwarded.
//
// IPv4 asks the link's own setting, to which net.ipv4.ip_forward is copied
// whenever it is written (IN_DEV_FORWARD in the kernel's
// include/linux/inetdevice.h). IPv6 asks the one for all links, and that of the
// link makes no difference but for force_forwarding, since Linux 6.17
// (ip6_forward in net/ipv6/ip6_output.c).
func (s *Snapshot) Forwarding(ipv6 bool, iif string) Forwarding {
	l := s.Link(iif)
	if l == nil {
		return Forwarding{Evidence: "there is no link " + iif}
	}
	var f Forwarding
	if ipv6 {
		const all = "net.ipv6.conf.all.forwarding"
		f.On = s.all6.forwarding != 0 || l.conf6.forceForwarding != 0
		f.Settings = []Setting{{all, s.all6.forwarding}}
		if l.conf6.hasForce {
			f.Settings = append(f.Settings, Setting{sysctlName("ipv6", iif, "force_forwarding"), l.conf6.forceForwarding})
		}
		f.Fix = []string{"sysctl -w " + all + "=1"}
	} else {
		one := sysctlName("ipv4", iif, "forwarding")
		f.On = l.conf4.forwarding != 0
		f.Settings = []Setting{{one, l.conf4.forwarding}, {"net.ipv4.ip_forward", s.all4.forwarding}}
		f.Fix = []string{"sysctl -w net.ipv4.ip_forward=1"}
		if s.all4.forwarding != 0 { // written before the link was there, or switched off for it
			f.Fix = []string{"sysctl -w " + one + "=1"}
		}
	}
	state := "off"
	if f.On {
		state, f.Fix = "on", nil
	}
	f.Evidence = fmt.Sprintf("forwarding of %s packets from %s is %s: %s", familyName(ipv6), iif, state, f.Settings[0])
	for _, more := range f.Settings[1:] {
		f.Evidence += ", " + more.String()
	}
	return f
}

func familyName(ipv6 bool) string {
	if ipv6 {
		return "IPv6"
	}
	return "IPv4"
}
