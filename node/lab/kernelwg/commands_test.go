//go:build linux

package kernelwg

import (
	"encoding/json"
	"fmt"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/wgnode/wgnode/node/lab"
	"github.com/wgnode/wgnode/probe"
	"github.com/wgnode/wgnode/probe/host/kernelwg"
)

// named gives K's peer a name, as wg-quick's file has it.
func (s *site) named(t *testing.T) {
	t.Helper()
	s.K.WriteFile("/etc/wireguard/wg0.conf", fmt.Sprintf("[Interface]\nPrivateKey = %s\n[Peer]\n# office\nPublicKey = %s\n",
		s.keyK.Private, s.keyP.Public), 0o600)
}

// says runs wgnode on K, and wants its exit status and texts in what it says.
func (s *site) says(t *testing.T, status int, args []string, texts ...string) (out string) {
	t.Helper()
	out, got, err := s.K.Try(append([]string{lab.Wgnode(t)}, args...)...)
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range texts {
		if !strings.Contains(out, text) {
			t.Errorf("wgnode %s does not say %q", strings.Join(args, " "), text)
		}
	}
	if got != status || t.Failed() {
		t.Fatalf("wgnode %s: status %d, want %d\n%s", strings.Join(args, " "), got, status, out)
	}
	return out
}

// level is what this kernel allows.
func level(t *testing.T) string {
	t.Helper()
	l, err := kernelwg.Possible()
	if l != probe.LevelExact {
		t.Logf("level %s: %v", l, err)
	}
	return string(l)
}

// Every command that looks takes a device of the kernel's, with no node running; one that
// changes a node says what does it here.
func TestCommandsOnKernelDevice(t *testing.T) {
	s := newSite(t)
	s.bothKernel(t)
	s.named(t)
	at := `"level": "` + level(t) + `"`
	s.says(t, 0, []string{}, "wg0", "kernel")
	s.says(t, 0, []string{"explain", "office", "--json"}, at, `"code": "healthy"`, "wg0 is the kernel's WireGuard")
	s.says(t, 0, []string{"doctor", "--json"}, at, `"peer_name": "office"`)
	s.says(t, 0, []string{"trace", "wg0", "10.7.0.2", "--json"}, at, `"answered": true`)
	s.says(t, 0, []string{"ping", "wg0", "office", "-c", "2", "-i", "0.2", "--json"}, at, `"answered": 2`, `"lost": 0`)
	bundle := filepath.Join(t.TempDir(), "b.tar.gz")
	s.says(t, 0, []string{"bundle", "wg0", "-w", bundle, "--for", "10ms"}, bundle)
	if out := s.says(t, 0, []string{"doctor", "-r", bundle}, "office"); strings.Contains(out, s.keyK.Private) {
		t.Error("a bundle has a secret")
	}
	s.says(t, 0, []string{"drops", "wg0", "--for", "10ms"}, "looking at what the kernel drops of wg0")
	s.says(t, 1, []string{"reload", "wg0"}, "is a WireGuard device of the kernel's", "wg syncconf")
	s.says(t, 1, []string{"down", "wg0"}, "is a WireGuard device of the kernel's", "wg-quick down wg0")
	s.says(t, 1, []string{"record", "wg0", "--keys", "--snaplen", "0", "-w", "/run/x"}, "whose keys are not read")
	s.says(t, 2, []string{"watch", "wg1"}, `unknown word "wg1"`, "running: wg0")
	s.says(t, 1, []string{"doctor", "wg1"}, "node wg1: not running", "running: wg0")
	out, status, err := s.K.Try("setpriv", "--bounding-set=-net_admin", "--inh-caps=-net_admin", lab.Wgnode(t), "watch", "wg0")
	if err != nil || status != 1 || !strings.Contains(out, "CAP_NET_ADMIN") {
		t.Errorf("without CAP_NET_ADMIN: status %d, %v\n%s", status, err, out)
	}

	s.ordinary(t)

	w := s.K.Start(lab.Wgnode(t), "watch", "--json", "wg0", "icmp")
	w.WaitOutput(t.Context(), "is the kernel's WireGuard")
	s.K.Until("ping -c1 -W1 10.7.0.2") // the first may be sent before the watch begins
	w.WaitOutput(t.Context(), `"checkpoint":"A6"`)
	s.K.Run("ip", "link", "del", "wg0")
	if err := w.Wait(); err == nil || !strings.Contains(w.Output(), "went down") {
		t.Errorf("the device is deleted: %v\n%s", err, w.Output())
	}
}

