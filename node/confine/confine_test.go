//go:build linux

package confine

import (
	"errors"
	"net"
	"net/netip"
	"os"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/wgnode/wgnode/node/config"
)

func prefixes(all ...string) (ps []netip.Prefix) {
	for _, s := range all {
		ps = append(ps, netip.MustParsePrefix(s))
	}
	return ps
}

func TestNetworkOf(t *testing.T) {
	cfg := &config.Config{Name: "wg0", Interface: config.Interface{
		Addresses: prefixes("10.0.0.1/24"), DNS: []netip.Addr{netip.MustParseAddr("10.0.0.2")}, Search: []string{"example"},
		Table:   config.TableOff,
		Exclude: prefixes("192.168.0.0/16", "172.16.0.0/12"),
	}, Peers: []config.Peer{{AllowedIPs: prefixes("0.0.0.0/0", "172.16.3.0/24", "::/0")}}}
	want := Network{Name: "wg0", MTU: 1400, Addresses: cfg.Interface.Addresses, Routes: prefixes("0.0.0.0/0", "::/0"),
		Unreachable: cfg.Interface.Exclude, Servers: cfg.Interface.DNS, Search: cfg.Interface.Search}
	if diff := cmp.Diff(want, NetworkOf(cfg, 1400), cmp.Comparer(func(a, b netip.Prefix) bool { return a == b }),
		cmp.Comparer(func(a, b netip.Addr) bool { return a == b })); diff != "" {
		t.Error(diff)
	}
}

func TestHostsByDNS(t *testing.T) {
	for name, test := range map[string]struct{ text, want string }{
		"of a distribution": {
			"passwd: files systemd\nhosts:  files mymachines resolve [!UNAVAIL=return] dns\ngroup: files\n",
			"passwd: files systemd\n\ngroup: files\n\nhosts: files dns\n",
		},
		"none":             {"", "\nhosts: files dns\n"},
		"last, cut off":    {"  hosts: nis", "\nhosts: files dns\n"},
		"twice":            {"hosts: a\nhosts: b\n", "\n\n\nhosts: files dns\n"},
		"none of the name": {"# hosts: x\n", "# hosts: x\n\nhosts: files dns\n"},
	} {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(test.want, hostsByDNS(test.text)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestResolvText(t *testing.T) {
	n := Network{Name: "wg0", Servers: []netip.Addr{netip.MustParseAddr("10.0.0.2"), netip.MustParseAddr("fd00::2")},
		Search: []string{"a.example", "b"}}
	if got := resolvText(n); !strings.HasSuffix(got, "\nnameserver 10.0.0.2\nnameserver fd00::2\nsearch a.example b\n") {
		t.Errorf("%q", got)
	}
}

// What is sent with descriptors arrives with them, and an errno stays one.
func TestAnswers(t *testing.T) {
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	var ends [2]*net.UnixConn
	for i, fd := range pair {
		f := os.NewFile(uintptr(fd), "end")
		c, err := net.FileConn(f)
		if err := errors.Join(err, f.Close()); err != nil {
			t.Fatal(err)
		}
		ends[i] = c.(*net.UnixConn)
		defer c.Close()
	}
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	notes := []string{strings.Repeat("long ", 100000)}
	sent := make(chan error, 1)
	go func() { sent <- send(ends[0], answer{Notes: notes, Files: []string{fileTUN}}, int(w.Fd())) }() // more than the socket holds
	a, files, err := receive(ends[1])
	if err != nil || len(files) != 1 || !cmp.Equal(a.Notes, notes) {
		t.Fatalf("%+v, %v, %v", a, files, err)
	}
	if err := errors.Join(<-sent, w.Close()); err != nil {
		t.Error(err)
	}
	if _, err := files[fileTUN].WriteString("through"); err != nil {
		t.Error(err)
	}
	_ = files[fileTUN].Close()
	got := make([]byte, 10)
	if n, err := r.Read(got); err != nil || string(got[:n]) != "through" {
		t.Errorf("%q, %v", got, err)
	}
	if err := send(ends[0], failure(&os.PathError{Op: "open", Path: tunPath, Err: syscall.EACCES})); err != nil {
		t.Error(err)
	}
	if _, _, err = receive(ends[1]); !errors.Is(err, syscall.EACCES) || err.Error() != "open /dev/net/tun: permission denied" {
		t.Errorf("error %v", err)
	}
	if err := ends[0].Close(); err != nil {
		t.Error(err)
	}
	if _, _, err = receive(ends[1]); !errors.Is(err, errGone) {
		t.Errorf("error %v, want errGone", err)
	}
}
