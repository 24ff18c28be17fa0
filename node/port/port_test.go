//go:build linux

package port

import (
	"errors"
	"net"
	"os"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// TestExplain has a port taken and wants to be told that this process has it.
func TestExplain(t *testing.T) {
	udp, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer udp.Close()
	tcp, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer tcp.Close()
	_, udpErr := net.ListenPacket("udp", udp.LocalAddr().String())
	_, tcpErr := net.Listen("tcp", tcp.Addr().String())
	for _, tc := range []struct {
		network, address string
		err              error
	}{
		{"udp", udp.LocalAddr().String(), udpErr},
		{"tcp", tcp.Addr().String(), tcpErr},
	} {
		got := ExplainListen(tc.err, tc.network, tc.address)
		var used *InUseError
		if !errors.As(got, &used) || used.Owner.PID != os.Getpid() || !errors.Is(got, unix.EADDRINUSE) {
			t.Errorf("%v became %v, which does not name process %d", tc.err, got, os.Getpid())
			continue
		}
		_, port, _ := net.SplitHostPort(tc.address)
		want := strings.ToUpper(tc.network) + " port " + port + ": address already in use by " + used.Owner.Name + " (pid " +
			strconv.Itoa(os.Getpid()) + ")"
		if got.Error() != want {
			t.Errorf("it reads %q, want %q", got, want)
		}
	}
	other := errors.New("something else")
	if got := Explain(other, "udp", 1); got != other {
		t.Errorf("another error became %v", got)
	}
	if got := Explain(unix.EADDRINUSE, "udp", 1); got.Error() != "UDP port 1: address already in use" {
		t.Errorf("of a port that nobody has it says %v", got)
	}
}
