package node

import (
	"net"
	"net/http"
	"testing"

	"github.com/wgnode/wgnode/probe/key"
)

// A page in a browser can have it ask this host under a name of the page's. Only names
// that are this host's are answered, and those that the configuration has.
func TestMonitorHosts(t *testing.T) {
	cfg := parse(t, "alice", "[Interface]\nPrivateKey="+key.GeneratePrivate().Base64()+"\nAddress=10.0.0.1/24\n")
	cfg.Metrics.Listen, cfg.Metrics.Hosts = freePort(t), []string{"metrics.example.com"}
	startStack(t, t.TempDir(), cfg)
	a := newAsker(t, cfg.Metrics.Listen)
	for _, test := range []struct {
		host string
		want int
	}{
		{"127.0.0.1:9586", http.StatusOK}, {"127.9.9.9", http.StatusOK}, {"[::1]:9586", http.StatusOK}, {"[::1]", http.StatusOK},
		{"localhost:9586", http.StatusOK}, {"LocalHost.", http.StatusOK}, {"wg0.localhost:1", http.StatusOK},
		{"[::ffff:127.0.0.1]:1", http.StatusOK},
		{"metrics.example.com", http.StatusOK}, {"Metrics.Example.COM:443", http.StatusOK},
		{"evil.example", http.StatusMisdirectedRequest}, {"evil.example:9586", http.StatusMisdirectedRequest},
		{"127.0.0.1.evil.example:9586", http.StatusMisdirectedRequest}, {"localhost.evil.example", http.StatusMisdirectedRequest},
		{"notlocalhost", http.StatusMisdirectedRequest}, {"x.metrics.example.com", http.StatusMisdirectedRequest},
		{"192.0.2.1:9586", http.StatusMisdirectedRequest}, {"0.0.0.0:9586", http.StatusMisdirectedRequest},
	} {
		for _, path := range []string{"/healthz", "/readyz", "/metrics", "/"} {
			req, err := http.NewRequest(http.MethodGet, "http://localhost"+path, nil)
			if err != nil {
				t.Fatal(err)
			}
			req.Host = test.host
			res, err := a.client.Do(req)
			if err != nil {
				t.Fatal(err)
			}
			_ = res.Body.Close()
			want := test.want
			if path == "/" && want == http.StatusOK {
				want = http.StatusNotFound
			}
			if res.StatusCode != want {
				t.Errorf("%s of %s: %s, want %d", path, test.host, res.Status, want)
			}
		}
	}
}

// Clients that say nothing make room for one that does.
func TestMonitorSilentClients(t *testing.T) {
	if testing.Short() {
		t.Skip("waits until silent clients are sent away")
	}
	cfg := parse(t, "alice", "[Interface]\nPrivateKey="+key.GeneratePrivate().Base64()+"\nAddress=10.0.0.1/24\n")
	cfg.Metrics.Listen = freePort(t)
	startStack(t, t.TempDir(), cfg)
	const clients = 64 // that are connected at a time
	for range 2 * clients {
		c, err := net.Dial(cfg.Metrics.Listen.Network, cfg.Metrics.Listen.Address)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
	}
	a := newAsker(t, cfg.Metrics.Listen)
	a.client.Timeout *= 3 // two rounds of silent ones end first
	if status, _ := a.get("/healthz"); status != http.StatusOK {
		t.Errorf("status %d", status)
	}
}
