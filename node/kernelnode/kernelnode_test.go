//go:build linux

package kernelnode

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"testing"

	"github.com/wgnode/wgnode/node/control"
	"github.com/wgnode/wgnode/node/rundir"
	"github.com/wgnode/wgnode/probe/host/kernelwg"
	"github.com/wgnode/wgnode/probe/patience"
)

// What is no device of the kernel's is not looked at as one, and it is said.
func TestDialRefuses(t *testing.T) {
	for _, name := range []string{"lo", "nowhere"} {
		if _, err := Dial(t.Context(), name, Options{RunDir: t.TempDir()}); !errors.Is(err, kernelwg.ErrNotKernel) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// A client of this process's own listener gets answers, and the last words when it shuts its half
// of the connection down; then none.
func TestPairListener(t *testing.T) {
	l := newPairListener("wg0")
	mux := http.NewServeMux()
	mux.HandleFunc("GET /v1/peers", func(w http.ResponseWriter, _ *http.Request) {
		control.Answer(w, http.StatusOK, []control.PeerName{{Name: "alice"}})
	})
	mux.HandleFunc("GET /last", func(w http.ResponseWriter, r *http.Request) {
		_ = http.NewResponseController(w).Flush() // the test hears of it
		<-r.Context().Done()
		_, _ = fmt.Fprint(w, "last words")
	})
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	served := make(chan error, 1)
	go func() { served <- control.Serve(ctx, mux, l) }()

	c := control.NewClient("wg0", l.dial)
	if peers, err := c.Peers(patience.Context(t)); err != nil || len(peers) != 1 || peers[0].Name != "alice" {
		t.Errorf("got %v, %v", peers, err)
	}
	conn, err := l.dial(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := fmt.Fprint(conn, "GET /last HTTP/1.1\r\nHost: node\r\nConnection: close\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	head := make([]byte, 8)
	if _, err := io.ReadFull(conn, head); err != nil {
		t.Fatal(err)
	}
	if err := conn.CloseWrite(); err != nil {
		t.Fatal(err)
	}
	if rest, err := io.ReadAll(conn); err != nil || !bytes.Contains(rest, []byte("last words")) {
		t.Errorf("got %q, %v", rest, err)
	}
	stop()
	if err := <-served; err != nil {
		t.Error(err)
	}
	if _, err := l.dial(t.Context()); !errors.Is(err, rundir.ErrNotRunning) {
		t.Errorf("nobody listens: %v", err)
	}
}
