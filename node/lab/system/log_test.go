//go:build linux

package system

import (
	"slices"
	"strings"
	"testing"

	"github.com/wgnode/wgnode/node/lab"
	"github.com/wgnode/wgnode/node/lab/sitetest"
)

// A log has what happens, one line each in one form, and what the device says of
// each handshake only where that is asked for. It has no key.
func TestLogLevels(t *testing.T) {
	lab.Need(t, "ip", "curl")
	t.Parallel()
	s := newSite(t, false)
	s.Up(s.H, s.ConfH)
	logged := func(flags ...string) string {
		t.Helper()
		s.A.WriteFile("/etc/wireguard/wg0.conf", s.ConfA.Text, 0o600)
		s.A.Run(append([]string{s.Wgnode, "up", "wg0", "--log", "/run/log"}, flags...)...)
		if got := s.A.Run("curl", "-sS", "-m10", "http://"+s.Web()); got != "hello" {
			t.Fatalf("curl printed %q", got)
		}
		pid := sitetest.PidOf(t, s.A)
		s.A.Run("kill", pid) // which has the node itself say what it undoes
		s.A.Until("! test -e /run/wgnode/wg0.json")
		log := s.A.ReadFile("/run/log")
		s.A.Run("rm", "/run/log")
		begin := "time="
		if slices.Contains(flags, "json") {
			begin = `{"time":"`
		}
		for line := range strings.Lines(log) {
			if !strings.HasPrefix(line, begin) {
				t.Errorf("%v: the log has a line of another form: %q", flags, line)
			}
		}
		for _, key := range []string{s.Alice.Private, s.Gateway.Private} {
			if strings.Contains(log, key) {
				t.Errorf("%v: the log has a private key", flags)
			}
		}
		return log
	}
	if log := logged(); strings.Contains(log, "level=DEBUG") || !strings.Contains(log, "level=INFO msg=up interface=wg0\n") ||
		!strings.Contains(log, `level=INFO msg="[#] ip link delete dev wg0"`) || !strings.Contains(log, "level=INFO msg=down interface=wg0\n") {
		t.Errorf("by default the log has\n%s", log)
	}
	if log := logged("--log-level", "debug"); !strings.Contains(log, "level=DEBUG") || !strings.Contains(log, "Sending handshake initiation") {
		t.Errorf("with debug the log has\n%s", log)
	}
	if log := logged("--log-level", "debug", "--log-format", "json"); !strings.Contains(log, `,"level":"INFO","msg":"up","interface":"wg0"}`) {
		t.Errorf("as JSON the log has\n%s", log)
	}
	if log := logged("--log-level", "error"); log != "" {
		t.Errorf("with error the log has\n%s", log)
	}
	sitetest.Fails(t, s.A, 2, "--log-level loud: want error, warn, info or debug", s.Wgnode, "up", "wg0", "--log-level", "loud")
}
