//go:build linux

package confine

import (
	"net"
	"os"
	"testing"

	"golang.org/x/sys/unix"
)

// Whatever comes from inside, with whatever descriptors, it is an answer or an error,
// and no descriptor stays open that no name is for.
func FuzzAnswer(f *testing.F) {
	f.Add([]byte("{\"files\":[\"tun\",\"tcp4\"]}\n"), uint8(2))
	f.Add([]byte("{\"error\":\"no\",\"errno\":13}\n"), uint8(0))
	f.Add([]byte("{\"files\":[\"tun\",\"tun\"]}\n"), uint8(2))
	f.Add([]byte("{}"), uint8(1))
	f.Add([]byte("{\"files\":[\"\"]}\n"), uint8(7))
	f.Add([]byte("\n"), uint8(0))
	f.Fuzz(func(t *testing.T, text []byte, descriptors uint8) {
		pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			t.Fatal(err)
		}
		inside, outside := unixConn(t, pair[0]), unixConn(t, pair[1])
		defer outside.Close()
		null, err := os.Open(os.DevNull) // the sockets themselves would keep each other open
		if err != nil {
			t.Fatal(err)
		}
		var fds []int
		for range descriptors % 8 {
			fds = append(fds, int(null.Fd()))
		}
		if len(text) > 0 {
			var oob []byte
			if len(fds) > 0 {
				oob = unix.UnixRights(fds...)
			}
			if _, _, err := inside.WriteMsgUnix(text, oob, nil); err != nil {
				t.Fatal(err)
			}
		}
		_ = inside.Close()
		_ = inside.file.Close()
		_ = null.Close()
		before := openFiles(t)
		a, files, err := receive(outside.UnixConn)
		for _, file := range files {
			_ = file.Close()
		}
		if err == nil && len(a.Files) != len(fds) {
			t.Errorf("%q with %d descriptors is %+v", text, len(fds), a)
		}
		if after := openFiles(t); after != before {
			t.Errorf("%q with %d descriptors leaves %d open", text, len(fds), after-before)
		}
	})
}

// conn is a socket, and the file that it was made of.
type conn struct {
	*net.UnixConn
	file *os.File
}

func unixConn(t *testing.T, fd int) conn {
	t.Helper()
	file := os.NewFile(uintptr(fd), "pair")
	c, err := net.FileConn(file)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = file.Close() })
	return conn{c.(*net.UnixConn), file}
}

func openFiles(t *testing.T) int {
	t.Helper()
	names, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(names)
}
