package probe_test

import (
	"flag"
	"fmt"
	"strings"
	"testing"

	"github.com/wgnode/wgnode/probe"
	"github.com/wgnode/wgnode/probe/docpage"
)

var _ = flag.Bool("update", false, "write the pages of docs instead of comparing them")

// The page of checkpoints, of the seams that they are at, and of reasons.
func TestCheckpointsPage(t *testing.T) {
	var b strings.Builder
	b.WriteString("# Checkpoints and reasons\n\n" + docpage.Made("go test ./probe -run TestCheckpointsPage"))
	b.WriteString(`## Checkpoints

The host that sends the first packet of a flow is side A, the other is side B. On A the flow's packets
pass A1 to A6, on B they pass B1 to B8. The order of this table is that in which a packet and its reply pass them.
B5 and B6 do not exist where the destination is B itself. A2, B1, B2 and A3 are not needed while a session is up.

| checkpoint | side | seam | |
|---|---|---|---|
`)
	all := probe.Checkpoints("")
	for order := 1; order <= len(all); order++ {
		for _, c := range all {
			if c.Order() == order {
				fmt.Fprintf(&b, "| %s | %s | `%s` | %s |\n", c, c.Side(), c.Seam(), docpage.Cell(c.Text()))
			}
		}
	}
	b.WriteString(`
A seam is where packets pass between wgnode and what is around it: tun-read from the interface, udp-send to the
network, udp-receive from it, tun-write to the interface, forward to other hosts, device for what the WireGuard
device says. The UDP payload of a handshake initiation has 148 bytes, of a response 92, of a cookie reply 64, of a
keepalive 32. That of encrypted data has 32 bytes more than the packet in it, whose length is padded to a multiple of 16.

## Reasons

Why a packet went no further: in the output of watch, in [metrics](metrics.md) and in JSON. The reasons of
the kernel, such as NETFILTER_DROP, are the kernel's own: see [watch](watch.md#what-the-kernel-drops). Names do not change.

| reason | packets that were dropped |
|---|---|
`)
	for r := probe.ReasonNone + 1; int(r) < probe.NumReasons; r++ {
		fmt.Fprintf(&b, "| `%s` | %s |\n", r, docpage.Cell(r.Meaning()))
	}
	docpage.Check(t, "checkpoints.md", b.String())
}
