package services

import (
	"net"
	"strings"
	"testing"
)

// A service listens where it is told, and nowhere else.
func TestListenHere(t *testing.T) {
	for _, test := range []struct {
		at string
		v6 bool
	}{{"127.0.0.1:0", false}, {"0.0.0.0:0", false}, {"[::]:0", true}} {
		l, err := listenHere("tcp", test.at)
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		c, err := listenPacketHere("udp", test.at)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		for _, a := range []net.Addr{l.Addr(), c.LocalAddr()} {
			if got := strings.HasPrefix(a.String(), "["); got != test.v6 {
				t.Errorf("told %s it listens at %s", test.at, a)
			}
		}
	}
}
