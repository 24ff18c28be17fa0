package node

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/wgnode/wgnode/node/config"
	"github.com/wgnode/wgnode/node/control"
	"github.com/wgnode/wgnode/node/control/controltest"
	"github.com/wgnode/wgnode/node/explain"
	"github.com/wgnode/wgnode/node/rundir"
	"github.com/wgnode/wgnode/probe/key"
	"github.com/wgnode/wgnode/probe/patience"
)

// stackNode is a node without privileges, that runs until the test ends or stop
// is called.
type stackNode struct {
	*Node
	t    testing.TB
	dir  string
	stop func() error
}

// parse makes a configuration by the name of name.
func parse(t testing.TB, name, text string) *config.Config {
	t.Helper()
	cfg, err := config.Parse(strings.NewReader(text), name+".conf")
	if err != nil {
		t.Fatal(err)
	}
	cfg.Name = name
	return cfg
}

func startStack(t testing.TB, dir string, cfg *config.Config) *stackNode {
	t.Helper()
	return startMonitored(t, dir, cfg, config.Listen{})
}

// startMonitored starts a node that serves health and metrics at a place.
func startMonitored(t testing.TB, dir string, cfg *config.Config, at config.Listen) *stackNode {
	t.Helper()
	return startWith(t, dir, cfg, Options{Metrics: at})
}

// startWith starts a node without an interface, with some options more.
func startWith(t testing.TB, dir string, cfg *config.Config, o Options) *stackNode {
	t.Helper()
	o.Netstack, o.NoUAPI, o.RunDir, o.RecorderBytes = true, true, dir, 1<<20
	n, err := Start(t.Context(), cfg, o)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ran := make(chan error, 1)
	go func() { ran <- n.Run(ctx) }()
	s := &stackNode{Node: n, t: t, dir: dir}
	var stopped bool
	s.stop = func() error {
		if stopped {
			return nil
		}
		stopped = true
		cancel()
		return errors.Join(<-ran, n.Close())
	}
	t.Cleanup(func() {
		if err := s.stop(); err != nil {
			t.Error(err)
		}
	})
	return s
}

func (s *stackNode) dial() *control.Client {
	s.t.Helper()
	c, err := rundir.Dial(s.dir, s.Name())
	if err != nil {
		s.t.Fatal(err)
	}
	return c
}

// pair starts two nodes that know each other: alice calls, bob answers and
// serves HTTP in the tunnel.
func pair(t *testing.T) (alice, bob *stackNode) {
	t.Helper()
	dir := t.TempDir()
	a, b := key.GeneratePrivate(), key.GeneratePrivate()
	bob = startStack(t, dir, parse(t, "bob", fmt.Sprintf(
		"[Interface]\nPrivateKey=%s\nAddress=10.0.0.2/24\n[Peer]\n# Name = alice\nPublicKey=%s\nAllowedIPs=10.0.0.1/32\n",
		b.Base64(), a.Public())))
	alice = startStack(t, dir, parse(t, "alice", fmt.Sprintf(
		"[Interface]\nPrivateKey=%s\nAddress=10.0.0.1/24\n[Peer]\n# Name = bob\nPublicKey=%s\nAllowedIPs=0.0.0.0/0\nEndpoint=127.0.0.1:%d\n",
		a.Base64(), b.Public(), bob.Tunnel().ListenPort())))
	l, err := bob.Net().Listen("tcp", ":80")
	if err != nil {
		t.Fatal(err)
	}
	srv := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "hello") })}
	go func() { _ = srv.Serve(l) }() // until the test ends
	t.Cleanup(func() { _ = srv.Close() })
	return alice, bob
}