// ordinary asks as a user who may not look at the device, and is told what it takes.
func (s *site) ordinary(t *testing.T) {
	t.Helper()
	for _, args := range [][]string{{"explain", "wg0", "10.7.0.2"}, {"doctor"}, {"trace", "wg0", "10.7.0.2"}, {"watch", "wg0"},
		{"record", "wg0", "-w", "/tmp/x.pcapng"}, {"drops", "wg0"}, {"ping", "wg0", "10.7.0.2"},
		{"monitor"}} {
		out, status, err := s.K.Try(append([]string{"setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", lab.Wgnode(t)}, args...)...)
		if err != nil || status == 0 || !strings.Contains(out, "sudo wgnode "+args[0]) || !strings.Contains(out, "CAP_") {
			t.Errorf("%v as an ordinary user: status %d, %v\n%s", args, status, err, out)
		}
	}
}

// What wg-quick's file has and the device lacks is found, with how to apply it, and the endpoint is
// known as it is written. No secret of the file is told.
func TestFileOfKernelDevice(t *testing.T) {
	s := newSite(t)
	s.bothKernel(t)
	branch := lab.NewKey(t)
	s.K.WriteFile("/etc/wireguard/wg0.conf", fmt.Sprintf("[Interface]\nPrivateKey = %s\n"+
		"[Peer]\n# office\nPublicKey = %s\nAllowedIPs = 10.7.0.2/32, 10.8.0.0/24\nEndpoint = office.example:51820\n"+
		"[Peer]\n# branch\nPublicKey = %s\nPresharedKey = %s\nAllowedIPs = 10.7.0.9/32\nEndpoint = branch.example:51820\n",
		s.keyK.Private, s.keyP.Public, branch.Public, branch.Private), 0o600)
	s.K.Run("ping", "-c1", "-W60", "10.7.0.2")
	out := s.says(t, 0, []string{"doctor", "--json"}, "/etc/wireguard/wg0.conf has 10.8.0.0/24 for office, peer branch, which wg0 lacks",
		"wg syncconf wg0", `"written": "office.example:51820"`)
	out += s.says(t, 2, []string{"explain", "wg0", "10.7.0.9"}, "no-allowedips-match (config, at A1, on this host, certain)",
		"gives 10.7.0.9 to branch, and wg0 does not")
	// A session that is no more, and an endpoint that the device has not.
	s.K.Run("bash", "-ec", "wg set wg0 peer '"+s.keyP.Public+"' remove; wg set wg0 peer '"+s.keyP.Public+"' allowed-ips 10.7.0.2/32")
	out += s.says(t, 2, []string{"explain", "wg0", "10.7.0.2"}, "no-endpoint (config, at A2, on this host, certain)",
		"has office.example:51820 as the endpoint of", "getent ahosts office.example")
	for _, secret := range []string{s.keyK.Private, branch.Private} {
		if strings.Contains(out, secret) {
			t.Error("a secret is told")
		}
	}
	s.K.Run("chmod", "666", "/etc/wireguard/wg0.conf")
	s.says(t, 0, []string{"doctor", "--json"}, "what /etc/wireguard/wg0.conf says is not used")
}

// merged is some of what `wgnode merge --json` prints.
type merged struct {
	Hosts []struct {
		Level string `json:"level"`
	} `json:"hosts"`
	Links []struct {
		Legs []struct {
			What                         string
			Sent, Arrived, Lost, Unknown uint64
		} `json:"legs"`
	} `json:"links"`
	Flows []struct {
		Target  string `json:"target"`
		Verdict struct {
			Code string `json:"code"`
		} `json:"verdict"`
		Hops []struct{ A, B string } `json:"hops"`
	} `json:"flows"`
}

// recorded records on hosts while during runs, and merges that.
func recorded(t *testing.T, during func(), hosts ...*lab.Host) *merged {
	t.Helper()
	var files []string
	var all []*lab.Proc
	for _, h := range hosts {
		file := filepath.Join(t.TempDir(), h.Name()+".pcapng")
		p := h.Start(lab.Wgnode(t), "record", "wg0", "-w", file)
		p.WaitOutput(t.Context(), "recording wg0")
		files, all = append(files, file), append(all, p)
	}
	during()
	for _, p := range all {
		if err := p.Signal(syscall.SIGINT); err != nil {
			t.Fatal(err)
		}
		if err := p.Wait(); err != nil {
			t.Fatalf("record: %v\n%s", err, p.Output())
		}
	}
	// On a slow machine a segment may be sent again when the connection has ended, and is refused:
	// what the flow's verdict is does not matter here.
	text, _, err := hosts[0].Try(append([]string{lab.Wgnode(t), "merge", "--json"}, files...)...)
	if err != nil {
		t.Fatal(err)
	}
	r := new(merged)
	if err := json.Unmarshal([]byte(text), r); err != nil {
		t.Fatal(err)
	}
	return r
}

