package finding

import (
	"fmt"
	"net"
	"slices"
	"strings"
	"time"

	"github.com/wgnode/wgnode/probe/diagnose"
	"github.com/wgnode/wgnode/probe/fix"
)

// failedOver tells of peers that are heard at one address of their name because another
// one, which was tried first, did not answer. The node leaves an address that the name still
// has for no other reason.
func failedOver(f *Facts) []diagnose.Finding {
	var found []diagnose.Finding
	for i := range f.Peers {
		p := &f.Peers[i]
		at := slices.Index(p.Addresses, p.Endpoint)
		if at < 0 || p.Heard.Before(p.Since) {
			continue
		}
		var silent []string
		for _, a := range p.Addresses {
			if a != p.Endpoint && slices.Contains(p.Left, a) {
				silent = append(silent, a.Addr().String())
			}
		}
		if len(silent) == 0 {
			continue
		}
		name := hostOf(p.Written)
		found = append(found, diagnose.Finding{Peer: p.Key,
			Summary: fmt.Sprintf("%s, the endpoint of %s, has several addresses: at %s no handshake was answered, so that since %s %s is used",
				name, p.label(), strings.Join(silent, " and "), p.Since.Format(time.TimeOnly), p.Endpoint.Addr()),
			Fix: fix.Steps{fix.Note("is the name right? Each start tries its addresses in this order:"), fix.Check("getent ahosts %s", name)}})
	}
	return found
}

// hostOf is the host of an endpoint as it is written.
func hostOf(written string) string {
	host, _, err := net.SplitHostPort(written)
	if err != nil {
		return written
	}
	return host
}
