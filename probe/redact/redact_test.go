package redact_test

import (
	"math/rand/v2"
	"net/netip"
	"strings"
	"testing"

	"github.com/wgnode/wgnode/probe"
	"github.com/wgnode/wgnode/probe/key"
	"github.com/wgnode/wgnode/probe/redact"
)

// Hooks keep what sets up the network, and nothing that may be a secret.
func TestCommand(t *testing.T) {
	for _, test := range []struct{ command, keeps, hides string }{
		{"iptables -A FORWARD -i %i -j ACCEPT; iptables -t nat -A POSTROUTING -o eth0 -j MASQUERADE",
			"iptables -A FORWARD -i %i -j ACCEPT; iptables -t nat -A POSTROUTING -o eth0 -j MASQUERADE", ""},
		{"ip rule add from 10.0.0.0/24 table 200 priority 100", "ip rule add from 10.0.0.0/24 table 200 priority 100", ""},
		{"sysctl -w net.ipv4.ip_forward=1", "sysctl -w net.ipv4.ip_forward=1", ""},
		{"nft add rule inet filter forward iifname wg0 tcp dport { 22, 8000-8100 } accept",
			"nft add rule inet filter forward iifname wg0 tcp dport { 22, 8000-8100 } accept", ""},
		{"wg set %i peer x preshared-key /etc/wireguard/psk", "wg set %i peer ", ""},
		{`curl -u admin:hunter2 "https://api.example/v1?token=tok-9"`, "curl -u ", "hunter2 tok-9 api.example admin"},
		{`curl -H 'Authorization: Bearer eyJhbGciOiJI.abc.def' https://x`, "curl -H", "eyJhbGciOiJI abc.def Bearer"},
		{"echo Sesame | sudo tee /etc/secret", "echo ", "Sesame"},
		{"mysql -phunter2 --password=hunter3", "", "hunter2 hunter3"},
		{"PASSWORD=hunter2 ./up.sh", "", "hunter2 up.sh"},
		{"cat /etc/wireguard/aB3dEf9hIjKl", "cat ", "aB3dEf9hIjKl"},
	} {
		got := redact.NewSecrets().Command(test.command, "wg0", "eth0")
		if !strings.Contains(got, test.keeps) {
			t.Errorf("%s: %q lacks %q", test.command, got, test.keeps)
		}
		for secret := range strings.FieldsSeq(test.hides) {
			if strings.Contains(got, secret) {
				t.Errorf("%s: %q holds %q", test.command, got, secret)
			}
		}
	}
}

func TestForeign(t *testing.T) {
	public := key.GeneratePrivate().Public()
	for _, test := range []struct{ text, keeps, hides string }{
		{"wg0: handshake with peer " + public.Base64() + " completed", public.Base64(), ""},
		{"GET https://user:hunter2@vpn.example:8443/dl/abc?token=t0k", "https:// vpn.example:8443", "hunter2 abc t0k user:"},
		{"password: hunter2", "password:", "hunter2"},
		{`{"api_key":"k-123","port":80}`, `port 80`, "k-123"},
		{"Authorization: Basic dXNlcjpodW50ZXIy", "Authorization:", "dXNlcjpodW50ZXIy"},
		{"login --password hunter2 now", "login now", "hunter2"},
		{"key ghp_16C7e42F292c6912E7710c838347Ae178B4a used", "used", "ghp_16C7e42F292c6912E7710c838347Ae178B4a"},
		{"no route to 10.0.0.2:51820 by eth0 (/usr/lib/x86_64-linux-gnu/wgnode)", "10.0.0.2:51820 eth0 /usr/lib/x86_64-linux-gnu/wgnode", ""},
	} {
		s := redact.NewSecrets()
		s.Public(public)
		got := s.Foreign(test.text)
		for part := range strings.FieldsSeq(test.keeps) {
			if !strings.Contains(got, part) {
				t.Errorf("%s: %q lacks %q", test.text, got, part)
			}
		}
		for secret := range strings.FieldsSeq(test.hides) {
			if strings.Contains(got, secret) {
				t.Errorf("%s: %q holds %q", test.text, got, secret)
			}
		}
	}
}