func (s *stackNode) get(url string) string {
	s.t.Helper()
	c := &http.Client{Transport: &http.Transport{DialContext: s.Net().DialContext, DisableKeepAlives: true}, Timeout: 20 * time.Second}
	res, err := c.Get(url)
	if err != nil {
		s.t.Fatal(err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	return string(b)
}

// lines is a writer that hands on each line.
type lines chan string

func (l lines) Write(b []byte) (int, error) {
	for line := range strings.Lines(string(b)) {
		l <- line
	}
	return len(b), nil
}

func TestTwoNodes(t *testing.T) {
	alice, bob := pair(t)
	c := alice.dial()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	seen, ended := make(lines, 1000), make(chan error, 1)
	go func() {
		req := control.WatchRequest{Filter: []string{"peer", "bob", "tcp"}, JSON: true, Past: true}
		lost, err := c.Watch(ctx, req, &controltest.EventLines{W: seen})
		ended <- errors.Join(err, map[bool]error{true: fmt.Errorf("%d events lost", lost)}[lost > 0])
	}()
	if got := alice.get("http://10.0.0.2/"); got != "hello" {
		t.Fatalf("got %q through the tunnel", got)
	}
	want := map[string]bool{"A1": true, "A4": true, "A5": true, "A6": true}
	timeout := patience.After()
	for len(want) > 0 {
		select {
		case line := <-seen:
			var e struct {
				Checkpoint string `json:"checkpoint"`
				PeerName   string `json:"peer_name"`
			}
			if err := json.Unmarshal([]byte(line), &e); err != nil || e.PeerName != "bob" {
				t.Fatalf("%v in %q", err, line)
			}
			delete(want, e.Checkpoint)
		case <-timeout:
			t.Fatalf("no events of %v", want)
		}
	}
	cancel()
	if err := <-ended; err != nil {
		t.Errorf("watch ends with %v", err)
	}

	st, err := c.Status(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if st.Interface != "alice" || !st.Netstack || len(st.Peers) != 1 || st.Peers[0].Handshake.IsZero() ||
		st.Peers[0].Endpoint.Port() != bob.Tunnel().ListenPort() {
		t.Errorf("status %+v", st)
	}
	peers, err := c.Peers(t.Context())
	if err != nil || len(peers) != 1 || peers[0].Name != "bob" {
		t.Errorf("peers %v, %v", peers, err)
	}
	rep, err := c.Explain(t.Context(), explain.Request{Target: netip.MustParseAddrPort("10.0.0.2:80")})
	if err != nil {
		t.Fatal(err)
	}
	if !rep.Verdict.Healthy() || rep.PeerName != "bob" {
		t.Errorf("explain says %+v", rep.Verdict)
	}
	doc, err := c.Doctor(t.Context(), explain.DoctorRequest{})
	if err != nil || len(doc.Peers) != 1 || doc.Peers[0].PeerName != "bob" {
		t.Errorf("doctor says %+v, %v", doc, err)
	}
	// Programs need no sentence for what has a number.
	if rep.RTT <= 0 || rep.RTT > time.Hour || rep.MTU != 1420 || rep.HandshakeAge <= 0 || rep.HandshakeAge > time.Hour {
		t.Errorf("explain says rtt %v, mtu %d, handshake age %v", rep.RTT, rep.MTU, rep.HandshakeAge)
	}
	if doc.MTU != 1420 || doc.Peers[0].HandshakeAge < rep.HandshakeAge || doc.Peers[0].HandshakeAge > time.Hour {
		t.Errorf("doctor says mtu %d, handshake age %v after %v", doc.MTU, doc.Peers[0].HandshakeAge, rep.HandshakeAge)
	}
}

func TestWatchSaysWhatIsWrong(t *testing.T) {
	alice, bob := pair(t)
	c := bob.dial()
	_, err := c.Watch(t.Context(), control.WatchRequest{Filter: []string{"peer", "carol"}}, &controltest.EventLines{W: io.Discard})
	if err == nil || !strings.Contains(err.Error(), "carol") {
		t.Errorf("an unknown peer: %v", err)
	}
	ended := make(chan error, 1)
	seen := make(lines, 1000)
	alice.get("http://10.0.0.2/")
	go func() {
		_, err := c.Watch(t.Context(), control.WatchRequest{Past: true}, &controltest.EventLines{W: seen})
		ended <- err
	}()
	select {
	case <-seen: // it is being served
	case err := <-ended:
		t.Fatal(err)
	}
	if err := bob.stop(); err != nil {
		t.Fatal(err)
	}
	if err := <-ended; !errors.Is(err, control.ErrEnded) {
		t.Errorf("the node went down: %v", err)
	}
	if _, err := c.Status(t.Context()); !errors.Is(err, rundir.ErrNotRunning) {
		t.Errorf("afterwards: %v", err)
	}
	if left, err := os.ReadDir(bob.dir); err != nil || len(left) != 2 {
		t.Errorf("left in the run folder, beside alice's two: %v, %v", left, err)
	}
}

func TestStartRefuses(t *testing.T) {
	taken, err := net.ListenPacket("udp", ":0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	_, port, err := net.SplitHostPort(taken.LocalAddr().String())
	if err != nil {
		t.Fatal(err)
	}
	private := "PrivateKey=" + key.GeneratePrivate().Base64() + "\n"
	portTaken := parse(t, "x", "[Interface]\n"+private+"ListenPort="+port)
	noInterface := parse(t, "x", "[Interface]\n"+private)
	noInterface.Interface.KillSwitch = true
	for name, test := range map[string]struct {
		cfg  *config.Config
		want string
	}{
		"port in use": {portTaken, "address already in use"},
		"kill switch": {noInterface, "kill_switch: a node without an interface of its own does not touch the host's packets"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			n, err := Start(t.Context(), test.cfg, Options{Netstack: true, NoUAPI: true, RunDir: dir})
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("got %v, want %q", err, test.want)
			}
			if n != nil {
				t.Error("there is a node all the same")
			}
			if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
				t.Errorf("left behind: %v, %v", left, err)
			}
		})
	}
}

func TestStartTwice(t *testing.T) {
	_, bob := pair(t)
	_, err := Start(t.Context(), bob.Config(), Options{Netstack: true, NoUAPI: true, RunDir: bob.dir})
	if want := fmt.Sprintf("bob is already up (pid %d)", os.Getpid()); err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
	if _, err := bob.dial().Status(t.Context()); err != nil {
		t.Errorf("the first does not answer any more: %v", err)
	}
}

func TestControlSocket(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.sock")
	l, err := rundir.Listen(path)
	if err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	if _, err := rundir.Listen(path); err == nil || !strings.Contains(err.Error(), "another process serves it") {
		t.Errorf("a second one: %v", err)
	}
	l.(*net.UnixListener).SetUnlinkOnClose(false)
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	l, err = rundir.Listen(path)
	if err != nil {
		t.Fatalf("a stale one is in the way: %v", err)
	}
	defer l.Close()
}
