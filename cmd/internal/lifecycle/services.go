package lifecycle

import (
	"context"
	"fmt"
	"io"
	"net"

	"github.com/spf13/cobra"

	"github.com/wgnode/wgnode/cmd/internal/naming"
	"github.com/wgnode/wgnode/node/config"
)

// serviceFlags are the services that a command line asks for.
type serviceFlags struct {
	socks5, http, forward, remoteForward, route, dns []string
}

func (f *serviceFlags) add(cmd *cobra.Command) {
	set := cmd.Flags()
	set.StringArrayVar(&f.socks5, "socks5", nil,
		"serve a SOCKS5 proxy into the tunnel at `[ADDR:]PORT`; implies --netstack, like all services")
	set.StringArrayVar(&f.http, "http", nil, "serve an HTTP proxy into the tunnel at `[ADDR:]PORT`")
	set.StringArrayVar(&f.forward, "forward", nil,
		"forward a port of this host into the tunnel: `LISTEN=HOST:PORT`, with tcp: or udp: in front if need be")
	set.StringArrayVar(&f.remoteForward, "remote-forward", nil,
		"forward a port inside the tunnel to this host: `LISTEN=HOST:PORT`, with tcp: or udp: in front if need be")
	set.StringArrayVar(&f.route, "route-for-peers", nil,
		"let peers reach hosts beyond this one: `PREFIX`[:PORT[-PORT]], with tcp: or udp: in front if need be")
	set.StringArrayVar(&f.dns, "dns", nil, "serve the tunnel's name servers at `[ADDR:]PORT`")
}

// lists are the flags with their values, in the order of add.
func (f *serviceFlags) lists() []serviceFlag {
	return []serviceFlag{{"socks5", f.socks5}, {"http", f.http}, {"forward", f.forward}, {"remote-forward", f.remoteForward},
		{"route-for-peers", f.route}, {"dns", f.dns}}
}

type serviceFlag struct {
	name   string
	values []string
}

// services reads the values.
func (f *serviceFlags) services() (config.Services, error) {
	var s config.Services
	for _, flag := range f.lists() {
		for _, v := range flag.values {
			if err := addService(&s, flag.name, v); err != nil {
				return config.Services{}, fmt.Errorf("--%s: %w", flag.name, err)
			}
		}
	}
	return s, nil
}

func addService(s *config.Services, flag, value string) error {
	switch flag {
	case "forward":
		forward, err := config.ParseForward(value, false)
		s.Forwards = append(s.Forwards, forward)
		return err
	case "remote-forward":
		forward, err := config.ParseForward(value, true)
		s.RemoteForwards = append(s.RemoteForwards, forward)
		return err
	case "route-for-peers":
		route, err := config.ParsePeerRoute(value)
		s.Routes = append(s.Routes, route)
		return err
	}
	listen, err := config.ParseServiceListen(value)
	switch flag {
	case "socks5":
		s.SOCKS5 = append(s.SOCKS5, config.Proxy{Listen: listen})
	case "http":
		s.HTTP = append(s.HTTP, config.Proxy{Listen: listen})
	case "dns":
		s.DNS = append(s.DNS, listen)
	}
	return err
}

// describesStack reports whether args name a file that only a node without an
// interface can serve. What is wrong with them is for others to say.
func describesStack(args []string) bool {
	path, err := naming.FindConfig(args)
	if err != nil {
		return false
	}
	cfg, err := config.Read(path)
	return err == nil && cfg.ForStack
}

// dialer is what connects through a tunnel.
type dialer func(ctx context.Context, address string) (net.Conn, error)

// pipe connects to address and joins in and out to the connection until it has no
// more to give. The end of in is passed on; nothing waits for it.
func pipe(ctx context.Context, dial dialer, address string, in io.Reader, out io.Writer) error {
	c, err := dial(ctx, address)
	if err != nil {
		return err
	}
	defer c.Close() // what could be delivered has been
	stop := context.AfterFunc(ctx, func() { _ = c.Close() })
	defer stop()
	go func() {
		// If this fails, so does the other direction, or it has ended.
		_, _ = io.Copy(c, in)
		if half, ok := c.(interface{ CloseWrite() error }); ok {
			_ = half.CloseWrite()
		}
	}()
	if _, err := io.Copy(out, c); err != nil && ctx.Err() == nil {
		return fmt.Errorf("connection to %s: %w", address, err)
	}
	return nil
}
