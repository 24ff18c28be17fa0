package control

import (
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"testing"

	"github.com/wgnode/wgnode/probe/patience"
)

// What the far end says first, as a server of SSH does, reaches a file even if it comes
// together with the node's answer.
func TestConnectDeliversBanner(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	go func() {
		c, err := l.Accept()
		if err != nil {
			return // the test has ended
		}
		defer c.Close()
		_, _ = c.Write([]byte("HTTP/1.1 101 Switching Protocols\r\n\r\nSSH-2.0-banner\r\n"))
		_ = c.(*net.UnixConn).CloseWrite()
		_, _ = io.Copy(io.Discard, c)
	}()
	c, err := clientOf("s", path).Connect(patience.Context(t), "a:22")
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	_, err = io.Copy(w, c)
	if err = errors.Join(err, w.Close()); err != nil {
		t.Fatal(err)
	}
	if got, err := io.ReadAll(r); err != nil || string(got) != "SSH-2.0-banner\r\n" {
		t.Errorf("%q arrives (%v), want the banner", got, err)
	}
}
