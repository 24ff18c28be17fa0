package node

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/netip"
	"os"
	"os/exec"
	"testing"
	"time"

	"golang.org/x/net/dns/dnsmessage"

	"github.com/wgnode/wgnode/node/config"
	"github.com/wgnode/wgnode/probe/key"
	"github.com/wgnode/wgnode/probe/patience"
)

// localPort returns a port of 127.0.0.1 that was free a moment ago.
func localPort(t *testing.T) string {
	t.Helper()
	_, port, err := net.SplitHostPort(freePort(t).Address)
	if err != nil {
		t.Fatal(err)
	}
	return port
}

// farSide is the other node, with servers in it.
type farSide struct {
	*stackNode
	t   *testing.T
	key key.Private
}

// newFarSide starts bob, 10.0.0.2 and fd00::2, who serves HTTP at port 80, an
// echo of UDP at port 7, of TCP at port 7, and names at port 53.
func newFarSide(t *testing.T, dir string, alice key.Public) *farSide {
	t.Helper()
	b := key.GeneratePrivate()
	f := &farSide{t: t, key: b}
	f.stackNode = startStack(t, dir, parse(t, "bob", fmt.Sprintf(
		"[Interface]\nPrivateKey=%s\nAddress=10.0.0.2/24,fd00::2/64\n[Peer]\n# Name = alice\nPublicKey=%s\n"+
			"AllowedIPs=10.0.0.1/32,fd00::1/128\n", b.Base64(), alice)))
	web := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		fmt.Fprintf(w, "hello %s %s %s", r.Method, r.Host, body)
	})}
	l := f.listen(":80")
	go func() { _ = web.Serve(l) }() // until the test ends
	t.Cleanup(func() { _ = web.Close() })
	echo := f.listen(":7")
	go func() {
		for {
			c, err := echo.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				all, err := io.ReadAll(c) // until the other half is closed
				if err == nil {
					_, _ = c.Write(all)
				}
			}()
		}
	}()
	for _, host := range []string{"10.0.0.2", "[fd00::2]"} {
		packets, err := f.Net().ListenPacket("udp", host+":7")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = packets.Close() })
		go func() {
			buf := make([]byte, 2000)
			for {
				n, from, err := packets.ReadFrom(buf)
				if err != nil {
					return
				}
				_, _ = packets.WriteTo(buf[:n], from)
			}
		}()
	}
	f.serveNames()
	return f
}

func (f *farSide) listen(at string) net.Listener {
	f.t.Helper()
	l, err := f.Net().Listen("tcp", at)
	if err != nil {
		f.t.Fatal(err)
	}
	f.t.Cleanup(func() { _ = l.Close() })
	return l
}

// serveNames knows web.corp.example, both families, and long.example, whose
// answer takes TCP.
func (f *farSide) serveNames() {
	answer := func(query []byte, overTCP bool) []byte {
		var m dnsmessage.Message
		if err := m.Unpack(query); err != nil {
			return nil
		}
		q := m.Questions[0]
		m.Header.Response, m.Header.RecursionAvailable = true, true
		head := dnsmessage.ResourceHeader{Name: q.Name, Class: dnsmessage.ClassINET, TTL: 1}
		switch name := q.Name.String(); {
		case name == "long.example." && !overTCP:
			m.Header.Truncated = true
		case name != "long.example." && name != "web.corp.example.":
			m.Header.RCode = dnsmessage.RCodeNameError
		case q.Type == dnsmessage.TypeA:
			m.Answers = append(m.Answers, dnsmessage.Resource{Header: head, Body: &dnsmessage.AResource{A: [4]byte{10, 0, 0, 2}}})
		case q.Type == dnsmessage.TypeAAAA:
			m.Answers = append(m.Answers, dnsmessage.Resource{Header: head,
				Body: &dnsmessage.AAAAResource{AAAA: netip.MustParseAddr("fd00::2").As16()}})
		}
		b, err := m.Pack()
		if err != nil {
			return nil
		}
		return b
	}
	c, err := f.Net().ListenPacket("udp", "10.0.0.2:53")
	if err != nil {
		f.t.Fatal(err)
	}
	f.t.Cleanup(func() { _ = c.Close() })
	go func() {
		buf := make([]byte, 2000)
		for {
			n, from, err := c.ReadFrom(buf)
			if err != nil {
				return
			}
			_, _ = c.WriteTo(answer(buf[:n], false), from)
		}
	}()
	l := f.listen("10.0.0.2:53")
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			var length [2]byte
			if _, err := io.ReadFull(c, length[:]); err == nil {
				query := make([]byte, binary.BigEndian.Uint16(length[:]))
				if _, err := io.ReadFull(c, query); err == nil {
					reply := answer(query, true)
					_, _ = c.Write(append(binary.BigEndian.AppendUint16(nil, uint16(len(reply))), reply...))
				}
			}
			_ = c.Close()
		}
	}()
}

