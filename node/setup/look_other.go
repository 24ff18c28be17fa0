//go:build !linux

package setup

import "github.com/wgnode/wgnode/probe/host"

// LookAtFirewall would try this host's rules with packets that nobody sends.
func (s *Server) LookAtFirewall(string, Ways) (*Firewall, error) {
	return nil, host.NeedsLinux("a look at the firewall")
}
