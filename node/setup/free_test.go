package setup

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"strings"
	"testing"

	"github.com/wgnode/wgnode/node/config"
)

func prefixes(texts ...string) []netip.Prefix {
	var all []netip.Prefix
	for _, s := range texts {
		all = append(all, netip.MustParsePrefix(s))
	}
	return all
}

func claimed(texts ...string) []Claim {
	var all []Claim
	for _, p := range prefixes(texts...) {
		all = append(all, Claim{p, "somebody's"})
	}
	return all
}

func TestNextAddresses(t *testing.T) {
	for name, test := range map[string]struct {
		networks []netip.Prefix
		claims   []Claim
		want     string // "" for none
	}{
		"first":                        {prefixes("10.0.0.0/24", "fd00::/64"), claimed("10.0.0.1/32", "fd00::1/128"), "10.0.0.2 fd00::2"},
		"a gap":                        {prefixes("10.0.0.0/24"), claimed("10.0.0.1/32", "10.0.0.2/32", "10.0.0.4/32"), "10.0.0.3"},
		"own address is not first":     {prefixes("10.0.0.0/24"), claimed("10.0.0.254/32"), "10.0.0.1"},
		"a prefix inside":              {prefixes("10.0.0.0/24"), claimed("10.0.0.1/32", "10.0.0.0/25"), "10.0.0.128"},
		"a prefix inside a prefix":     {prefixes("10.0.0.0/24"), claimed("10.0.0.0/25", "10.0.0.9/32", "10.0.0.128/32"), "10.0.0.129"},
		"beside":                       {prefixes("10.0.0.0/24"), claimed("10.0.1.0/24", "9.0.0.0/8"), "10.0.0.1"},
		"full":                         {prefixes("10.0.0.0/30"), claimed("10.0.0.1/32", "10.0.0.2/32"), ""},
		"all of it is somebody's":      {prefixes("10.0.0.0/24"), claimed("10.0.0.0/8"), ""},
		"the second network":           {prefixes("10.0.0.0/30", "10.1.0.0/24"), claimed("10.0.0.0/30"), "10.1.0.1"},
		"one family is full":           {prefixes("10.0.0.0/24", "fd00::/127"), claimed("fd00::/127"), ""},
		"two addresses":                {prefixes("10.0.0.0/31"), claimed("10.0.0.0/32"), "10.0.0.1"},
		"the end of all IPv4":          {prefixes("255.255.255.254/31"), claimed("255.255.255.254/31"), ""},
		"no broadcast in IPv6":         {prefixes("fd00::/126"), claimed("fd00::1/128", "fd00::2/128"), "fd00::3"},
		"IPv4 does not stand for IPv6": {prefixes("fd00::/64"), claimed("0.0.0.0/1"), "fd00::1"},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := NextAddresses(test.networks, test.claims)
			if text := strings.Trim(fmt.Sprint(got), "[]"); text != test.want {
				t.Errorf("%v, %v, want %s", got, err, test.want)
			}
			if full := new(FullError); (test.want == "") != errors.As(err, &full) {
				t.Errorf("error %v", err)
			}
		})
	}
}

// Whatever is claimed, the address is the lowest host's that nobody claims.
func TestNextAddressesIsTheLowest(t *testing.T) {
	for seed := range uint64(2000) {
		r := rand.New(rand.NewPCG(seed, 1))
		network := netip.PrefixFrom(netip.AddrFrom4([4]byte{10, 0, 0, 0}), 24+r.IntN(7)).Masked()
		var claims []Claim
		for range r.IntN(12) {
			addr := netip.AddrFrom4([4]byte{10, 0, byte(r.IntN(2)), byte(r.IntN(256))})
			claims = append(claims, Claim{netip.PrefixFrom(addr, 22+r.IntN(11)).Masked(), "somebody's"})
		}
		want := netip.Addr{}
		for a := network.Addr().Next(); network.Contains(a.Next()); a = a.Next() {
			if Check(a, claims) == nil {
				want = a
				break
			}
		}
		got, err := NextAddresses([]netip.Prefix{network}, claims)
		if want.IsValid() != (err == nil) || err == nil && got[0] != want {
			t.Fatalf("seed %d: %v, %v, want %v in %v beside %v", seed, got, err, want, network, claims)
		}
	}
}

func TestNextAddressesOfManyPeers(t *testing.T) {
	var claims []Claim
	a := netip.MustParseAddr("10.0.0.1")
	for range 60000 {
		claims = append(claims, Claim{netip.PrefixFrom(a, 32), "somebody's"})
		a = a.Next()
	}
	rand.New(rand.NewPCG(1, 1)).Shuffle(len(claims), func(i, j int) { claims[i], claims[j] = claims[j], claims[i] })
	if got, err := NextAddresses(prefixes("10.0.0.0/16"), claims); err != nil || got[0] != a {
		t.Errorf("%v, %v, want %v", got, err, a)
	}
}

// A default route claims nothing, and a lone address is no network.
func TestClaimsAndNetworks(t *testing.T) {
	c := &config.Config{
		Interface: config.Interface{Addresses: prefixes("10.0.0.1/24", "10.5.0.1/32", "fe80::1/64", "fd00::1/64")},
		Peers:     []config.Peer{{Name: "exit", AllowedIPs: prefixes("0.0.0.0/0", "10.0.0.2/32")}},
	}
	if got := fmt.Sprint(Networks(c)); got != "[10.0.0.0/24 fd00::/64]" {
		t.Errorf("networks %s", got)
	}
	got, err := NextAddresses(Networks(c), Claims(c))
	if want := "[10.0.0.3 fd00::2]"; err != nil || fmt.Sprint(got) != want {
		t.Errorf("%v, %v, want %s", got, err, want)
	}
	if err := Check(netip.MustParseAddr("10.0.0.2"), Claims(c)); err == nil ||
		err.Error() != "10.0.0.2 is peer exit's (AllowedIPs 10.0.0.2/32)" {
		t.Errorf("%v", err)
	}
}
