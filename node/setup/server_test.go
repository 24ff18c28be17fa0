package setup

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"strings"
	"testing"

	"github.com/wgnode/wgnode/node/config"
)

// Whatever is taken, the networks are private, of their own, and their files say so.
func TestNewServer(t *testing.T) {
	for seed := range uint64(300) {
		r := rand.New(rand.NewPCG(seed, 2))
		taken := &Taken{Networks: prefixes("0.0.0.0/0", "0.0.0.0/1", "128.0.0.0/1", "::/0", "2000::/3")}
		if seed%3 > 0 {
			taken.Networks = append(taken.Networks, prefixes("10.0.0.0/9", "10.128.0.0/10", "10.192.0.0/11")...)
		}
		if seed%3 > 1 {
			taken.Networks = append(taken.Networks, prefixes("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/17")...)
			taken.Ports = []uint16{51820, 51821}
		}
		s := NewServer(taken, []string{"eth0"}, r)
		if len(s.Addresses) != 2 {
			t.Fatalf("seed %d: %v", seed, s.Addresses)
		}
		for _, a := range s.Addresses {
			if !a.Addr().IsPrivate() {
				t.Errorf("seed %d: %v is not private", seed, a)
			}
			for _, n := range taken.Networks[5:] {
				if n.Overlaps(a) {
					t.Errorf("seed %d: %v is in %v", seed, a, n)
				}
			}
		}
		if want := uint16(firstPort + len(taken.Ports)); s.Port != want {
			t.Errorf("seed %d: port %d, want %d", seed, s.Port, want)
		}
		for _, path := range []string{"wg0.toml", "wg0.conf"} {
			text, err := s.Text(path)
			if err != nil {
				t.Fatal(err)
			}
			c, err := config.ParseTOML(strings.NewReader(text), path)
			if strings.HasSuffix(path, ".conf") {
				c, err = config.Parse(strings.NewReader(text), path)
			}
			if err != nil || fmt.Sprint(c.Interface.Addresses) != fmt.Sprint(s.Addresses) || c.Interface.PrivateKey != s.Private ||
				c.Interface.ListenPort != s.Port || len(c.Warnings()) > 0 {
				t.Fatalf("%v %v in\n%s", err, c.Warnings(), text)
			}
			if got, err := NextAddresses(Networks(c), Claims(c)); err != nil || got[0] != s.Addresses[0].Addr().Next() {
				t.Errorf("the first peer has %v, %v", got, err)
			}
		}
	}
}

// Where all of IPv4 is taken there is IPv6.
func TestNewServerWithoutIPv4(t *testing.T) {
	s := NewServer(&Taken{Networks: prefixes("10.0.0.0/8", "172.0.0.0/8", "192.168.0.0/16")}, nil, rand.New(rand.NewPCG(1, 1)))
	if len(s.Addresses) != 1 || !s.Addresses[0].Addr().Is6() {
		t.Fatal(s.Addresses)
	}
	text, err := s.Text("wg0.toml")
	if err != nil || strings.Contains(text, "masquerade") {
		t.Errorf("%v in\n%s", err, text)
	}
}

// What this host has, a server is not given.
func TestTakenLook(t *testing.T) {
	var taken Taken
	if err := taken.Look(t.TempDir()); err != nil {
		t.Fatal(err)
	}
	for _, p := range taken.Networks {
		if p == netip.MustParsePrefix("127.0.0.0/8") {
			return
		}
	}
	t.Errorf("loopback is not among %v", taken.Networks)
}
