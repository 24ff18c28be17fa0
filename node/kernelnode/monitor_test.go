//go:build linux

package kernelnode

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"strings"
	"testing"

	"github.com/wgnode/wgnode/node/config"
	"github.com/wgnode/wgnode/node/exporter"
)

// A monitor of devices that are not there waits for them, shows metrics meanwhile, and ends when
// it is asked to. Nobody else is taken for one.
func TestMonitorWithoutDevices(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root: without rights it ends at once")
	}
	dir, ready := t.TempDir(), make(chan struct{})
	var log bytes.Buffer // read when the monitor has ended
	at := dir + "/metrics"
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	ended := make(chan error, 1)
	go func() {
		ended <- Monitor(ctx, MonitorOptions{Options: Options{RunDir: dir,
			Logger: slog.New(slog.NewTextHandler(&log, nil))}, Names: []string{"nowhere", "lo"},
			Metrics: exporter.Place{Listen: config.Listen{Network: "unix", Address: at}}, Ready: func() error { close(ready); return nil }})
	}()
	select {
	case <-ready:
	case err := <-ended:
		t.Fatal(err)
	}
	web := &http.Client{Transport: &http.Transport{DisableKeepAlives: true,
		DialContext: func(context.Context, string, string) (net.Conn, error) { return net.Dial("unix", at) }}}
	res, err := web.Get("http://monitor/metrics")
	if err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(res.Body)
	if err = errors.Join(err, res.Body.Close()); err != nil || !bytes.Contains(text, []byte("go_goroutines")) {
		t.Errorf("metrics: %v\n%s", err, text)
	}
	if c, err := dialMonitor(dir, "nowhere"); c != nil || err != nil {
		t.Errorf("of a device that is not there: %v, %v", c, err)
	}
	stop()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	for _, want := range []string{`interface=nowhere reason="there is none of the name"`,
		`interface=lo reason="the interface of the name is not`} {
		if !strings.Contains(log.String(), want) {
			t.Errorf("it does not say %s\n%s", want, log.String())
		}
	}
}
