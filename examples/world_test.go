//go:build linux

package examples

import (
	"net/netip"
	"strconv"
	"testing"

	"github.com/wgnode/wgnode/node/lab"
)

// world is the network around the hosts of an example: a router in the middle,
// which stands for the Internet, and around it hosts with public addresses and
// networks behind NAT. The addresses are those in the drawings.
type world struct {
	*lab.Lab
	t        *testing.T
	internet *lab.Host
	ports    int // cables to networks, each of which has its own name
}

func newWorld(t *testing.T) *world {
	w := &world{Lab: lab.New(t), t: t}
	w.internet = w.Host("internet")
	forward(w.internet)
	return w
}

func forward(h *lab.Host) {
	h.Sysctl("net.ipv4.ip_forward", "1")
	h.Sysctl("net.ipv6.conf.all.forwarding", "1")
}

// public adds a host with these addresses on the Internet, at its eth0. Its
// provider is the first address of each network.
func (w *world) public(name string, addrs ...string) *lab.Host {
	w.t.Helper()
	h := w.Host(name)
	var provider []string
	for _, a := range addrs {
		provider = append(provider, first(a).String())
	}
	w.Link(h.End("eth0", addrs...), w.internet.End(name, provider...))
	for _, p := range provider {
		h.Route("default", netip.MustParsePrefix(p).Addr().String())
	}
	return h
}

// nat adds a router as people have it at home: who is behind it can call out,
// and nobody can call in. It has a public address at eth0, and the other at lan.
func (w *world) nat(name, public, private string) *lab.Host {
	w.t.Helper()
	r := w.public(name, public)
	forward(r)
	w.network(r, "lan", private)
	r.RunInput(`table inet home {
	chain postrouting {
		type nat hook postrouting priority srcnat
		oifname "eth0" masquerade
	}
	chain input {
		type filter hook input priority filter
		iifname "eth0" ct state new drop
	}
	chain forward {
		type filter hook forward priority filter
		iifname "eth0" ct state new drop
	}
}`, "nft", "-f", "-")
	return r
}

// network gives a host an interface that several others can be joined to.
func (w *world) network(h *lab.Host, name string, addrs ...string) {
	w.t.Helper()
	h.Run("ip", "link", "add", name, "type", "bridge")
	for _, a := range addrs {
		h.Run("ip", "address", "add", a, "dev", name)
	}
	h.Run("ip", "link", "set", name, "up")
}

// join adds a host to a network of another, at its eth0. It has no default
// route yet.
func (w *world) join(to *lab.Host, network, name string, addrs ...string) *lab.Host {
	w.t.Helper()
	h := w.Host(name)
	w.ports++
	port := "port" + strconv.Itoa(w.ports)
	w.Link(h.End("eth0", addrs...), to.End(port))
	to.Run("ip", "link", "set", port, "master", network)
	return h
}

// behind adds a host to the network of a NAT router, which is its default route.
func (w *world) behind(router *lab.Host, name, addr string) *lab.Host {
	w.t.Helper()
	h := w.join(router, "lan", name, addr)
	h.Route("default", first(addr).Addr().String())
	return h
}

// first returns the first address of a host's network: by custom its router's.
func first(addr string) netip.Prefix {
	p := netip.MustParsePrefix(addr)
	return netip.PrefixFrom(p.Masked().Addr().Next(), p.Bits())
}
