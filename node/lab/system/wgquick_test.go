//go:build linux

package system

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"golang.org/x/tools/txtar"

	"github.com/wgnode/wgnode/node/config"
	"github.com/wgnode/wgnode/node/lab"
	"github.com/wgnode/wgnode/node/lab/sitetest"
)

// meant are the differences from the installed wg-quick that are wanted, all of
// them: each with its reason, and what it makes of the state that wg-quick has
// left. A configuration that shows one names it, and must show it. What upstream has
// changed since the installed one, and what wgnode does about it, is the list named
// upstream.
var meant = map[string]struct {
	why      string
	since    string // the version of upstream's that does so too; "" if none does
	old, new string // old is a regular expression
}{
	"smallest MTU": {
		why:   "a packet must fit on the way to any peer; wg-quick took the largest",
		since: "1.0.20260223",
		old:   `(mtu.)1420\b`, new: `${1}1320`,
	},
	"PreUp has a link": {
		why:   "hooks may prepare the link; wg-quick ran PreUp before there was one",
		since: "1.0.20250521",
		old:   `(?m)^not there$`, new: `there`,
	},
	"number sign in hooks": {
		why:   "bash knows what a comment is; wg-quick cut hooks at a number sign",
		since: "1.0.20260223",
		old:   `(?m)^first$`, new: "first\na#b",
	},
	"link-local address unprotected": {
		why: "others on this host's networks cannot reach it; the kernel has not made it when the table comes, before the link is up",
		old: `(?m)^.* ip6 daddr fe80: fib saddr .*\n`, new: "",
	},
	"mark not saved": {
		why: "a mark that was chosen automatically, once saved, is a given one, and its table is no longer looked for",
		old: `(?m)^FwMark = .*\n`, new: "",
	},
	"link-local address not saved": {
		why: "the kernel makes one up for each new link; saved, they would become more each time",
		old: `(?m)^Address = fe80:.*\n`, new: "",
	},
	"comments saved": {
		why: "what the user had is not lost: a file with comments keeps its lines and their order",
		old: `(?m)^(Address = .*\n)(Table = .*\n)(SaveConfig = .*\n)(ListenPort = .*\n)PrivateKey = .*\n\n\[Peer\]\n`,
		new: fillKeys("PrivateKey = KEY\n") + "${4}${1}${2}${3}[Peer]\n# Name = alice\n",
	},
	"search domains saved": {
		why: "wg-quick saves the name servers alone; what the user had is not lost",
		old: `(?m)^(DNS = fd00::53)\n`, new: "$1\nDNS = corp.example\nDNS = lan\n",
	},
}

// quickTest is one configuration that both programs bring up.
type quickTest struct {
	name, conf string
	before     []string // commands
	meant      []string
}

// quickTests reads the configurations of a file in testdata.
func quickTests(t *testing.T, path string) []quickTest {
	t.Helper()
	archive, err := txtar.ParseFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var tests []quickTest
	for _, f := range archive.Files {
		test := quickTest{name: f.Name}
		for line := range strings.Lines(string(f.Data)) {
			command, isCommand := strings.CutPrefix(line, "#: ")
			difference, isMeant := strings.CutPrefix(line, "#~ ")
			switch {
			case isCommand:
				test.before = append(test.before, fillKeys(command))
			case isMeant:
				test.meant = append(test.meant, strings.TrimSpace(difference))
			default:
				test.conf += fillKeys(line)
			}
		}
		if strings.HasPrefix(test.name, "no newline") {
			test.conf = strings.TrimSuffix(test.conf, "\n")
		}
		tests = append(tests, test)
	}
	return tests
}

// ownPublic is the public key of KEY.
const ownPublic = "+Oktx6kaCG52uDPuv5ms3xjHr2xulL/sb/Sz1esX/Fk="

var keyWord = regexp.MustCompile(`\b(KEY|OWN|PSK|[A-E])\b`)

// fillKeys puts in the keys that words stand for: see the configurations.
func fillKeys(text string) string {
	return keyWord.ReplaceAllStringFunc(text, func(word string) string {
		switch word {
		case "KEY":
			return strings.Repeat("S", 42) + "U="
		case "OWN":
			return ownPublic
		case "PSK":
			return strings.Repeat("Z", 42) + "Y="
		}
		return strings.Repeat(word, 42) + "E=" // X25519 takes any 32 bytes for a public key
	})
}

// quickHost is a host of its own for one configuration.
type quickHost struct {
	*lab.Host
	path string // where programs are looked for
}

