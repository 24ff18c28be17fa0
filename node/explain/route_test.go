//go:build linux

package explain

import (
	"net/netip"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/wgnode/wgnode/probe/diagnose"
)

// ownNamespace moves the test to an empty network namespace, which vanishes with the
// test's thread, and runs ip(8) commands there.
func ownNamespace(t *testing.T, commands ...string) {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("needs root: makes a network namespace")
	}
	runtime.LockOSThread() // and never unlocked: the thread ends with the goroutine
	if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
		t.Skipf("needs network namespaces: %v", err)
	}
	for _, c := range commands {
		if out, err := exec.Command("ip", strings.Fields(c)...).CombinedOutput(); err != nil {
			t.Fatalf("ip %s: %v\n%s", c, err, out)
		}
	}
}

// Whichever is asked, explain, doctor's verdict or its finding, the fix is the command
// that helps on this host.
func TestOneFixForARoute(t *testing.T) {
	for _, tc := range []struct {
		name   string
		routes []string
		want   string
	}{
		{name: "route in the main table", routes: []string{"route add 192.0.2.0/24 dev wg0"},
			want: "ip -4 route add 192.0.2.7 via 198.51.100.1 dev up0"},
		{name: "a rule before it", routes: []string{"route add 192.0.2.0/24 dev wg0 table 77", "rule add to 192.0.2.0/24 lookup 77 priority 100"},
			want: "ip -4 rule add pref 99 to 192.0.2.7 lookup main"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			ownNamespace(t, append([]string{
				"link set lo up",
				"link add up0 type veth peer name far0", "link set up0 up", "link set far0 up", "address add 198.51.100.2/24 dev up0",
				"link add wg0 type veth peer name wg1", "link set wg0 up", "link set wg1 up", "address add 10.0.0.1/24 dev wg0",
				"route add default via 198.51.100.1",
			}, tc.routes...)...)
			a, _ := nodes(t, nil)
			s := a.Subject
			s.Interface, s.Kernel, s.Local = "wg0", true, nil
			peer := s.Tunnel.Peers()[0].Key
			if err := a.tun.SetEndpoint(peer, netip.MustParseAddrPort("192.0.2.7:51820")); err != nil {
				t.Fatal(err)
			}
			doctor, err := Doctor(t.Context(), s, DoctorRequest{})
			if err != nil {
				t.Fatal(err)
			}
			explained, err := Explain(t.Context(), s, Request{Target: netip.MustParseAddrPort("10.0.0.2:80"), Timeout: 2 * time.Second})
			if err != nil {
				t.Fatal(err)
			}
			seen := map[string]diagnose.Verdict{"explain": explained.Verdict, "doctor": doctor.Peers[0].Verdict}
			for _, f := range doctor.Findings {
				seen["finding"] = diagnose.Verdict{Code: f.Code, Fix: f.Fix}
			}
			for who, v := range seen {
				if v.Code != diagnose.EndpointInTunnel || !slices.Contains(v.Fix.Lines(), tc.want) {
					t.Errorf("%s: %s, fix %q; want %s and %q", who, v.Code, v.Fix.Lines(), diagnose.EndpointInTunnel, tc.want)
				}
			}
		})
	}
}
