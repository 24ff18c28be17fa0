//go:build linux

package sitetest

import (
	"encoding/json"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/wgnode/wgnode/node/lab"
)

// HostState is all that up could leave behind on a host.
func HostState(h *lab.Host) string {
	h.Settle()
	state := h.Run("ip", "address") + h.Run("ip", "route", "show", "table", "all") +
		h.Run("ip", "-6", "route", "show", "table", "all") + h.Run("ip", "rule") + h.Run("ip", "-6", "rule") +
		h.Run("sh", "-c", "find /run/wgnode /run/wireguard -mindepth 1 2>/dev/null | sort; "+
			"ps -e -o stat=,comm= | grep -v ^Z | grep -c wgnode || true")
	// The kernel announces on its own time that an address is no duplicate.
	return regexp.MustCompile(` (tentative|expires \w+)`).ReplaceAllString(state, "")
}

// Unchanged wants the state of a host to be what HostState was before.
func Unchanged(t *testing.T, h *lab.Host, before string) {
	t.Helper()
	if diff := cmp.Diff(before, HostState(h)); diff != "" {
		t.Errorf("left behind:\n%s", diff)
	}
}

// Routing is all that leads packets.
func Routing(h *lab.Host) string {
	h.Settle()
	var state strings.Builder
	for _, command := range []string{
		"ip rule", "ip -6 rule", "ip route show table all", "ip -6 route show table all",
		"nft list ruleset", "sysctl net.ipv4.conf.all.src_valid_mark",
	} {
		fmt.Fprintf(&state, "$ %s\n%s", command, h.Run(strings.Fields(command)...))
	}
	// Each new interface gets another link-local address, when the kernel is at
	// it.
	text := regexp.MustCompile(`(?m)^.*(fe80:|ff00::/8).* dev wg.*\n`).ReplaceAllString(state.String(), "")
	return regexp.MustCompile(`(ip6 daddr fe80:)\S+|[ \t]+$`).ReplaceAllString(text, "$1")
}

// Same wants two states to be the same.
func Same(t *testing.T, what, want, got string) {
	t.Helper()
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("%s:\n%s", what, diff)
	}
}

// Fails runs a command that must fail with status and say what is wanted.
func Fails(t *testing.T, h *lab.Host, status int, want string, args ...string) {
	t.Helper()
	out, got, err := h.Try(args...)
	if err != nil || got != status || !strings.Contains(out, want) {
		t.Errorf("%v: status %d, %v, want %d and %q in\n%s", args, got, err, status, want, out)
	}
}

// AwaitNode returns when the node of A answers.
func (s *Site) AwaitNode() {
	s.T.Helper()
	s.A.Until("grep -q complete /run/wgnode/wg0.json 2>/dev/null && test -S /run/wgnode/wg0.sock")
}

// PidOf returns the process id, inside of the host, of the node of wg0.
func PidOf(t *testing.T, h *lab.Host) string {
	t.Helper()
	return pidIn(t, h, wg0Journal)
}

const wg0Journal = "/run/wgnode/wg0.json"

func pidIn(t *testing.T, h *lab.Host, journal string) string {
	t.Helper()
	var j struct{ Process struct{ PID int } }
	if err := json.Unmarshal([]byte(h.ReadFile(journal)), &j); err != nil {
		t.Fatal(err)
	}
	return strconv.Itoa(j.Process.PID)
}

// Kill kills the node of wg0 on A. When it returns the process has ended, but
// one of its threads may still be about to let go of the interface.
func (s *Site) Kill() {
	s.T.Helper()
	s.KillOn(s.A)
}

// KillOn is Kill for another host.
func (s *Site) KillOn(h *lab.Host) {
	s.T.Helper()
	s.KillOf(h, wg0Journal)
}

// KillOf is Kill for the node that has that journal.
func (s *Site) KillOf(h *lab.Host, journal string) {
	s.T.Helper()
	pid := pidIn(s.T, h, journal)
	h.Run("kill", "-9", pid)
	h.Until("! kill -0 " + pid + " 2>/dev/null || grep -q '^State:.Z' /proc/" + pid + "/status")
}
