//go:build linux

package services

import (
	"crypto/sha256"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/wgnode/wgnode/node/lab"
)

// What passes is intact, both ways.
func TestExecIntact(t *testing.T) {
	lab.Need(t, "curl", "sha256sum")
	s := newExecSite(t)
	const size = 32 << 20
	data := make([]byte, size)
	rand.NewChaCha8([32]byte{}).Read(data)
	want := fmt.Sprintf("%x", sha256.Sum256(data))
	file := s.dir + "/data"
	s.A.WriteFile(file, string(data), 0o644)
	l := s.B.Listen("tcp", net.JoinHostPort(s.IP(s.Addr.B), "8080"))
	server := &http.Server{ReadHeaderTimeout: time.Minute, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodGet {
			_, _ = w.Write(data) // curl would tell
			return
		}
		sum := sha256.New()
		if _, err := io.Copy(sum, r.Body); err != nil {
			t.Error(err)
		}
		fmt.Fprintf(w, "%x", sum.Sum(nil))
	})}
	defer server.Close()
	go func() { _ = server.Serve(l) }()
	url := "http://" + l.Addr().String()
	if got := s.A.Run(s.exec("sh", "-c", "curl -sS "+url+" | sha256sum")...); !strings.HasPrefix(got, want) {
		t.Errorf("what came has the hash %s", got)
	}
	if got := s.A.Run(s.exec("curl", "-sS", "-T", file, url)...); got != want {
		t.Errorf("what went has the hash %s", got)
	}

	// A thousand at once, each with a half that ends first; and who is refused.
	for _, to := range []string{net.JoinHostPort(s.Addr.B.V4.Addr().String(), "7"), net.JoinHostPort(s.Addr.B.V6.Addr().String(), "7")} {
		serveEcho(s.B.Listen("tcp", to))
		answers(t, s.A, "", 0, "<nil>", s.exec(s.dial(), to, "1000")...)
		answers(t, s.A, "", int(unix.ECONNREFUSED), "connection refused", s.exec(s.dial(), to+"1")...)
	}
	s.nothingLeft(s.A)
}