func TestRules(t *testing.T) {
	s := redact.NewSecrets()
	got := s.Rules("tcp dport 22 accept comment \"wgnode kill switch\" # handle 4\n" +
		"udp dport 9 drop comment \"call bob: Sesame\" # handle 5\nlog prefix \"Sesame \"\n-A INPUT -m comment --comment Sesame -j DROP\n" +
		"-A INPUT -m string --string \"Sesame\" --algo bm -j DROP\n")
	if strings.Contains(got, "Sesame") || strings.Contains(got, "bob") || !strings.Contains(got, "wgnode kill switch") ||
		strings.Count(got, "hidden") != 4 || !strings.Contains(got, "# handle 5") {
		t.Error(got)
	}
}

// Equal secrets have equal hashes, however they are written, and of another [redact.Secrets] others.
func TestHashes(t *testing.T) {
	k := key.GeneratePrivate()
	s := redact.NewSecrets()
	got := s.Config("[Interface]\nPrivateKey = " + k.Base64() + "\n[Peer]\nPresharedKey=" + k.Base64() + " # mine\nPublicKey = " +
		k.Public().Base64() + "\nEndpoint = vpn.example:51820\n# Name = bob\n# old key Sesame\nSesame\n")
	hash := s.Hidden(k[:])
	if strings.Count(got, hash) != 2 || s.Foreign(strings.ToUpper(k.Hex())) != hash || strings.Contains(got, "Sesame") ||
		!strings.Contains(got, "# Name = bob") || !strings.Contains(got, "vpn.example:51820") || !strings.Contains(got, k.Public().Base64()) {
		t.Error(got)
	}
	if redact.NewSecrets().Hidden(k[:]) == hash {
		t.Error("hashes of two are the same")
	}
}

// Prefixes are preserved: what two addresses have in common they have in common afterwards, and
// addresses of a range with a meaning stay there, alone.
func TestAddresses(t *testing.T) {
	n := redact.NewNames()
	r := rand.New(rand.NewPCG(1, 2))
	private := netip.MustParsePrefix("10.0.0.0/8")
	random := func() netip.Addr {
		if r.IntN(2) == 0 {
			return netip.AddrFrom4([4]byte{byte(r.IntN(223)), byte(r.Uint32()), byte(r.Uint32()), byte(r.Uint32())})
		}
		b := [16]byte{0x20, 1}
		for i := 2; i < 16; i++ {
			b[i] = byte(r.Uint32())
		}
		return netip.AddrFrom16(b)
	}
	moved := 0
	for range 2000 {
		a := random()
		b := a
		for i := range r.IntN(a.BitLen()) { // shares some bits
			p, err := a.Prefix(a.BitLen() - i - 1)
			if err != nil {
				t.Fatal(err)
			}
			b = p.Addr()
		}
		if got, want := common(n.Addr(a), n.Addr(b)), common(a, b); got != want {
			t.Fatalf("%v and %v have %d bits in common; %v and %v have %d", a, b, want, n.Addr(a), n.Addr(b), got)
		}
		if private.Contains(a) != private.Contains(n.Addr(a)) {
			t.Errorf("%v became %v", a, n.Addr(a))
		}
		if n.Addr(a) != a {
			moved++
		}
	}
	if moved < 1500 {
		t.Errorf("%d of 2000 addresses are others", moved)
	}
	for _, same := range []string{"0.0.0.0", "127.0.0.1", "::", "::1", "224.0.0.1", "ff02::1"} {
		if a := netip.MustParseAddr(same); n.Addr(a) != a {
			t.Errorf("%v became %v", a, n.Addr(a))
		}
	}
	p := netip.MustParsePrefix("10.66.0.0/16")
	if to := n.Prefix(p); to != to.Masked() || !to.Contains(n.Addr(netip.MustParseAddr("10.66.3.4"))) {
		t.Errorf("%v became %v", p, to)
	}
}

func common(a, b netip.Addr) int {
	x, y := a.AsSlice(), b.AsSlice()
	for i := range a.BitLen() {
		if (x[i/8]^y[i/8])&(0x80>>(i%8)) != 0 {
			return i
		}
	}
	return a.BitLen()
}

