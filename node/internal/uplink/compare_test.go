//go:build linux

package uplink

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

var (
	hub  = netip.MustParseAddr("203.0.113.2")
	hub6 = netip.MustParseAddr("2001:db8:2::2")
	eth0 = Way{Link: "eth0", Gateway: netip.MustParseAddr("10.9.1.1"), Source: netip.MustParseAddr("10.9.1.2"), MTU: 1500}
	eth1 = Way{Link: "eth1", Gateway: netip.MustParseAddr("10.9.3.1"), Source: netip.MustParseAddr("10.9.3.2"), MTU: 1500}
)

// picture is one in which all goes by w and the links are up.
func picture(w Way, links ...string) State {
	s := State{Default4: w, Ways: map[netip.Addr]Way{hub: w}, addrs: map[netip.Addr]bool{w.Source: true}, up: make(map[string]bool)}
	for _, l := range links {
		s.up[l] = true
	}
	return s
}

func change(s State, f func(*State)) State { f(&s); return s }

func TestCompare(t *testing.T) {
	readdressed := eth0
	readdressed.Source = netip.MustParseAddr("10.9.1.3")
	narrow := eth0
	narrow.MTU = 1400
	for name, test := range map[string]struct {
		was, is State
		want    string
		moved   bool
	}{
		"nothing":                 {picture(eth0, "eth0"), picture(eth0, "eth0"), "", false},
		"a link that is not used": {picture(eth0, "eth0", "docker0"), picture(eth0, "eth0"), "", false},
		"MTU only":                {picture(eth0, "eth0"), picture(narrow, "eth0"), "", false},
		"other uplink, the address stays": {
			picture(eth0, "eth0", "eth1"), change(picture(eth1, "eth0", "eth1"), func(s *State) { s.addrs[eth0.Source] = true }),
			"default-route 10.9.1.1 eth0 > 10.9.3.1 eth1; source 10.9.1.2 eth0 > 10.9.3.2 eth1", true,
		},
		"other uplink, the address is gone": {
			picture(eth0, "eth0", "eth1"), picture(eth1, "eth0", "eth1"),
			"default-route 10.9.1.1 eth0 > 10.9.3.1 eth1; address-gone 10.9.1.2 eth0 > 10.9.3.2 eth1", true,
		},
		"other address": {picture(eth0, "eth0"), picture(readdressed, "eth0"), "address-gone 10.9.1.2 eth0 > 10.9.1.3 eth0", true},
		"down": {
			picture(eth0, "eth0"), picture(Way{}),
			"link-down - eth0 > - ; default-route 10.9.1.1 eth0 > - ; address-gone 10.9.1.2 eth0 > - ", false,
		},
		"up": {
			picture(Way{}), picture(eth0, "eth0"),
			"link-up -  > - eth0; default-route -  > 10.9.1.1 eth0; source -  > 10.9.1.2 eth0", true,
		},
		"carrier lost, routes stay": {picture(eth0, "eth0"), picture(eth0), "link-down - eth0 > - ", false},
		"carrier back":              {picture(eth0), picture(eth0, "eth0"), "link-up -  > - eth0", true},
		"another endpoint": {
			picture(eth0, "eth0"), change(picture(eth0, "eth0"), func(s *State) { s.Ways = map[netip.Addr]Way{hub6: eth0} }), "", false,
		},
	} {
		d := Compare(test.was, test.is)
		var got []string
		for _, c := range d.Changes {
			got = append(got, fmt.Sprintf("%s %s %s > %s %s", c.Change, text(c.OldAddr), c.OldLink, text(c.NewAddr), c.NewLink))
		}
		if s := strings.Join(got, "; "); s != test.want {
			t.Errorf("%s:\n got %s\nwant %s", name, s, test.want)
		}
		if moved := slices.Contains(d.Moved, hub); moved != test.moved {
			t.Errorf("%s: moved: %v", name, moved)
		}
	}
}

func text(a netip.Addr) string {
	if !a.IsValid() {
		return "-"
	}
	return a.String()
}

// Ways that change alike are told of once.
func TestCompareMany(t *testing.T) {
	was, is := picture(eth0, "eth0", "eth1"), picture(eth1, "eth0", "eth1")
	for i := range 100 {
		a := netip.AddrFrom4([4]byte{198, 51, 100, byte(i)})
		was.Ways[a], is.Ways[a] = eth0, eth1
	}
	if d := Compare(was, is); len(d.Changes) != 2 || len(d.Moved) != 101 {
		t.Errorf("%d changes, %d moved", len(d.Changes), len(d.Moved))
	}
}

// jumps is a timer whose clock jumps.
type jumps chan error

func (j jumps) Read([]byte) (int, error) { return 0, <-j }

func TestResumes(t *testing.T) {
	slept := []time.Duration{time.Hour, time.Hour, time.Hour + time.Minute, time.Hour + time.Minute}
	timer := make(jumps, 4)
	for _, err := range []error{unix.ECANCELED, unix.ECANCELED, unix.ECANCELED, os.ErrClosed} {
		timer <- err
	}
	var woke []time.Duration
	err := resumes(timer, func() (d time.Duration, err error) {
		d, slept = slept[0], slept[1:]
		return d, nil
	}, func(d time.Duration) { woke = append(woke, d) })
	if err != nil || !slices.Equal(woke, []time.Duration{time.Minute}) {
		t.Errorf("woke after %v, %v; want once, after 1m: the clock was set twice besides", woke, err)
	}
	timer <- io.ErrUnexpectedEOF
	if err := resumes(timer, asleep, nil); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("got %v", err)
	}
}

// The kernel takes the timer, and the watch ends with its context.
func TestResumesEnds(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- Resumes(ctx, func(time.Duration) {}) }()
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}
