package uapi

import (
	"bufio"
	"errors"
	"io"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"golang.zx2c4.com/wireguard/conn"
	"golang.zx2c4.com/wireguard/device"
	"golang.zx2c4.com/wireguard/tun/tuntest"

	"github.com/wgnode/wgnode/probe/key"
)

// socketDir points the package at an empty folder. The tests of this package
// run one after the other.
func socketDir(t *testing.T) {
	t.Helper()
	// t.TempDir is too long for a socket's path, which has room for 107 bytes.
	dir, err := os.MkdirTemp("", "uapi")
	if err != nil {
		t.Fatal(err)
	}
	before := SocketDir
	SocketDir = dir
	t.Cleanup(func() {
		SocketDir = before
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
}

// serve hands each connection to NAME.sock to handle, which need not close it.
func serve(t *testing.T, name string, handle func(net.Conn)) {
	t.Helper()
	l, err := net.Listen("unix", filepath.Join(SocketDir, name+".sock"))
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			c, err := l.Accept()
			if err != nil {
				return // the listener was closed
			}
			handle(c)
			c.Close()
		}
	}()
	t.Cleanup(func() { l.Close(); <-done })
}

// answer serves a device that answers every request with the same text.
func answer(t *testing.T, name, text string) {
	t.Helper()
	serve(t, name, func(c net.Conn) {
		r := bufio.NewReader(c)
		for {
			line, err := r.ReadString('\n')
			if err != nil {
				return
			}
			if line == "\n" {
				break
			}
		}
		io.WriteString(c, text)
	})
}

// newDevice serves a real wireguard-go device at NAME.sock.
func newDevice(t *testing.T, name string) {
	t.Helper()
	dev := device.NewDevice(tuntest.NewChannelTUN().TUN(), conn.NewDefaultBind(), device.NewLogger(device.LogLevelSilent, ""))
	t.Cleanup(dev.Close)
	serve(t, name, func(c net.Conn) { dev.IpcHandle(c) })
}

func TestSetThenGet(t *testing.T) {
	socketDir(t)
	newDevice(t, "wg0")
	private, peer, preshared := key.GeneratePrivate(), key.GeneratePrivate().Public(), key.GeneratePreshared()
	config := "private_key=" + private.Hex() + "\n" +
		"listen_port=0\n" +
		"public_key=" + peer.Hex() + "\n" +
		"preshared_key=" + preshared.Hex() + "\n" +
		"endpoint=[fe80::1%lo]:51820\n" +
		"persistent_keepalive_interval=25\n" +
		"allowed_ip=10.1.0.0/16\n"
	if err := Set("wg0", config); err != nil {
		t.Fatal(err)
	}
	s, err := Get("wg0")
	if err != nil {
		t.Fatal(err)
	}
	if s.PrivateKey != private || s.PublicKey != private.Public() {
		t.Errorf("device is %+v", s)
	}
	p := s.Peer(peer)
	if p == nil {
		t.Fatal("the peer is missing")
	}
	if p.PresharedKey != preshared || p.Endpoint.String() != "[fe80::1%lo]:51820" ||
		p.PersistentKeepalive.Seconds() != 25 || p.AllowedIPs[0].String() != "10.1.0.0/16" ||
		!p.LastHandshake.IsZero() || p.RxBytes != 0 {
		t.Errorf("peer is %+v", *p)
	}
	if err := Set("wg0", ""); err != nil {
		t.Errorf("set nothing: %v", err)
	}
}

func TestSetRefused(t *testing.T) {
	socketDir(t)
	newDevice(t, "wg0")
	err := Set("wg0", "listen_port=many")
	if !errors.Is(err, syscall.EINVAL) || !strings.Contains(err.Error(), "configure interface wg0") {
		t.Errorf("error %v, want EINVAL that names the interface", err)
	}
	if err := Set("wg0", "fwmark=1\n\nfwmark=2"); err == nil {
		t.Error("an empty line in the configuration passed")
	}
	s, err := Get("wg0")
	if err != nil {
		t.Fatal(err)
	}
	if s.FwMark != 0 {
		t.Errorf("the refused configuration set fwmark %d", s.FwMark)
	}
}

func TestNoSuchDevice(t *testing.T) {
	socketDir(t)
	if _, err := Get("wg0"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("no socket: %v", err)
	}
	abandoned(t, "dead")
	if _, err := Get("dead"); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("socket without a server: %v", err)
	}
	for _, name := range []string{"", "../wg0", "a/b", "a\x00"} {
		if _, err := Get(name); !errors.Is(err, ErrName) {
			t.Errorf("name %q: %v", name, err)
		}
	}
}

func TestBrokenAnswers(t *testing.T) {
	socketDir(t)
	answer(t, "cut", "listen_port=1\n")
	answer(t, "mute", "")
	answer(t, "refusing", "errno=1\n\n")
	answer(t, "odd", "hello\n\n")
	for _, name := range []string{"cut", "mute"} {
		if _, err := Get(name); !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("get %s: %v", name, err)
		}
	}
	if _, err := Get("refusing"); !errors.Is(err, syscall.EPERM) {
		t.Errorf("get refusing: %v", err)
	}
	if err := Set("mute", "fwmark=1"); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("set mute: %v", err)
	}
	if err := Set("odd", "fwmark=1"); err == nil {
		t.Error("set odd: an answer without errno passed for success")
	}
}

func TestInterfaces(t *testing.T) {
	socketDir(t)
	if names, err := Interfaces(); err != nil || len(names) != 0 {
		t.Errorf("empty folder: %v, %v", names, err)
	}
	answer(t, "wg0", "errno=0\n\n")
	answer(t, "wg1", "errno=0\n\n")
	answer(t, "", "errno=0\n\n") // ".sock"
	abandoned(t, "dead")
	if err := os.WriteFile(filepath.Join(SocketDir, "file.sock"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	names, err := Interfaces()
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(names)
	if !slices.Equal(names, []string{"wg0", "wg1"}) {
		t.Errorf("interfaces %q, want those whose socket answers, wg0 and wg1", names)
	}
	SocketDir = filepath.Join(SocketDir, "none")
	if names, err := Interfaces(); err != nil || len(names) != 0 {
		t.Errorf("no folder: %v, %v", names, err)
	}
	SocketDir = filepath.Dir(SocketDir)
}

// abandoned leaves a socket that nobody serves, as a killed process does.
func abandoned(t *testing.T, name string) {
	t.Helper()
	l, err := net.ListenUnix("unix", &net.UnixAddr{Net: "unix", Name: filepath.Join(SocketDir, name+".sock")})
	if err != nil {
		t.Fatal(err)
	}
	l.SetUnlinkOnClose(false)
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
}
