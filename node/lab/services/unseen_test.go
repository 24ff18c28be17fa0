//go:build linux

package services

import (
	"strings"
	"testing"

	"github.com/wgnode/wgnode/node/lab"
	"github.com/wgnode/wgnode/node/lab/sitetest"
	"github.com/wgnode/wgnode/probe/patience"
)

// Who may not see what the kernel drops is told so, once by each command, and has the rest: an
// ordinary user, root with what a container has by default, and root on a kernel without BTF.
func TestDropsUnseen(t *testing.T) {
	lab.Need(t, "setpriv", "unshare", "mount")
	const (
		rights   = "the capabilities CAP_BPF and CAP_PERFMON, or CAP_SYS_ADMIN, are missing"
		noBTF    = "this kernel does not report what it drops: it does not describe its types"
		unasked  = "what this host's kernel does with the encrypted packets: of a node without an interface"
		defaults = "chown,+dac_override,+fowner,+fsetid,+kill,+setgid,+setuid,+setpcap,+net_bind_service,+net_raw,+sys_chroot,+mknod," +
			"+audit_write,+setfcap" // of a container
	)
	for _, c := range []struct {
		name         string
		node, itself string // what the node's answers and what commands that look themselves lack
		before       func(*nobody) []string
	}{
		{"an ordinary user", unasked, rights, (*nobody).unprivileged},
		{"a container's root", unasked, rights, func(*nobody) []string {
			return []string{"setpriv", "--inh-caps=-all", "--bounding-set=-all,+" + defaults}
		}},
		{"without BTF", noBTF, noBTF, func(*nobody) []string {
			return []string{"unshare", "--mount", "sh", "-c", "mount -t tmpfs none /sys/kernel/btf && exec \"$0\" \"$@\""}
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			n := newNobody(t, newSite(t, false))
			n.Up(n.H, n.ConfH)
			up := []string{"up", n.file("wg0.conf", n.ConfA.Text), "--netstack"}
			if c.node == noBTF {
				if _, _, err := n.A.Try("umount", "/dev/net/tun"); err != nil { // where there is one, newNobody has hidden it
					t.Fatal(err)
				}
				up = up[:2]
			}
			wgnode := func(args ...string) []string { return append(append(c.before(n), n.program), args...) }
			n.A.Run(wgnode(up...)...)
			says := func(status int, lacks string, args ...string) {
				t.Helper()
				out, got, err := n.A.Try(wgnode(args...)...)
				if err != nil {
					t.Fatal(err)
				}
				text := strings.Join(strings.Fields(out), " ")
				if times := strings.Count(text, lacks); got != status || lacks != "" && times != 1 {
					t.Errorf("%q: status %d, says %q %d times:\n%s", args, got, lacks, times, out)
				}
			}
			says(0, "", "explain", "wg0", n.Web())
			says(0, c.node, "doctor", "wg0", "--for", "1s")
			sitetest.NFT(n.R, "forward", "udp dport 51820 drop")
			says(2, c.node, "explain", "wg0", n.Web(), "--timeout", "3s")
			says(1, c.itself, "drops", "wg0", "--for", "1s")
			p := n.A.Start(wgnode("watch", "wg0", "--drops", "--past")...)
			p.WaitOutput(patience.Context(t), "A4 udp-send")
			p.Stop()
			if out := p.Output(); strings.Count(out, "what the kernel drops is not shown: "+c.itself) != 1 {
				t.Errorf("watch says:\n%s", out)
			}
		})
	}
}
