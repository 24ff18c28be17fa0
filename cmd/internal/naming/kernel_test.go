package naming

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"github.com/spf13/cobra"

	"github.com/wgnode/wgnode/cmd/internal/cli"
	"github.com/wgnode/wgnode/node/control"
	"github.com/wgnode/wgnode/probe"
	"github.com/wgnode/wgnode/probe/host/kernelwg"
)

// How much can be seen is said, and why not all.
func TestSayLevel(t *testing.T) {
	var out bytes.Buffer
	cmd := &cobra.Command{}
	cmd.SetErr(&out)
	for _, s := range []control.Status{{Interface: "wg0", Level: probe.LevelExact},
		{Interface: "wg1", Level: probe.LevelCapture, Less: "for a reason"}} {
		if err := sayLevel(cmd, &s); err != nil {
			t.Fatal(err)
		}
	}
	const want = "wgnode: wg0 is the kernel's WireGuard: looking at level exact, with what `wgnode monitor` keeps\n" +
		"wgnode: wg1 is the kernel's WireGuard: looking at level capture, with what `wgnode monitor` keeps\n" +
		"wgnode: note: for a reason\n"
	if out.String() != want {
		t.Errorf("got %s", &out)
	}
}

// Who may not look is told what it takes; other errors have no such advice.
func TestKernelError(t *testing.T) {
	cmd := &cobra.Command{Use: "watch"}
	if lines := cli.Hints(KernelError(cmd, kernelwg.ErrCopies)); len(lines) == 0 || !strings.Contains(lines[0], "CAP_NET_RAW") {
		t.Errorf("got %q", lines)
	}
	if lines := cli.Hints(KernelError(cmd, errors.New("something else"))); len(lines) > 0 {
		t.Errorf("got %q", lines)
	}
}