// Recordings of both ends are joined, whichever of them is the kernel's: each message of one
// end is found at the other.
func TestMergeWithKernel(t *testing.T) {
	for name, up := range map[string]func(*site, testing.TB){"wgnode": (*site).withWgnode, "kernel": (*site).bothKernel} {
		t.Run(name, func(t *testing.T) {
			s := newSite(t)
			up(s, t)
			r := recorded(t, func() {
				s.transfer(t, "10.7.0.2:5001", transferred)
				s.K.Run("ping", "-c1", "-W60", "10.7.0.2") // what was on its way before has come
			}, s.K, s.P)
			if r.Hosts[0].Level != level(t) {
				t.Errorf("level %s", r.Hosts[0].Level)
			}
			if messages := r.joined(t); messages < transferred/1420 || len(r.Flows) == 0 {
				t.Errorf("%d messages, flows %+v", messages, r.Flows)
			}
		})
	}
}

// joined is how many messages were found at both ends, which are to be all of them. What one end sends
// while the other one has ended already, such as the end of a connection, may have arrived.
func (r *merged) joined(t *testing.T) (messages uint64) {
	t.Helper()
	for _, l := range r.Links {
		for _, way := range l.Legs {
			if way.Lost > 0 || way.Sent != way.Arrived+way.Unknown {
				t.Errorf("not all are joined: %+v", way)
			}
			messages += way.Arrived
		}
	}
	return messages
}

// A hub of the kernel's between two spokes of wgnode's: their recordings and its are one ladder.
func TestMergeKernelHub(t *testing.T) {
	s := newSite(t)
	c, keyC := s.Lab.Host("c"), lab.NewKey(t)
	s.Link(s.P.End("eth1", "198.51.100.1/24"), c.End("eth0", "198.51.100.2/24"))
	peer := func(k lab.Key, allowed string) string {
		return fmt.Sprintf("[Peer]\nPublicKey = %s\nAllowedIPs = %s\n", k.Public, allowed)
	}
	text := fmt.Sprintf("[Interface]\nPrivateKey = %s\nListenPort = 51820\n", s.keyP.Private)
	kernel(t, s.P, lab.Tunnel{Name: "wg0", Addrs: []string{"10.7.0.2/24"},
		Conf: text + peer(s.keyK, "10.7.0.1/32") + peer(keyC, "10.7.0.3/32")})
	s.P.Sysctl("net.ipv4.ip_forward", "1")
	s.wgnode(t, s.K, conf(s.keyK, s.keyP, "192.0.2.2:51820", "10.7.0.0/24"), "10.7.0.1/24")
	s.wgnode(t, c, conf(keyC, s.keyP, "198.51.100.1:51820", "10.7.0.0/24"), "10.7.0.3/24")
	c.Ping("10.7.0.2") // so that the hub knows where it is
	r := recorded(t, func() { s.K.Run("ping", "-c3", "-i0.3", "-W60", "10.7.0.3") }, s.K, s.P, c)
	if n := r.joined(t); n < 12 {
		t.Errorf("%d messages", n)
	}
	found := false
	for _, f := range r.Flows {
		found = found || f.Target == "10.7.0.3" && f.Verdict.Code == "healthy" && len(f.Hops) == 2
	}
	if !found || r.Hosts[1].Level != level(t) {
		t.Errorf("%+v", r)
	}
}

// A monitor has the past of the device, and looks at one that comes later, as long as that is
// there. It ends when it is asked to, and leaves nothing.
func TestMonitor(t *testing.T) {
	s := newSite(t)
	s.bothKernel(t)
	s.named(t)
	m := s.K.Start(lab.Wgnode(t), "monitor", "--memory", "4", "--metrics", "unix:/run/metrics")
	m.WaitOutput(t.Context(), "msg=ready")
	s.K.Run("ping", "-c1", "-W60", "10.7.0.2")
	s.says(t, 0, []string{"doctor", "--json"}, "with what `wgnode monitor` keeps", `"checkpoint": "A6"`, `"state": "up"`)
	file := filepath.Join(t.TempDir(), "past.pcapng")
	s.says(t, 0, []string{"record", "wg0", "-w", file, "--for", "10ms"})
	s.says(t, 0, []string{"watch", "-r", file}, "A1 ", "A4 ", "A5 ", "A6 ", "initiation")
	s.says(t, 1, []string{"monitor", "wg0"}, "another process serves it")

	kernel(t, s.K, lab.Tunnel{Name: "wg1", Conf: strings.Replace(conf(lab.NewKey(t), s.keyK, "", "10.9.0.2/32"), "51820", "51821", 1),
		Addrs: []string{"10.9.0.1/24"}})
	m.WaitOutput(t.Context(), "interface=wg1")
	s.says(t, 0, []string{"doctor", "wg1"}, "with what `wgnode monitor` keeps")
	s.K.Run("ip", "link", "del", "wg1")
	m.WaitOutput(t.Context(), `not looked at any more" interface=wg1`)
	if err := m.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := m.Wait(); err != nil {
		t.Errorf("monitor: %v\n%s", err, m.Output())
	}
	if left := s.K.Run("ls", "/run/wgnode/kernel"); left != "" {
		t.Errorf("it leaves %s", left)
	}
}
