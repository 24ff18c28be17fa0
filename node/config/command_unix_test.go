//go:build unix

package config

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"
)

// A command that hangs is ended, with all that it has started.
func TestCommandForKeyEnds(t *testing.T) {
	_, err := runForKey(t.Context(), "sleep 1000; true", time.Millisecond)
	if err == nil || err.Error() != "run command: took longer than 1ms" {
		t.Errorf("got %v", err)
	}

	pipe := filepath.Join(t.TempDir(), "pipe")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() {
		_, err := runForKey(ctx, "sleep 1000 > "+pipe+" & wait", time.Hour)
		ended <- err
	}()
	f, err := os.Open(pipe) // when sleep has opened it too
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	cancel()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	if n, _ := f.Read(make([]byte, 1)); n != 0 { // the end comes when sleep is gone
		t.Error("something was written")
	}
}
