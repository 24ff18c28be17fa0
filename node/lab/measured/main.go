//go:build linux

// Measured is a node's device as wgnode makes it, for measurements:
//
//	measured [-stockbind] [-cpuprofile FOLDER] NAME
//
// With -stockbind it sits on wireguard-go's own UDP bind, so that what our own
// gains is told from what the hooks cost. With -cpuprofile it writes a CPU
// profile into a file of its own in FOLDER when it ends. It runs in the
// foreground until its interface goes away or it is told to end.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log"
	"os"
	"os/signal"
	"runtime/pprof"
	"syscall"

	"golang.zx2c4.com/wireguard/conn"

	"github.com/wgnode/wgnode/node"
)

var (
	stockBind = flag.Bool("stockbind", false, "use wireguard-go's own UDP bind")
	profile   = flag.String("cpuprofile", "", "write a CPU profile into this `folder`")
)

func main() {
	log.SetFlags(0)
	flag.Parse()
	if flag.NArg() != 1 {
		log.Fatal("usage: measured [-stockbind] [-cpuprofile FOLDER] NAME")
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, flag.Arg(0)); err != nil {
		log.Fatal("measured: ", err)
	}
}

func run(ctx context.Context, name string) error {
	var opt node.Options
	if *stockBind {
		opt.Bind = conn.NewDefaultBind()
	}
	n, err := node.StartDevice(name, opt, node.DeviceFiles{})
	if err != nil {
		return err
	}
	if *profile == "" {
		return errors.Join(n.Run(ctx), n.Close())
	}
	file, err := os.CreateTemp(*profile, "*.pprof")
	if err != nil {
		return errors.Join(fmt.Errorf("make the profile: %w", err), n.Close())
	}
	if err := pprof.StartCPUProfile(file); err != nil {
		return errors.Join(fmt.Errorf("profile: %w", err), file.Close(), n.Close())
	}
	err = n.Run(ctx)
	pprof.StopCPUProfile()
	return errors.Join(err, file.Close(), n.Close())
}
