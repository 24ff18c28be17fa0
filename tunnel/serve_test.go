package tunnel

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/netip"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gaissmai/bart"

	"github.com/wgnode/wgnode/probe"
	"github.com/wgnode/wgnode/probe/key"
	"github.com/wgnode/wgnode/tunnel/internal/tunneltest"
	"github.com/wgnode/wgnode/tunnel/uapi"
)

// newDown returns a tunnel that is not configured and opens no sockets.
func newDown(t testing.TB) *Tunnel {
	t.Helper()
	dev := tunneltest.NewIdleTUN()
	tn, err := New(dev, testBind(), Options{RecorderBytes: probe.MinRecorderBytes})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(tn.Close)
	return tn
}

// client is a connection from a client that sends what it reads from Reader,
// half-closes, and writes the answers to Writer.
type client struct {
	io.Reader
	io.Writer
	net.Conn
}

func (c client) Read(b []byte) (int, error)  { return c.Reader.Read(b) }
func (c client) Write(b []byte) (int, error) { return c.Writer.Write(b) }
func (c client) Close() error                { return nil }

// ask sends text to a tunnel and returns all that it answers.
func ask(tn *Tunnel, text string) string {
	var answer strings.Builder
	tn.HandleUAPI(client{Reader: strings.NewReader(text), Writer: &answer})
	return answer.String()
}

func TestHandleUAPI(t *testing.T) {
	k, peer := key.GeneratePrivate(), key.GeneratePrivate().Public()
	setup := fmt.Sprintf("set=1\nprivate_key=%s\npublic_key=%s\nallowed_ip=10.0.0.0/8\n\n", k.Hex(), peer.Hex())
	for name, test := range map[string]struct{ request, want string }{
		"set":                 {"set=1\nfwmark=1\n\n", "errno=0\n\n"},
		"two sets":            {"set=1\nfwmark=1\n\nset=1\nfwmark=2\n\n", "errno=0\n\nerrno=0\n\n"},
		"bad value":           {"set=1\nfwmark=x\n\n", "errno=-22\n\n"},
		"not a line":          {"set=1\nfwmark\n\n", "errno=-71\n\n"},
		"goes on after error": {"set=1\nnope=1\npublic_key=00\n\nset=1\n\n", "errno=-22\n\nerrno=0\n\n"},
		"long line":           {"set=1\nfwmark=" + strings.Repeat("0", 70000) + "\n\n", "errno=-5\n\n"},
		"get with more":       {"get=1\nx\n", "errno=-22\n\n"},
		"no request":          {"put=1\n\n", ""},
		"long operation":      {strings.Repeat("x", 100) + "\n", ""},
	} {
		t.Run(name, func(t *testing.T) {
			tn := newDown(t)
			if got := ask(tn, setup+test.request); got != "errno=0\n\n"+test.want {
				t.Errorf("got %q, want %q after the first answer", got, test.want)
			}
			if _, ok := tn.Lookup(netip.MustParseAddr("10.1.2.3")); !ok {
				t.Error("AllowedIPs are gone")
			}
		})
	}

	tn := newDown(t)
	status, err := uapi.ParseStatus(strings.NewReader(strings.TrimPrefix(ask(tn, setup+"get=1\n\n"), "errno=0\n\n")))
	if err != nil {
		t.Fatal(err)
	}
	if status.PrivateKey != k || status.Peer(peer) == nil {
		t.Errorf("get does not say what was set: %+v", status)
	}
}

// A client that is cut off in the middle of a request has changed nothing.
func TestHandleUAPICutShort(t *testing.T) {
	tn := newDown(t)
	for _, request := range []string{"set=1\nfwmark=7\n", "set=1\nfwmark=7", "set=1"} {
		if got := ask(tn, request); got != "" {
			t.Errorf("%q is answered %q", request, got)
		}
	}
	s, err := tn.Status()
	if err != nil {
		t.Fatal(err)
	}
	if s.FwMark != 0 {
		t.Errorf("fwmark is %d", s.FwMark)
	}
}

func TestServeUAPI(t *testing.T) {
	tn := newDown(t)
	l, err := net.Listen("unix", filepath.Join(t.TempDir(), "x.sock"))
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error)
	go func() { ended <- tn.ServeUAPI(l) }()
	// Two clients at once, neither of which hangs up by itself.
	var clients [2]net.Conn
	for i := range clients {
		if clients[i], err = net.Dial("unix", l.Addr().String()); err != nil {
			t.Fatal(err)
		}
		defer clients[i].Close()
	}
	for _, c := range clients {
		if _, err := io.WriteString(c, "get=1\n\n"); err != nil {
			t.Fatal(err)
		}
		r := bufio.NewReader(c)
		for line := ""; line != "errno=0\n"; {
			if line, err = r.ReadString('\n'); err != nil {
				t.Fatal(err)
			}
		}
	}
	_ = l.Close()
	if err := <-ended; err == nil {
		t.Error("ended without an error")
	}
	for _, c := range clients {
		if _, err := io.Copy(io.Discard, c); err != nil { // to the end of the connection
			t.Error(err)
		}
	}
}

