//go:build !linux

package observe

import (
	"context"
	"net/netip"

	"github.com/wgnode/wgnode/probe/evidence"
	"github.com/wgnode/wgnode/probe/host"
)

// WatchKernel returns evidence that says that nothing can be seen: this system's kernel
// does not tell what it does with packets.
func (s *Session) WatchKernel(context.Context, Selection) *evidence.KernelEvidence {
	why := host.NeedsLinux("a look at what the kernel does with packets").Error()
	s.evidence = &evidence.KernelEvidence{Blind: why, DropsBlind: why}
	return s.evidence
}

// count has nothing to count.
func (s *Session) count() {}

// SendBlocks are the policies of IPsec that keep this host from sending: of Linux's.
func SendBlocks(netip.AddrPort, uint8) []evidence.XfrmBlock { return nil }

// What is Linux's of a session, and of a packet that a kernel has shown.
type (
	tracing  struct{}
	dryRules struct{}
)
