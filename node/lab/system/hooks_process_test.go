//go:build linux

package system

import (
	"os"
	"strings"
	"testing"

	"github.com/wgnode/wgnode/node/lab"
	"github.com/wgnode/wgnode/node/lab/sitetest"
)

// Hooks of up have the terminal of the command, as those of wg-quick do, and the
// node that stays behind has none.
func TestNodeHasNoTerminal(t *testing.T) {
	lab.Need(t, "bash", "ip", "ps", "script")
	t.Parallel()
	s := newSite(t, false)
	hooked(t, s, "PostUp = ps -o tty= -p $$ | sed 's/[0-9].*//' >> /etc/log")
	s.A.Run("script", "-qec", s.Wgnode+" up wg0", os.DevNull)
	wantLog(t, s, "up", loggedUp+"pts/\n")
	if tty := strings.TrimSpace(s.A.Run("sh", "-c", `ps -o tty= -p $(ps -e -o pid=,args= | awk '/[w]gnode run/ { print $1 }')`)); tty != "?" {
		t.Errorf("the node's terminal is %s", tty)
	}
	s.A.Run(s.Wgnode, "down", "wg0")
}

// Neither a hook nor the node itself gets what the caller of up has open.
func TestHooksInheritNothing(t *testing.T) {
	lab.Need(t, "bash", "flock", "ip", "ps")
	t.Parallel()
	s := newSite(t, false)
	list := `for fd in /proc/$$/fd/*; do test ! -L $fd || echo "${fd##*/} $(readlink $fd)"; done | grep -v '^[012] ' >> /etc/log || true`
	hooked(t, s, "PreUp = "+list, "PostUp = "+list, "PostDown = "+list)
	s.A.Run("bash", "-ec", `exec 9>/etc/lock; flock 9; exec 11</etc/hosts; "$0" up wg0`, s.Wgnode)
	wantLog(t, s, "up", loggedUp)
	s.A.Run("flock", "-n", "/etc/lock", "true")
	s.A.Run("bash", "-ec", `exec 11</etc/hosts; "$0" down wg0`, s.Wgnode)
	wantLog(t, s, "down", loggedDown)
}

// The status of a hook that fails is that of the command, as with wg-quick.
func TestHooksGiveTheirStatus(t *testing.T) {
	lab.Need(t, "bash", "ip", "ps")
	t.Parallel()
	for _, tc := range []struct {
		name, hook, command string
		want                int
	}{
		{name: "up", hook: "PostUp = exit 37", command: "up", want: 37},
		{name: "run", hook: "PreUp = no-such-program", command: "run", want: 127},
		{name: "down", hook: "PreDown = exit 9", command: "down", want: 9},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s := newSite(t, false)
			hooked(t, s, tc.hook)
			if tc.command == "down" {
				s.A.Run(s.Wgnode, "up", "wg0")
			}
			sitetest.Fails(t, s.A, tc.want, "hook: exit status", s.Wgnode, tc.command, "wg0")
		})
	}
}

// $CONFIG_FILE is the path of the file itself, wherever a hook runs.
func TestHooksKnowTheirFile(t *testing.T) {
	lab.Need(t, "bash", "ip", "ps")
	t.Parallel()
	s := newSite(t, false)
	hooked(t, s, `PostUp = echo "up $CONFIG_FILE" >> /etc/log`, `PostDown = echo "down $CONFIG_FILE" >> /etc/log`)
	s.A.Run("sh", "-ec", `cd /etc; mv wireguard/wg0.conf real.conf; ln -s ../real.conf wireguard/wg0.conf
		"$0" up ./wireguard/wg0.conf; "$0" down wg0`, s.Wgnode)
	wantLog(t, s, "up and down", loggedUp+"up /etc/real.conf\n"+loggedDown+"down /etc/real.conf\n")
}
