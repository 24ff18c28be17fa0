package node

import (
	"bytes"
	"context"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/wgnode/wgnode/node/config"
	"github.com/wgnode/wgnode/probe/key"
)

// A reload leaves alone what stays, and is all or nothing.
func TestReloadServices(t *testing.T) {
	stays, goes, comes := "127.0.0.1:"+localPort(t), "127.0.0.1:"+localPort(t), "127.0.0.1:"+localPort(t)
	alice, _ := nearSide(t, config.Services{
		Forwards: []config.Forward{{Protocol: "tcp", Listen: stays, To: "10.0.0.2:7"}},
		SOCKS5:   []config.Proxy{{Listen: goes}}})
	_, port, _ := net.SplitHostPort(stays)
	c := dialLocal(t, port)
	if _, err := io.WriteString(c, "before, "); err != nil {
		t.Fatal(err)
	}
	cfg := *alice.Config()
	cfg.Services.SOCKS5 = []config.Proxy{{Listen: goes, User: "a", Password: "b"}}
	cfg.Services.HTTP = []config.Proxy{{Listen: comes}}
	var out bytes.Buffer
	if err := alice.Reload(t.Context(), &cfg, &out); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"[#] no SOCKS5 proxy at " + goes, "[#] SOCKS5 proxy at " + goes, "[#] HTTP proxy at " + comes} {
		if !strings.Contains(out.String(), want+"\n") {
			t.Errorf("%q is not in\n%s", want, out.String())
		}
	}
	if strings.Contains(out.String(), stays) {
		t.Errorf("the forward was disturbed:\n%s", out.String())
	}
	_, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true,
		Proxy: http.ProxyURL(&url.URL{Scheme: "socks5", Host: goes})}}).Get("http://10.0.0.2/")
	if err == nil {
		t.Error("the proxy wants no password")
	}
	bad := cfg
	bad.Services.HTTP = nil
	bad.Services.DNS = []string{"192.0.2.1:53"} // not this host's
	if err := alice.Reload(t.Context(), &bad, io.Discard); err == nil || !strings.Contains(err.Error(), "DNS forwarder at 192.0.2.1:53") {
		t.Errorf("an address of another host: %v", err)
	}
	through := &http.Client{Transport: &http.Transport{DisableKeepAlives: true,
		Proxy: http.ProxyURL(&url.URL{Scheme: "http", Host: comes})}, Timeout: 20 * time.Second}
	res, err := through.Get("http://10.0.0.2/")
	if err != nil {
		t.Fatal(err)
	}
	_ = res.Body.Close()
	echoedRest(t, c, "and after", "before, and after")
}

func echoedRest(t *testing.T, c net.Conn, more, want string) {
	t.Helper()
	if _, err := io.WriteString(c, more); err != nil {
		t.Fatal(err)
	}
	if err := c.(*net.TCPConn).CloseWrite(); err != nil {
		t.Fatal(err)
	}
	if all, err := io.ReadAll(c); string(all) != want || err != nil {
		t.Errorf("%q came back, %v", all, err)
	}
}

// What would do nothing is refused, and what cannot be had undoes the rest.
func TestServicesRefused(t *testing.T) {
	own := key.GeneratePrivate().Base64()
	socks := config.Services{SOCKS5: []config.Proxy{{Listen: "127.0.0.1:0"}}}
	cfg := parse(t, "wg0", "[Interface]\nPrivateKey="+own+"\nAddress=10.0.0.1/24\n")
	dir := t.TempDir()
	for _, test := range []struct {
		options Options
		want    string
	}{
		{Options{Services: socks}, "socks5: only a node with a network stack of its own has services"},
		{Options{Netstack: true, Services: config.Services{DNS: []string{"127.0.0.1:0"}}}, "dns: the configuration names no name servers"},
		{Options{Netstack: true, Services: config.Services{SOCKS5: socks.SOCKS5,
			RemoteForwards: []config.Forward{{Protocol: "tcp", Listen: "10.9.9.9:1", To: "a:1"}}}},
			"remote forward at 10.9.9.9:1: "},
	} {
		test.options.RunDir, test.options.NoUAPI = dir, true
		n, err := Start(context.Background(), cfg, test.options)
		if err == nil {
			_ = n.Close()
		}
		if err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%v, want %q", err, test.want)
		}
	}
}