// nearSide is alice, with services.
func nearSide(t *testing.T, services config.Services) (alice *stackNode, bob *farSide) {
	t.Helper()
	dir := t.TempDir()
	a := key.GeneratePrivate()
	bob = newFarSide(t, dir, a.Public())
	cfg := parse(t, "alice", fmt.Sprintf(
		"[Interface]\nPrivateKey=%s\nAddress=10.0.0.1/24,fd00::1/64\nDNS=10.0.0.2,corp.example\n[Peer]\nPublicKey=%s\n"+
			"AllowedIPs=10.0.0.0/24,fd00::/64\nEndpoint=127.0.0.1:%d\n",
		a.Base64(), bob.key.Public(), bob.Tunnel().ListenPort()))
	cfg.Services = services
	return startStack(t, dir, cfg), bob
}

// curl runs curl and returns its output and exit status.
func curl(t *testing.T, args ...string) (string, int) {
	t.Helper()
	path, err := exec.LookPath("curl")
	if err != nil {
		t.Skip("curl is not installed")
	}
	cmd := exec.Command(path, append([]string{"-sS", "-m20", "--noproxy", ""}, args...)...)
	cmd.Env = []string{}
	out, err := cmd.CombinedOutput()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return string(out), cmd.ProcessState.ExitCode()
}

// openFiles is how many descriptors this process has.
func openFiles(t *testing.T) int {
	t.Helper()
	// What this reads makes the runtime's own descriptors be there.
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(entries)
}

func dialLocal(t *testing.T, port string) net.Conn {
	t.Helper()
	c, err := net.Dial("tcp", "127.0.0.1:"+port)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	if err := c.SetDeadline(patience.Deadline()); err != nil {
		t.Fatal(err)
	}
	return c
}

// echoed sends text, ends its half, and wants it back.
func echoed(t *testing.T, c net.Conn, text string) {
	t.Helper()
	defer c.Close()
	if _, err := io.WriteString(c, text); err != nil {
		t.Fatal(err)
	}
	if err := c.(interface{ CloseWrite() error }).CloseWrite(); err != nil {
		t.Fatal(err)
	}
	if all, err := io.ReadAll(c); string(all) != text || err != nil {
		t.Errorf("%q came back, %v, want %q", all, err, text)
	}
}

func socksConnect(t *testing.T, proxy, to string) net.Conn {
	t.Helper()
	_, port, _ := net.SplitHostPort(proxy)
	c := dialLocal(t, port)
	ap := netip.MustParseAddrPort(to)
	request := append([]byte("\x05\x01\x00\x05\x01\x00\x01"), ap.Addr().AsSlice()...)
	if _, err := c.Write(binary.BigEndian.AppendUint16(request, ap.Port())); err != nil {
		t.Fatal(err)
	}
	reply := make([]byte, 2+10)
	if _, err := io.ReadFull(c, reply); err != nil || reply[3] != 0 {
		t.Fatalf("reply %x, %v", reply, err)
	}
	return c
}

// associate opens an association and returns a socket to its address.
func associate(t *testing.T, proxy string) net.Conn {
	t.Helper()
	_, port, _ := net.SplitHostPort(proxy)
	c := dialLocal(t, port)
	if _, err := io.WriteString(c, "\x05\x01\x00\x05\x03\x00\x01\x00\x00\x00\x00\x00\x00"); err != nil {
		t.Fatal(err)
	}
	reply := make([]byte, 2+10)
	if _, err := io.ReadFull(c, reply); err != nil || reply[3] != 0 {
		t.Fatalf("reply %x, %v", reply, err)
	}
	u, err := net.Dial("udp", fmt.Sprintf("127.0.0.1:%d", binary.BigEndian.Uint16(reply[10:])))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = u.Close() })
	return u
}

// randomBytes are without end, and the same for the same seed.
func randomBytes(seed uint64) io.Reader {
	var key [32]byte
	binary.BigEndian.PutUint64(key[:], seed)
	return rand.NewChaCha8(key)
}

// pingUDP sends a packet and returns the answer, sending again if it gets lost.
func pingUDP(t *testing.T, c net.Conn, out, want []byte) []byte {
	t.Helper()
	buf := make([]byte, 2000)
	for until := patience.Deadline(); time.Now().Before(until); {
		if _, err := c.Write(out); err != nil {
			t.Fatal(err)
		}
		if err := c.SetReadDeadline(time.Now().Add(2 * time.Second)); err != nil {
			t.Fatal(err)
		}
		n, err := c.Read(buf)
		if err != nil {
			continue
		}
		if want != nil && !bytes.Equal(buf[:n], want) {
			t.Errorf("%q came back, want %q", buf[:n], want)
		}
		return buf[:n]
	}
	t.Fatalf("no answer to %q", out)
	return nil
}

func askDNS(t *testing.T, network, at string, query []byte) []byte {
	t.Helper()
	c, err := net.Dial(network, at)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if network == "udp" {
		return pingUDP(t, c, query, nil)
	}
	if _, err := c.Write(append(binary.BigEndian.AppendUint16(nil, uint16(len(query))), query...)); err != nil {
		t.Fatal(err)
	}
	var length [2]byte
	if _, err := io.ReadFull(c, length[:]); err != nil {
		t.Fatal(err)
	}
	reply := make([]byte, binary.BigEndian.Uint16(length[:]))
	if _, err := io.ReadFull(c, reply); err != nil {
		t.Fatal(err)
	}
	return reply
}
