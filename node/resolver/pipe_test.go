package resolver

import (
	"errors"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/wgnode/wgnode/node/safefile"
)

// A pipe in the place of resolv.conf holds nobody up.
func TestPipeAsResolvConf(t *testing.T) {
	path := filepath.Join(t.TempDir(), "resolv.conf")
	if err := syscall.Mkfifo(path, 0o600); err != nil {
		t.Fatal(err)
	}
	h := Host{ResolvConf: path}
	if _, err := h.signOfResolved(); !errors.Is(err, safefile.ErrNotRegular) {
		t.Errorf("who answers: %v", err)
	}
	if _, err := h.Asks(t.Context(), File); !errors.Is(err, safefile.ErrNotRegular) {
		t.Errorf("whom the host asks: %v", err)
	}
	if _, err := takeSnapshot(path); !errors.Is(err, errNotRegular) {
		t.Errorf("what it was: %v", err)
	}
}
