package dns

import (
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"testing"

	"go.uber.org/goleak"
	"golang.org/x/net/dns/dnsmessage"

	"github.com/wgnode/wgnode/node/internal/proxy"
	"github.com/wgnode/wgnode/probe/patience"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// servers answer with what they are asked, but that by this name not at all.
type servers struct{ network chan string }

const unanswered = "silent.example."

func (s servers) Exchange(_ context.Context, network string, query []byte) ([]byte, error) {
	var m dnsmessage.Message
	if err := m.Unpack(query); err != nil {
		return nil, err
	}
	s.network <- network
	if m.Questions[0].Name.String() == unanswered {
		return nil, errors.New("no answer")
	}
	m.Response = true
	return m.Pack()
}

func question(t *testing.T, name string) []byte {
	t.Helper()
	m := dnsmessage.Message{Header: dnsmessage.Header{ID: 4711, RecursionDesired: true}, Questions: []dnsmessage.Question{{
		Name: dnsmessage.MustNewName(name), Type: dnsmessage.TypeTXT, Class: dnsmessage.ClassINET}}}
	b, err := m.Pack()
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// Questions of any type go on as they are, by what they came by. What is none is
// passed over.
func TestForward(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p, err := net.ListenPacket("udp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	to := servers{make(chan string, 10)}
	ctx, cancel := context.WithCancel(context.Background())
	served := make(chan error, 2)
	go func() { served <- TCP(ctx, l, to, proxy.Options{}) }()
	go func() { served <- UDP(ctx, p, to, proxy.Options{}) }()
	for _, network := range []string{"udp", "tcp"} {
		c, err := net.Dial(network, l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		if err := c.SetDeadline(patience.Deadline()); err != nil {
			t.Fatal(err)
		}
		if network == "udp" {
			if _, err := c.Write([]byte("no question")); err != nil {
				t.Fatal(err)
			}
		}
		for name, rcode := range map[string]dnsmessage.RCode{"a.example.": dnsmessage.RCodeSuccess, unanswered: dnsmessage.RCodeServerFailure} {
			var m dnsmessage.Message
			if err := m.Unpack(exchange(t, c, network, question(t, name))); err != nil {
				t.Fatal(err)
			}
			if m.ID != 4711 || !m.Response || m.RCode != rcode || m.Questions[0].Name.String() != name {
				t.Errorf("%s %s: %+v", network, name, m)
			}
			if by := <-to.network; by != network {
				t.Errorf("what came by %s went on by %s", network, by)
			}
		}
		_ = c.Close()
	}
	bad, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer bad.Close()
	if _, err := bad.Write([]byte("\x00\x02no")); err != nil {
		t.Fatal(err)
	}
	if b, _ := io.ReadAll(bad); len(b) > 0 {
		t.Errorf("no question was answered with %q", b)
	}
	cancel()
	if err := errors.Join(<-served, <-served); err != nil {
		t.Error(err)
	}
}

func exchange(t *testing.T, c net.Conn, network string, query []byte) []byte {
	t.Helper()
	if network == "tcp" {
		query = append(binary.BigEndian.AppendUint16(nil, uint16(len(query))), query...)
	}
	if _, err := c.Write(query); err != nil {
		t.Fatal(err)
	}
	buf := make([]byte, 2000)
	n, err := c.Read(buf)
	if err != nil {
		t.Fatal(err)
	}
	if network == "tcp" {
		return buf[2:n]
	}
	return buf[:n]
}

func FuzzQuestion(f *testing.F) {
	f.Add([]byte("\x00\x01\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x01a\x00\x00\x01\x00\x01"))
	f.Fuzz(func(t *testing.T, b []byte) {
		if isQuestion(b) && len(serverFailure(b)) < 12 {
			t.Errorf("%q has no answer", b)
		}
	})
}
