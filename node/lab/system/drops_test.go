//go:build linux

package system

import (
	"bufio"
	"math/rand/v2"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/wgnode/wgnode/node/lab"
	"github.com/wgnode/wgnode/node/lab/sitetest"
	"github.com/wgnode/wgnode/probe/eventtext"
	"github.com/wgnode/wgnode/probe/patience"
)

// Nothing is attached when the command has ended, whatever ended it.
func TestDropsLeavesNothing(t *testing.T) {
	t.Parallel()
	s := newSite(t, false)
	s.UpBoth()
	before := sitetest.HostState(s.A)
	start := func() *lab.Proc { return s.A.Start(s.Wgnode, "drops", "wg0") }
	began := time.Now()
	p := start()
	p.WaitOutput(patience.Context(t), "looking at")
	longest := time.Since(began)
	objects := sitetest.ObjectsOf(t, p.Pid())
	if len(objects) < 5 { // a program, its link and three maps
		t.Errorf("while it runs: %v", objects)
	}
	if err := p.Signal(syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	if err := p.Wait(); err != nil {
		t.Errorf("Ctrl-C: %v", err)
	}
	objects.Gone(t)
	s.A.Run(s.Wgnode, "drops", "wg0", "--for", "10ms")
	had := 0
	for range 20 {
		after := rand.N(2 * longest)
		p := start()
		time.Sleep(after)
		for _, signal := range []syscall.Signal{syscall.SIGSTOP, syscall.SIGKILL} {
			if signal == syscall.SIGKILL {
				objects = sitetest.ObjectsOf(t, p.Pid())
			}
			if err := p.Signal(signal); err != nil {
				t.Fatal(err)
			}
		}
		<-p.Done()
		had += len(objects)
		objects.Gone(t)
	}
	t.Logf("%d objects were there when it was killed", had)
	sitetest.Unchanged(t, s.A, before)
}

// Who may not look, or has a kernel that does not tell, hears what it would take.
func TestDropsNotAllowed(t *testing.T) {
	lab.Need(t, "setpriv", "unshare", "mount")
	t.Parallel()
	s := newSite(t, false)
	s.Up(s.A, s.ConfA)
	const rights = "the capabilities CAP_BPF and CAP_PERFMON, or CAP_SYS_ADMIN, are missing"
	user := []string{"setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "--bounding-set=-all"}
	sitetest.Fails(t, s.A, 1, rights, append(user, s.Wgnode, "drops", "wg0")...)
	sitetest.Fails(t, s.A, 1, "hint: run it as root: sudo wgnode drops wg0", append(user, s.Wgnode, "drops", "wg0")...)
	less := []string{"setpriv", "--bounding-set=-bpf,-perfmon,-sys_admin"}
	sitetest.Fails(t, s.A, 1, rights, append(less, s.Wgnode, "drops", "wg0")...)
	sitetest.Fails(t, s.A, 1, "--cap-add BPF --cap-add PERFMON", append(less, s.Wgnode, "drops", "wg0")...)
	sitetest.Fails(t, s.A, 1, rights+": this is root of a user namespace", "unshare", "--user", "--map-root-user", s.Wgnode, "drops", "wg0")
	sitetest.Fails(t, s.A, 1, "this kernel does not report what it drops: it does not describe its types", "unshare", "--mount", "sh", "-c",
		"mount -t tmpfs none /sys/kernel/btf && exec "+s.Wgnode+" drops wg0")
	sitetest.Fails(t, s.A, 2, `unknown reason "TC_EGRES": did you mean "TC_EGRESS"?`, s.Wgnode, "drops", "wg0", "reason", "TC_EGRES")
	sitetest.Fails(t, s.A, 2, "has no checkpoint", s.Wgnode, "drops", "wg0", "A1")
	s.A.Run("setpriv", "--bounding-set=-sys_admin", s.Wgnode, "drops", "wg0", "--for", "10ms") // the two are enough
}

// On a terminal it is a table that is drawn again, and elsewhere lines; the tunnel may be in
// another network namespace than who asks.
func TestDropsAtATerminal(t *testing.T) {
	t.Parallel()
	s := newSite(t, false)
	s.UpBoth()
	person, program := terminal(t)
	cmd := s.A.Command(patience.Context(t), "unshare", "--net", s.Wgnode, "drops", "wg0")
	cmd.Stdin, cmd.Stdout, cmd.Stderr = program, program, program
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if err := program.Close(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewReader(person)
	await := func(want string) {
		t.Helper()
		for {
			line, err := lines.ReadString('\n')
			if err != nil {
				t.Fatalf("%s: %v", want, err)
			}
			if strings.Contains(line, want) {
				return
			}
		}
	}
	await("nothing was dropped so far")
	list := s.A.Start(s.Wgnode, "drops", "wg0")
	list.WaitOutput(patience.Context(t), "looking at")
	sitetest.NFT(s.A, "output", "ip daddr "+s.Inner(2)+" udp dport 999 drop")
	_, _, err := s.A.Try("bash", "-c", "echo >/dev/udp/"+s.Inner(2)+"/999")
	if err != nil {
		t.Fatal(err)
	}
	await("inner drop  NETFILTER_DROP     in nft_do_chain (output)")
	list.WaitOutput(patience.Context(t), " inner drop NETFILTER_DROP in nft_do_chain (output): gateway "+s.Inner(1)+":")
	list.Stop()
	if _, err := person.WriteString("\x03"); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err != nil {
		t.Error(err)
	}
}

// Prometheus has the counts for as long as somebody runs the command for it.
func TestDropsAsMetrics(t *testing.T) {
	lab.Need(t, "curl")
	t.Parallel()
	s := newSite(t, false)
	s.UpBoth()
	sitetest.Fails(t, s.A, 2, "want one of them", s.Wgnode, "drops", "wg0", "--json", "--metrics", "127.0.0.1:9587")
	sitetest.Fails(t, s.A, 2, "is not a loopback address", s.Wgnode, "drops", "wg0", "--metrics", "0.0.0.0:9587")
	p := s.A.Start(s.Wgnode, "drops", "wg0", "--metrics", "127.0.0.1:9587")
	p.WaitOutput(patience.Context(t), "looking at")
	sitetest.NFT(s.A, "output", "ip daddr "+s.Inner(2)+" udp dport 999 drop")
	if _, _, err := s.A.Try("bash", "-c", "echo >/dev/udp/"+s.Inner(2)+"/999"); err != nil {
		t.Fatal(err)
	}
	const want = `wgnode_kernel_dropped_packets_total{device="",interface="wg0",place="nft_do_chain",proven="true",` +
		`reason="NETFILTER_DROP",segment="inner"} 1`
	patience.See(t, want, func() (string, bool) {
		out := s.A.Run("curl", "-sS", "http://127.0.0.1:9587/metrics")
		return out, strings.Contains(out, want+"\n") && strings.Contains(out, `wgnode_kernel_drop_reports_lost_total{interface="wg0"} 0`)
	})
	if out := s.A.Run("curl", "-sS", "-H", "Host: example.org", "http://127.0.0.1:9587/metrics"); !strings.Contains(out, "--metrics-host") {
		t.Errorf("asked by another name: %s", out)
	}
	if err := p.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := p.Wait(); err != nil {
		t.Errorf("SIGTERM: %v; %s", err, p.Output())
	}
}

// A watch shows what the kernel drops among what passes the node; who may not see it hears
// that once, and has the rest.
func TestDropsInWatch(t *testing.T) {
	lab.Need(t, "setpriv")
	s := newSite(t, false)
	s.UpBoth()
	watch := func(before []string, args ...string) *lab.Proc {
		return s.A.Start(slices.Concat(before, []string{s.Wgnode, "watch", "wg0"}, args)...)
	}
	both, kernel := watch(nil, "--drops", "--json", "dst", "port", "998,999"), watch(nil, "reason", "netfilter_drop")
	for _, p := range []*lab.Proc{both, kernel} {
		p.WaitOutput(patience.Context(t), "looking at what the kernel drops of wg0")
	}
	for _, less := range [][]string{
		{"setpriv", "--bounding-set=-bpf,-perfmon,-sys_admin"},
		{"unshare", "--mount", "sh", "-c", "mount -t tmpfs none /sys/kernel/btf && exec \"$0\" \"$@\""},
	} {
		events := watch(less, "--drops", "--past")
		events.WaitOutput(patience.Context(t), "A1 tun-read")
		if out := events.Output(); strings.Count(out, "what the kernel drops is not shown") != 1 {
			t.Errorf("%s: %s", less, out)
		}
		events.Stop()
		sitetest.Fails(t, s.A, 1, "see what the kernel drops: ", slices.Concat(less, []string{s.Wgnode, "watch", "wg0", "NETFILTER_DROP"})...)
	}
	sitetest.Fails(t, s.A, 2, "wants none of it", s.Wgnode, "watch", "wg0", "--drops", "A1")
	sitetest.NFT(s.A, "output", "ip daddr "+s.Inner(2)+" udp dport 999 drop")
	for _, port := range []string{"998", "999"} {
		if _, _, err := s.A.Try("bash", "-c", "echo >/dev/udp/"+s.Inner(2)+"/"+port); err != nil {
			t.Fatal(err)
		}
	}
	kernel.WaitOutput(patience.Context(t), "kernel      gateway")
	kernel.WaitOutput(patience.Context(t), ":999 udp len 29 DROP NETFILTER_DROP in nft_do_chain (output)\n")
	both.WaitOutput(patience.Context(t), `"dport":999`)
	both.WaitOutput(patience.Context(t), `"dport":998`)
	passed, dropped := 0, 0
	for line := range strings.Lines(both.Output()) {
		var e eventtext.Object
		if !strings.HasPrefix(line, "{") {
			continue
		}
		if err := sitetest.Decode(t, "watch", line, &e); err != nil {
			t.Fatal(err)
		}
		if k := e.Kernel; e.Reason != "NETFILTER_DROP" {
			passed++
		} else if dropped++; e.Verdict != "dropped" || e.PeerName != "gateway" || e.Inner.DPort != 999 || k.Segment != "inner" ||
			k.Place != "nft_do_chain" || k.Hook != "output" || !k.Proven || k.Count != 1 {
			t.Errorf("%+v", e)
		}
	}
	if passed == 0 || dropped != 1 {
		t.Errorf("%d packets passed, and %d were dropped: %s", passed, dropped, both.Output())
	}
	for _, p := range []*lab.Proc{both, kernel} {
		objects := sitetest.ObjectsOf(t, p.Pid())
		if err := p.Signal(syscall.SIGINT); err != nil {
			t.Fatal(err)
		}
		if err := p.Wait(); err != nil || len(objects) == 0 {
			t.Errorf("Ctrl-C: %v; it had %v", err, objects)
		}
		objects.Gone(t)
	}
}

// Of a node without an interface the encrypted packets are looked at, and that is said.
func TestDropsWithoutInterface(t *testing.T) {
	lab.Need(t, "curl")
	t.Parallel()
	s := newSite(t, false)
	s.Up(s.H, s.ConfH)
	s.A.WriteFile("/etc/wireguard/wg0.conf", s.ConfA.Text, 0o600)
	s.A.Run(s.Wgnode, "up", "wg0", "--netstack", "--socks5", "1080")
	list := s.A.Start(s.Wgnode, "drops", "wg0")
	list.WaitOutput(patience.Context(t), "wg0 has no interface in this network: only its encrypted packets are looked at")
	list.WaitOutput(patience.Context(t), "looking at")
	sitetest.NFT(s.A, "output", "udp dport 51820 drop")
	calls := s.A.Start("curl", "-sS", "--socks5-hostname", "127.0.0.1:1080", "http://"+s.Web())
	list.WaitOutput(patience.Context(t), " outer drop NETFILTER_DROP in nft_do_chain (output): gateway ")
	calls.Stop()
}

// The tunnel may get another port and other AllowedIPs while it is looked at.
func TestDropsFollowsTheTunnel(t *testing.T) {
	t.Parallel()
	s := newSite(t, false)
	s.UpBoth()
	list := s.A.Start(s.Wgnode, "drops", "wg0", "--json")
	list.WaitOutput(patience.Context(t), "looking at")
	s.A.Run(s.Wgnode, "set", "wg0", "listen-port", "50001", "peer", s.Gateway.Public, "allowed-ips", "10.0.0.2/32,198.51.100.128/25")
	sitetest.NFT(s.A, "output", "udp sport 50001 drop; udp dport 999 drop")
	calls := s.A.Start("bash", "-c", "while :; do echo >/dev/udp/198.51.100.200/999; echo >/dev/udp/"+s.Inner(2)+"/998; sleep 0.2; done")
	list.WaitOutput(patience.Context(t), `"segment":"outer","reason":"NETFILTER_DROP"`)
	list.WaitOutput(patience.Context(t), `"dst":"198.51.100.200"`)
	calls.Stop()
}