func newQuickHost(t *testing.T) *quickHost {
	l := lab.New(t)
	a, r := l.Host("a"), l.Host("r")
	l.Link(a.End("eth0", "10.9.1.2/24", "fd00:9:1::2/64"), r.End("eth0", "10.9.1.1/24", "fd00:9:1::1/64"))
	l.Link(a.End("eth1", "10.9.2.2/24", "fd00:9:2::2/64"), r.End("eth1", "10.9.2.1/24", "fd00:9:2::1/64"))
	dir := t.TempDir()
	h := &quickHost{a, dir + ":" + os.Getenv("PATH")}
	// It does what resolvconf does with its arguments and input, and keeps a log
	// of what changes something.
	h.WriteFile(filepath.Join(dir, "resolvconf"), `#!/bin/sh
test "$1" = -l || echo "resolvconf $*" >> /etc/resolvconf.log
case $1 in
-a) tee /etc/resolvconf."$2" | sed 's/^/	/' >> /etc/resolvconf.log ;;
-d) rm -f /etc/resolvconf."$2" ;;
-l) cat /etc/resolvconf."$2" ;;
esac
`, 0o755)
	h.script(`
		ip link set eth1 mtu 1400
		ip route add default via 10.9.1.1
		ip -6 route add default via fd00:9:1::1
		ip route add 192.0.2.0/24 via 10.9.2.1
		ip route add 198.51.100.0/24 via 10.9.1.1 mtu 1300
		ip -6 route add 2001:db8:2::/48 via fd00:9:2::1
		# wg-quick looks beside itself first.
		if test -e /usr/bin/resolvconf; then mount --bind ` + dir + `/resolvconf /usr/bin/resolvconf; fi`)
	return h
}

func (h *quickHost) script(text string) string { return h.Run("bash", "-ec", text) }

// with runs a program that finds the host's resolvconf.
func (h *quickHost) with(env string, args ...string) string {
	return h.Run(append([]string{"env", "PATH=" + h.path, env}, args...)...)
}

var (
	indexOfLink = regexp.MustCompile(`(?m)^\d+: `)
	linkLocal   = regexp.MustCompile(`(Address = |inet6 |ip6 daddr )fe80:[0-9a-f:]+`)
	// They are made of a secret that the kernel makes up.
	// The routes of such addresses come and go when the kernel is at it.
	localRoutes = regexp.MustCompile(`(?m)^.*\b(fe80:|ff00::/8).* dev wg.* proto kernel .*\n`)
	secret      = regexp.MustCompile(`(?m)^\S+/wg0/stable_secret:.*\n`)
	passing     = regexp.MustCompile(` (tentative|dynamic|expires \w+)|[ \t]+$`)
	// Latest handshake, received, sent: a new link's router solicitation may
	// have begun a handshake.
	traffic   = regexp.MustCompile(`(?m)^(wg0\t\S{44}\t\S+\t\S+\t\S+)\t\d+\t\d+\t\d+\t`)
	firstPort = regexp.MustCompile(`(?m)^(wg0\t\S+\t\S+)\t\d+\t(\S+)$`)
	// How large the super packets are that a device reads is its own affair.
	segments = regexp.MustCompile(` gso_max_segs \d+`)
)

// state is all that either program changes on a host.
func (h *quickHost) state(test quickTest) string {
	text := h.script(`
		for command in "ip -d address" "ip rule" "ip -6 rule" "ip route show table all" "ip -6 route show table all" "nft list ruleset" \
			"grep -rHs . /proc/sys/net/ipv4 /proc/sys/net/ipv6" "cat /etc/log" "cat /etc/resolvconf.log" "cat /etc/resolv.conf"; do
			echo "$ $command"
			$command 2>/dev/null || true
		done
		echo "$ wg"
		wg show all dump | sort`)
	text = localRoutes.ReplaceAllString(text, "")
	text = secret.ReplaceAllString(text, "")
	text = segments.ReplaceAllString(text, "")
	text = indexOfLink.ReplaceAllString(text, "N: ")
	text = linkLocal.ReplaceAllString(text, "${1}fe80:")
	text = passing.ReplaceAllString(text, "")
	text = traffic.ReplaceAllString(text, "$1\t-\t-\t-\t")
	if !strings.Contains(strings.ToLower(test.conf), "listenport") {
		text = firstPort.ReplaceAllString(text, "$1\t-\t$2")
	}
	return text
}

// saved is the configuration file, with the peers in a fixed order: that of
// wireguard-go is not.
func (h *quickHost) saved() string {
	text := strings.TrimRight(h.ReadFile("/etc/wireguard/wg0.conf"), "\n")
	sections := strings.Split(linkLocal.ReplaceAllString(text, "${1}fe80:"), "\n\n")
	slices.Sort(sections[1:])
	return strings.Join(sections, "\n\n") + "\n"
}