// checkMirror compares Lookup with what the device says of itself.
func checkMirror(t testing.TB, tn *Tunnel, addrs []netip.Addr) {
	t.Helper()
	var b bytes.Buffer
	if err := tn.dev.IpcGetOperation(&b); err != nil {
		t.Fatal(err)
	}
	s, err := uapi.ParseStatus(&b)
	if err != nil {
		t.Fatal(err)
	}
	var table bart.Table[key.Public]
	for _, p := range s.Peers {
		for _, prefix := range p.AllowedIPs {
			if !prefix.Addr().Is4In6() { // Lookup cannot be asked for these
				table.Insert(prefix, p.PublicKey)
				addrs = append(addrs, prefix.Addr())
			}
		}
	}
	for _, a := range addrs {
		want, wantOK := table.Lookup(a)
		route, ok := tn.Lookup(a)
		k, _, _ := tn.Peer(route.Peer)
		if ok != wantOK || ok && k != want {
			t.Errorf("%s goes to %x (%v), the device sends it to %x (%v)", a, k[:4], ok, want[:4], wantOK)
		}
	}
	configured := 0
	for _, p := range tn.Peers() {
		if p.Configured != (s.Peer(p.Key) != nil) {
			t.Errorf("peer %s: configured %v", p.Key.Short(), p.Configured)
		}
		if !p.Configured {
			continue
		}
		configured++
		if want := s.Peer(p.Key).Endpoint; p.Endpoint != want {
			t.Errorf("peer %s: endpoint %s, the device has %s", p.Key.Short(), p.Endpoint, want)
		}
	}
	if configured != len(s.Peers) || tn.PublicKey() != s.PublicKey {
		t.Errorf("%d peers and key %s, the device has %d and %s", configured, tn.PublicKey().Short(), len(s.Peers), s.PublicKey.Short())
	}
}

// sets makes random set operations over few keys and prefixes, so that they
// meet each other.
type sets struct {
	*rand.Rand
	keys     []key.Private
	prefixes []netip.Prefix
}

func newSets(seed uint64) *sets {
	s := &sets{Rand: rand.New(rand.NewPCG(seed, 1))}
	for range 5 {
		s.keys = append(s.keys, key.GeneratePrivate())
	}
	for _, p := range []string{"0.0.0.0/0", "10.0.0.0/8", "10.1.0.0/16", "10.1.2.0/24", "10.1.2.3/32", "10.1.2.3/16",
		"128.0.0.0/1", "::/0", "fd00::/8", "fd00::/64", "fd00::1/128", "2000::/3"} {
		s.prefixes = append(s.prefixes, netip.MustParsePrefix(p))
	}
	return s
}

func (s *sets) key() key.Private { return s.keys[s.IntN(len(s.keys))] }

func (s *sets) addrs() []netip.Addr {
	var addrs []netip.Addr
	for range 20 {
		addrs = append(addrs, netip.AddrFrom4([4]byte{10, byte(s.IntN(3)), byte(s.IntN(4)), byte(s.IntN(5))}),
			netip.AddrFrom16([16]byte{0: 0xfd, 7: byte(s.IntN(2)), 15: byte(s.IntN(3))}))
	}
	return append(addrs, netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("2001:db8::1"))
}

func (s *sets) operation() string {
	var b strings.Builder
	if s.IntN(6) == 0 {
		fmt.Fprintf(&b, "private_key=%s\n", s.key().Hex()) // perhaps that of a peer
	}
	if s.IntN(8) == 0 {
		b.WriteString("replace_peers=true\n")
	}
	for range 1 + s.IntN(3) {
		fmt.Fprintf(&b, "public_key=%s\n", s.key().Public().Hex())
		for range s.IntN(6) {
			b.WriteString(s.line() + "\n")
		}
	}
	return b.String()
}

func (s *sets) line() string {
	prefix := s.prefixes[s.IntN(len(s.prefixes))]
	switch s.IntN(16) {
	case 0:
		return "remove=true"
	case 1, 2:
		return "update_only=true"
	case 3:
		return "replace_allowed_ips=true"
	case 4, 5:
		return "allowed_ip=-" + prefix.String()
	case 6:
		return []string{"allowed_ip=nonsense", "nonsense", "=", "remove=false", "endpoint=x"}[s.IntN(5)]
	case 7:
		return fmt.Sprintf("endpoint=192.0.2.%d:51820", 1+s.IntN(3))
	case 8:
		return "endpoint=[2001:db8::1]:7"
	}
	return "allowed_ip=" + prefix.String()
}

// Whatever is set, and wherever it fails, cryptokey routing as the tunnel
// explains it is what the device does.
func TestMirrorFollowsTheDevice(t *testing.T) {
	seeds := uint64(20)
	if testing.Short() {
		seeds = 2
	}
	for seed := range seeds {
		s, tn := newSets(seed), newDown(t)
		for range 40 {
			op := s.operation()
			ask(tn, "set=1\n"+op+"\n")
			if checkMirror(t, tn, s.addrs()); t.Failed() {
				t.Fatalf("seed %d, after\n%s", seed, op)
			}
		}
	}
}

// FuzzUAPI: no request makes the device or its mirror panic, or differ.
func FuzzUAPI(f *testing.F) {
	s := newSets(1)
	for range 5 {
		f.Add("set=1\n" + s.operation() + "\nget=1\n\n")
	}
	f.Add("set=1\npublic_key=" + strings.Repeat("01", 32) + "\nallowed_ip=::ffff:10.0.0.0/104\nallowed_ip=-::/0\n\n")
	f.Fuzz(func(t *testing.T, request string) {
		if strings.Contains(request, "listen_port") {
			return // would take ports of this machine
		}
		tn := newDown(t)
		ask(tn, request)
		checkMirror(t, tn, s.addrs())
	})
}
