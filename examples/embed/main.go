// Embed is a program with a WireGuard node inside: it fetches a URL through the
// tunnel, without root and without a network interface, and says what became of
// the connection's packets.
//
//	go run ./examples/embed wg0.conf http://10.0.0.2/
package main

import (
	"context"
	"fmt"
	"io"
	"log"
	"net/http"
	"os"
	"time"

	"github.com/wgnode/wgnode/node"
	"github.com/wgnode/wgnode/node/config"
	"github.com/wgnode/wgnode/probe"
	"github.com/wgnode/wgnode/probe/eventtext"
)

func main() {
	log.SetFlags(0)
	if len(os.Args) != 3 {
		log.Fatal("usage: embed CONF URL")
	}
	if err := fetch(context.Background(), os.Args[1], os.Args[2]); err != nil {
		log.Fatal("embed: ", err)
	}
}

func fetch(ctx context.Context, conf, url string) error {
	cfg, err := config.Load(conf)
	if err != nil {
		return err
	}
	n, err := node.Start(ctx, cfg, node.Options{Netstack: true, NoUAPI: true, NoControl: true})
	if err != nil {
		return err
	}
	defer n.Close()

	client := http.Client{Transport: &http.Transport{DialContext: n.Net().DialContext}}
	resp, err := client.Get(url)
	explain(n) // also where it failed: then this says why
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	_, err = io.Copy(os.Stdout, resp.Body)
	return err
}

// explain prints what the flight recorder holds.
func explain(n *node.Node) {
	events := n.Tunnel().Recorder().Snapshot(time.Time{}, nil)
	for i := range events {
		if events[i].Checkpoint != probe.CheckpointNone || events[i].Dropped() {
			fmt.Fprintf(os.Stderr, "%s\n", eventtext.AppendLine(nil, &events[i], n.Tunnel(), &eventtext.Options{}))
		}
	}
}