// upAndDown runs a program on the configuration and returns what it did: the
// state while the tunnel is up, what the hooks have seen on the way down, and
// the file that is saved.
func (h *quickHost) upAndDown(test quickTest, env, program string) (up, down string) {
	h.WriteFile("/etc/wireguard/wg0.conf", test.conf, 0o600)
	h.with(env, program, "up", "wg0")
	h.Settle()
	up = h.state(test)
	h.script("rm -f /etc/log /etc/resolvconf.log")
	h.with(env, program, "down", "wg0")
	down = h.script(`for f in log resolvconf.log; do echo "$ cat /etc/$f"; cat /etc/$f 2>/dev/null || true; rm -f /etc/$f; done`)
	return up, down + "$ saved\n" + h.saved()
}

// A drop-in leaves no difference to see, but for those that are meant; and
// nothing at all after down.
func TestAsWgQuick(t *testing.T) {
	lab.Need(t, "bash", "wg", "wg-quick", "ip", "nft", "sysctl", "ps")
	t.Parallel()
	installed := installedVersion(t)
	wgnode, quick := lab.Wgnode(t), "WG_QUICK_USERSPACE_IMPLEMENTATION="+lab.WireguardGo(t)
	for _, test := range quickTests(t, "testdata/wg-quick/configs.txtar") {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			h := newQuickHost(t)
			for _, command := range test.before {
				h.script(command)
			}
			before, all := h.state(test), sitetest.HostState(h.Host)
			up, down := h.upAndDown(test, "LC_ALL=C", wgnode)
			sitetest.Same(t, "left by down", before, h.state(test))
			sitetest.Same(t, "left by down", all, sitetest.HostState(h.Host))

			wantUp, wantDown := h.upAndDown(test, quick, "wg-quick")
			sitetest.Same(t, "up, -wg-quick +wgnode", test.allow(t, installed, wantUp+wantDown), up+down)
		})
	}
}

// installedVersion is that of wg-quick, which comes with wg and does not say it.
func installedVersion(t *testing.T) string {
	t.Helper()
	out, err := exec.Command("wg", "--version").Output()
	if err != nil {
		t.Fatal(err)
	}
	version := regexp.MustCompile(`\bv(\d\.\d\.\d{8})\b`).FindSubmatch(out)
	if version == nil {
		t.Fatalf("no version in %s", out)
	}
	return string(version[1])
}

// allow makes of what wg-quick does what is meant to be. The installed one may do
// so itself.
func (test quickTest) allow(t *testing.T, installed, theirs string) string {
	for _, name := range test.meant {
		difference, ok := meant[name]
		if !ok {
			t.Fatalf("%q is no difference that is meant", name)
		}
		if difference.since != "" && installed >= difference.since {
			continue
		}
		old := regexp.MustCompile(difference.old)
		if !old.MatchString(theirs) {
			t.Errorf("there is no difference %q", name)
		}
		theirs = old.ReplaceAllString(theirs, difference.new)
	}
	return theirs
}

// A file that Windows has written is read as any other: wg-quick takes each
// carriage return for a part of the value.
func TestCarriageReturns(t *testing.T) {
	lab.Need(t, "bash", "wg", "ip", "nft", "sysctl", "ps")
	t.Parallel()
	inLab := []string{"every key", "hooks with bashisms", "both default routes"}
	for _, test := range quickTests(t, "testdata/wg-quick/configs.txtar") {
		crlf := test
		crlf.conf = strings.ReplaceAll(test.conf, "\n", "\r\n")
		if slices.ContainsFunc(test.before, namesOfHost.MatchString) {
			continue
		}
		if want, got := rewritten(t, test.conf), rewritten(t, crlf.conf); want != got {
			sitetest.Same(t, test.name, want, got)
		}
		if !slices.Contains(inLab, test.name) {
			continue
		}
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			h := newQuickHost(t)
			wgnode := lab.Wgnode(t)
			wantUp, wantDown := h.upAndDown(test, "LC_ALL=C", wgnode)
			up, down := h.upAndDown(crlf, "LC_ALL=C", wgnode)
			sitetest.Same(t, "-LF +CRLF", wantUp+wantDown, up+strings.ReplaceAll(down, "\r\n", "\n"))
		})
	}
}

// namesOfHost matches a command that gives names to tables or services, which only
// that host knows then.
var namesOfHost = regexp.MustCompile(`/etc/(iproute2|services)`)

// rewritten is what a configuration is understood to be.
func rewritten(t *testing.T, text string) string {
	t.Helper()
	cfg, err := config.Parse(strings.NewReader(text), "wg0.conf")
	if err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	if err := cfg.WriteConf(&out); err != nil {
		t.Fatal(err)
	}
	return out.String()
}
