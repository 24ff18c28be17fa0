//go:build linux

// Stockbind is a node's device over wireguard-go's own UDP bind, so that what
// ours is worth can be measured:
//
//	stockbind NAME
//
// It runs in the foreground until its interface goes away or it is told to end.
package main

import (
	"context"
	"errors"
	"log"
	"os"
	"os/signal"
	"syscall"

	"golang.zx2c4.com/wireguard/conn"

	"github.com/wgnode/wgnode/node"
)

func main() {
	log.SetFlags(0)
	if len(os.Args) != 2 {
		log.Fatal("usage: stockbind NAME")
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	n, err := node.StartDevice(os.Args[1], node.Options{Bind: conn.NewDefaultBind()}, node.DeviceFiles{})
	if err != nil {
		log.Fatal("stockbind: ", err)
	}
	if err := errors.Join(n.Run(ctx), n.Close()); err != nil {
		log.Fatal("stockbind: ", err)
	}
}
