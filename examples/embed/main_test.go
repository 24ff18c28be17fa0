package main

import (
	"fmt"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"testing"

	"github.com/wgnode/wgnode/node"
	"github.com/wgnode/wgnode/node/config"
	"github.com/wgnode/wgnode/probe/key"
)

// The example fetches a page from a server behind another node.
func TestFetch(t *testing.T) {
	own, other := key.GeneratePrivate(), key.GeneratePrivate()
	server, err := node.Start(t.Context(), &config.Config{Name: "server",
		Interface: config.Interface{PrivateKey: other, Addresses: []netip.Prefix{netip.MustParsePrefix("10.0.0.2/24")}},
		Peers:     []config.Peer{{PublicKey: own.Public(), AllowedIPs: []netip.Prefix{netip.MustParsePrefix("10.0.0.1/32")}}},
	}, node.Options{Netstack: true, NoUAPI: true, NoControl: true})
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	l, err := server.Net().Listen("tcp", ":80")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	fetched := make(chan struct{})
	go http.Serve(l, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { close(fetched) }))

	conf := filepath.Join(t.TempDir(), "wg0.conf")
	text := fmt.Sprintf("[Interface]\nPrivateKey = %s\nAddress = 10.0.0.1/24\n[Peer]\n# Name = server\nPublicKey = %s\n"+
		"Endpoint = 127.0.0.1:%d\nAllowedIPs = 10.0.0.2/32\n",
		own.Base64(), other.Public(), server.Tunnel().ListenPort())
	if err := os.WriteFile(conf, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := fetch(t.Context(), conf, "http://10.0.0.2/"); err != nil {
		t.Fatal(err)
	}
	<-fetched
}
