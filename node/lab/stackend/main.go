//go:build linux

// Stackend is a WireGuard node whose tunnel ends in a userspace network stack of
// a kind, and which serves whoever connects to it there:
//
//	stackend KIND MTU ADDRESS < configuration in the words of WireGuard's UAPI
//
// All kinds are one program but for the stack, so that the stacks can be measured
// against each other:
//
//	upstream  the stack of golang.zx2c4.com/wireguard/tun/netstack
//	netstack  that of tunnel/netstack
//	hooks     that of tunnel/netstack, looked at as a node does it
//
// It listens for TCP at three ports: what is sent to 1 is read and thrown away, 2
// sends without end, 3 sends back what it gets.
package main

import (
	"fmt"
	"io"
	"log"
	"net"
	"net/netip"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"syscall"

	"golang.zx2c4.com/wireguard/device"
	"golang.zx2c4.com/wireguard/tun"
	upstream "golang.zx2c4.com/wireguard/tun/netstack"

	"github.com/wgnode/wgnode/tunnel"
	"github.com/wgnode/wgnode/tunnel/netstack"
	"github.com/wgnode/wgnode/tunnel/udp"
)

func main() {
	log.SetFlags(0)
	log.SetPrefix("stackend: ")
	if len(os.Args) != 4 {
		log.Fatal("usage: stackend KIND MTU ADDRESS < CONFIGURATION")
	}
	conf, err := io.ReadAll(os.Stdin)
	if err != nil {
		log.Fatal(err)
	}
	if err := run(os.Args[1], os.Args[2], os.Args[3], string(conf)); err != nil {
		log.Fatal(err)
	}
}

// listen listens for TCP inside of the tunnel.
type listen func(at netip.AddrPort) (net.Listener, error)

func run(kind, mtuText, addrText, conf string) error {
	mtu, err := strconv.Atoi(mtuText)
	if err != nil {
		return err
	}
	addr, err := netip.ParseAddr(addrText)
	if err != nil {
		return err
	}
	dev, inside, err := stackOf(kind, addr, mtu)
	if err != nil {
		return err
	}
	end, err := start(kind, dev, conf)
	if err != nil {
		return err
	}
	defer end()
	for port, handle := range map[uint16]func(net.Conn){
		1: func(c net.Conn) { _, _ = io.CopyBuffer(onlyWriter{io.Discard}, onlyReader{c}, make([]byte, 256<<10)) },
		2: flood,
		3: func(c net.Conn) { _, _ = io.Copy(onlyWriter{c}, onlyReader{c}) },
	} {
		l, err := inside(netip.AddrPortFrom(addr, port))
		if err != nil {
			return err
		}
		go serve(l, handle)
	}
	fmt.Println("ready")
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, os.Interrupt, syscall.SIGTERM)
	<-stop
	return nil
}

func stackOf(kind string, addr netip.Addr, mtu int) (tun.Device, listen, error) {
	if kind == "upstream" {
		dev, stack, err := upstream.CreateNetTUN([]netip.Addr{addr}, nil, mtu)
		if err != nil {
			return nil, nil, err
		}
		return dev, func(at netip.AddrPort) (net.Listener, error) { return stack.ListenTCPAddrPort(at) }, nil
	}
	dev, stack, err := netstack.New([]netip.Addr{addr}, mtu)
	if err != nil {
		return nil, nil, err
	}
	return dev, func(at netip.AddrPort) (net.Listener, error) { return stack.Listen("tcp", at.String()) }, nil
}

// start brings the device up.
func start(kind string, dev tun.Device, conf string) (end func(), err error) {
	if kind != "hooks" {
		d := device.NewDevice(dev, udp.New(udp.Options{}), device.NewLogger(device.LogLevelError, ""))
		if err := d.IpcSet(conf); err != nil {
			return nil, err
		}
		return d.Close, d.Up()
	}
	t, err := tunnel.New(dev, udp.New(udp.Options{}), tunnel.Options{})
	if err != nil {
		return nil, err
	}
	client, served := net.Pipe()
	go t.HandleUAPI(served)
	if _, err := io.WriteString(client, "set=1\n"+strings.TrimSpace(conf)+"\n\n"); err != nil {
		return nil, err
	}
	answer := make([]byte, 100)
	if n, err := client.Read(answer); err != nil || !strings.HasPrefix(string(answer[:n]), "errno=0") {
		return nil, fmt.Errorf("configure: %q, %w", answer[:n], err)
	}
	return t.Close, t.Up()
}

func serve(l net.Listener, handle func(net.Conn)) {
	for {
		c, err := l.Accept()
		if err != nil {
			log.Print(err)
			return
		}
		go func() {
			handle(c)
			_ = c.Close() // nobody is waiting
		}()
	}
}

func flood(c net.Conn) {
	buf := make([]byte, 256<<10)
	for {
		if _, err := c.Write(buf); err != nil {
			return
		}
	}
}

// onlyReader and onlyWriter hide the short cuts that one stack may have and
// another not.
type onlyReader struct{ io.Reader }
type onlyWriter struct{ io.Writer }
