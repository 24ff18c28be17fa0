package node

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/wgnode/wgnode/node/config"
	"github.com/wgnode/wgnode/node/exporter"
	"github.com/wgnode/wgnode/probe"
	"github.com/wgnode/wgnode/probe/key"
	"github.com/wgnode/wgnode/probe/patience"
)

// asker asks a node's monitor.
type asker struct {
	t      *testing.T
	client *http.Client
}

func newAsker(t *testing.T, at config.Listen) *asker {
	c := &http.Client{Timeout: 20 * time.Second, Transport: &http.Transport{DisableKeepAlives: true,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, at.Network, at.Address)
		}}}
	return &asker{t, c}
}

func (a *asker) try(path string) (status int, body string, err error) {
	res, err := a.client.Get("http://localhost" + path)
	if err != nil {
		return 0, "", err
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	return res.StatusCode, string(b), err
}

func (a *asker) get(path string) (status int, body string) {
	a.t.Helper()
	status, body, err := a.try(path)
	if err != nil {
		a.t.Fatal(err)
	}
	return status, body
}

func (a *asker) ready() (int, exporter.Readiness) {
	a.t.Helper()
	var r exporter.Readiness
	status, body := a.get("/readyz")
	if err := json.Unmarshal([]byte(body), &r); err != nil {
		a.t.Fatalf("%v in %q", err, body)
	}
	return status, r
}

// metric returns the text of the value of the series with all of labels, "" if
// there is none.
func (a *asker) metric(name string, labels ...string) string {
	a.t.Helper()
	_, body := a.get("/metrics")
next:
	for line := range strings.Lines(body) {
		m := regexp.MustCompile(`^` + name + `\{(.*)\} (\S+)\n$`).FindStringSubmatch(line)
		if m == nil {
			continue
		}
		for _, l := range labels {
			if !strings.Contains(m[1], l) {
				continue next
			}
		}
		return m[2]
	}
	return ""
}

func socketIn(t *testing.T) config.Listen {
	return config.Listen{Network: "unix", Address: filepath.Join(t.TempDir(), "m")}
}

// freePort is a loopback address that nobody listens at.
func freePort(t *testing.T) config.Listen {
	t.Helper()
	// Below those that the kernel hands out (ip_local_port_range): one that is
	// closed and opened again must not have become somebody's meanwhile.
	const low, high, attempts = 10000, 32000, 100
	var failed error
	for range attempts {
		l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", low+rand.IntN(high-low)))
		if err != nil {
			failed = err
			continue
		}
		defer l.Close()
		return config.Listen{Network: "tcp", Address: l.Addr().String()}
	}
	t.Fatal(failed)
	return config.Listen{}
}

// await waits until a node has recorded an event that match accepts.
func await(t *testing.T, n *stackNode, what string, match func(*probe.Event) bool) {
	t.Helper()
	ctx := patience.Context(t)
	s := n.Tunnel().Recorder().Subscribe(probe.SubscribeOptions{Past: true, Match: match})
	defer s.Close()
	if _, err := s.Read(ctx, make([]probe.Event, 1)); err != nil {
		t.Fatalf("no %s: %v", what, err)
	}
}

// monitored is a pair of nodes that are kept alive by alice, and their keys.
type monitored struct {
	alice, bob     *stackNode
	aliceAt, bobAt config.Listen
	a, b           key.Private
}

// aliceWith is alice's configuration with a preshared key for bob.
func (m *monitored) aliceWith(t *testing.T, psk key.Preshared) *config.Config {
	return parse(t, "alice", fmt.Sprintf("[Interface]\nPrivateKey=%s\nAddress=10.0.0.1/24\n"+
		"[Peer]\n# Name = bob\nPublicKey=%s\nPresharedKey=%s\nAllowedIPs=10.0.0.0/24\nEndpoint=127.0.0.1:%d\nPersistentKeepalive=25\n",
		m.a.Base64(), m.b.Public(), psk.Base64(), m.bob.Tunnel().ListenPort()))
}

func newMonitored(t *testing.T, alice, bob key.Preshared) *monitored {
	t.Helper()
	m := &monitored{a: key.GeneratePrivate(), b: key.GeneratePrivate(), aliceAt: socketIn(t), bobAt: freePort(t)}
	m.bob = startMonitored(t, t.TempDir(), parse(t, "bob", fmt.Sprintf("[Interface]\nPrivateKey=%s\nAddress=10.0.0.2/24\n"+
		"[Peer]\n# Name = alice\nPublicKey=%s\nPresharedKey=%s\nAllowedIPs=10.0.0.1/32\n", m.b.Base64(), m.a.Public(), bob.Base64())), m.bobAt)
	m.alice = startMonitored(t, t.TempDir(), m.aliceWith(t, alice), m.aliceAt)
	return m
}
