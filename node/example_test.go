package node_test

import (
	"context"
	"fmt"
	"io"
	"log"
	"net/http"
	"os"
	"strings"

	"github.com/wgnode/wgnode/node"
	"github.com/wgnode/wgnode/node/config"
	"github.com/wgnode/wgnode/probe/key"
)

// Two nodes in one process, each with a network stack of its own: bob serves a page, alice
// fetches it through the tunnel. It takes no privileges and changes nothing on the host.
func Example() {
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	dir, err := os.MkdirTemp("", "wgnode")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	a, b := key.GeneratePrivate(), key.GeneratePrivate()

	bob := start(ctx, dir, "bob", `
[Interface]
PrivateKey = `+b.Base64()+`
Address = 10.0.0.2/24
[Peer]
PublicKey = `+a.Public().Base64()+`
AllowedIPs = 10.0.0.1/32`)
	defer bob.Close()
	l, err := bob.Net().Listen("tcp", ":80")
	if err != nil {
		log.Fatal(err)
	}
	go http.Serve(l, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "hello") }))

	alice := start(ctx, dir, "alice", fmt.Sprintf(`
[Interface]
PrivateKey = %s
Address = 10.0.0.1/24
[Peer]
PublicKey = %s
Endpoint = 127.0.0.1:%d
AllowedIPs = 10.0.0.2/32`, a.Base64(), b.Public().Base64(), bob.Tunnel().ListenPort()))
	defer alice.Close()

	client := http.Client{Transport: &http.Transport{DialContext: alice.DialContext}}
	resp, err := client.Get("http://10.0.0.2/")
	if err != nil {
		log.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	fmt.Println(string(text), err)
	fmt.Println("peers of alice:", len(alice.Status().Peers))
	// Output:
	// hello <nil>
	// peers of alice: 1
}

// start brings a node up by a configuration in wg-quick's format; dir is its run folder. One that
// serves no sockets, and is not to follow changes of the network, need not Run.
func start(ctx context.Context, dir, name, conf string) *node.Node {
	cfg, err := config.Parse(strings.NewReader(conf), name+".conf")
	if err != nil {
		log.Fatal(err)
	}
	cfg.Name = name
	n, err := node.Start(ctx, cfg, node.Options{Netstack: true, NoUAPI: true, NoControl: true, RunDir: dir})
	if err != nil {
		log.Fatal(err)
	}
	return n
}

// A reload changes what differs: here a peer comes, and all else goes on.
func ExampleNode_Reload() {
	ctx, stop := context.WithCancel(context.Background())
	dir, err := os.MkdirTemp("", "wgnode")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	conf := "[Interface]\nPrivateKey = " + key.GeneratePrivate().Base64() + "\nAddress = 10.0.0.1/24\n"
	n := start(ctx, dir, "reloaded", conf)
	ended := make(chan error, 1)
	go func() { ended <- n.Run(ctx) }()

	peer := key.GeneratePrivate().Public()
	cfg, err := config.Parse(strings.NewReader(conf+"[Peer]\nPublicKey = "+peer.Base64()+"\nAllowedIPs = 10.0.0.2/32\n"), "reloaded.conf")
	if err != nil {
		log.Fatal(err)
	}
	cfg.Name = n.Name()
	if err := n.Reload(ctx, cfg, io.Discard); err != nil {
		log.Fatal(err)
	}
	_, known := n.Tunnel().StateOf(peer)
	fmt.Println("the peer is there:", known)

	stop()
	fmt.Println("it has ended:", <-ended, n.Close())
	// Output:
	// the peer is there: true
	// it has ended: <nil> <nil>
}