func TestText(t *testing.T) {
	n := redact.NewNames()
	public := key.GeneratePrivate().Public()
	for _, p := range []string{"bob", "Bob's laptop", "al"} {
		n.Meet("peer", p)
	}
	n.Meet("domain", "vpn.corp.example")
	n.Meet("interface", "wg0")
	n.Meet("interface", "wg-corp")
	const text = "at 12:30:00 bob (10.66.0.7, fd0a:1::7) at vpn.corp.example:51820 or 93.184.216.34:51820 by wg-corp, wg0; " +
		"al and Bob's laptop, not bobby; [2001:db8::5]:9 52:54:00:12:34:56 v1.2.3 /home/carol/x ::ffff:10.66.0.7 KEY"
	got := n.Text(strings.ReplaceAll(text, "KEY", public.Base64()))
	for _, gone := range []string{"bob ", "Bob's", "al and", "corp", "10.66.0.7", "fd0a:1::7", "93.184.216.34", "db8::5", "52:54:00", "carol",
		public.Base64()} {
		if strings.Contains(got, gone) {
			t.Errorf("%q is in %s", gone, got)
		}
	}
	for _, there := range []string{"12:30:00", "wg0", "bobby", "peer-1", "peer-2", "peer-3", "domain-1.example:51820", "v1.2.3", ":51820",
		n.Addr(netip.MustParseAddr("10.66.0.7")).String() + ",", "::ffff:" + n.Addr(netip.MustParseAddr("10.66.0.7")).String() + " ",
		n.Key(public).Base64(), "/home/user-1/x"} {
		if !strings.Contains(got, there) {
			t.Errorf("%q is not in %s", there, got)
		}
	}
	if again := n.Text(strings.ReplaceAll(text, "KEY", public.Base64())); again != got {
		t.Error("another time it is another text")
	}
}

func TestEvent(t *testing.T) {
	n := redact.NewNames()
	a, b := netip.MustParseAddr("10.66.0.7"), netip.MustParseAddr("2001:db8::5")
	k := key.GeneratePrivate().Public()
	e := probe.Event{InnerSrc: probe.AddrFrom(a), OuterDst: probe.AddrFrom(b), Proto: probe.ProtoTCP, Kind: probe.KindInner}
	n.Event(&e)
	if e.InnerSrc.Netip() != n.Addr(a) || e.OuterDst.Netip() != n.Addr(b) || e.InnerDst != (probe.Addr{}) {
		t.Errorf("%+v", e)
	}
	e = probe.Event{Proto: probe.ProtoTCP, Kind: probe.KindInner}
	e.SetSegment(probe.Segment{Seq: 1, Ack: 2, Stamp: 3, Echo: 4})
	n.Event(&e)
	if s, ok := e.Segment(); !ok || s.Seq != 1 || s.Echo != 4 {
		t.Errorf("a segment became %+v", s)
	}
	e = probe.Event{Kind: probe.KindInitiation}
	e.SetStaticKey(k)
	n.Event(&e)
	if got, ok := e.StaticKey(); !ok || got != n.Key(k) {
		t.Errorf("a key became %v", got)
	}
	e = probe.NetworkChange{Change: probe.ChangeSource, OldAddr: a, NewAddr: b, OldLink: "corp0", NewLink: "eth0"}.Event()
	n.Event(&e)
	if c, _ := e.Network(); c.OldAddr != n.Addr(a) || c.NewAddr != n.Addr(b) || c.OldLink != "if1" || c.NewLink != "eth0" {
		t.Errorf("a change became %+v", c)
	}
}

// Words of the program stay, whatever peers are called.
func TestJSON(t *testing.T) {
	n := redact.NewNames()
	n.Meet("peer", "healthy")
	got, err := redact.JSON([]byte(`{"code":"healthy","name":"healthy","state":"10.66.0.7","n":12345678901234567890}`), n.Text)
	if err != nil {
		t.Fatal(err)
	}
	if text := string(got); !strings.Contains(text, `"code": "healthy"`) || !strings.Contains(text, `"name": "peer-1"`) ||
		strings.Contains(text, "10.66.0.7") || !strings.Contains(text, "12345678901234567890") {
		t.Error(text)
	}
}
