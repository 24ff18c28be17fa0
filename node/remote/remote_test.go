package remote

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/wgnode/wgnode/probe/patience"
	"github.com/wgnode/wgnode/probe/recording"
)

// start runs a script of sh in the place of another host's wgnode.
func start(t *testing.T, script string) (*Recorder, string) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "there.pcapng")
	file, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = file.Close() })
	r, err := Start(t.Context(), []string{"sh", "-c", script}, file)
	if err != nil {
		t.Fatal(err)
	}
	return r, path
}

// whole is the path of a recording without packets, and head of its beginning.
func whole(t *testing.T) (all, head string) {
	t.Helper()
	all = filepath.Join(t.TempDir(), "whole.pcapng")
	out, err := recording.Create(all, recording.OutputOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if err := out.Begin(&recording.Meta{}); err != nil {
		t.Fatal(err)
	}
	if err := out.Close(recording.Loss{}); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(all)
	if err != nil {
		t.Fatal(err)
	}
	head = all + ".head"
	size := int(text[4]) | int(text[5])<<8 // of the first block
	if err := os.WriteFile(head, text[:size], 0o600); err != nil {
		t.Fatal(err)
	}
	return all, head
}

// What ends a recording is the first thing that went wrong, whatever comes of it.
func TestFirstError(t *testing.T) {
	all, head := whole(t)
	for _, test := range []struct {
		name, script string
		begins       bool // before it fails
		ends         bool // by itself: it is not asked to, however long it takes
		kind         error
		want         string
	}{
		{name: "no wgnode", script: "echo sh: wgnode: not found >&2; exit 127", kind: ErrNoProgram, want: "sh: wgnode: not found"},
		{name: "no connection", script: "echo refused >&2; exit 255", kind: ErrConnect, want: "refused"},
		{name: "refuses", script: "echo no such node >&2; exit 1", kind: ErrRefused, want: "no such node"},
		{name: "refuses with children", script: "(sleep 90) & echo no such node >&2; exit 1", kind: ErrRefused, want: "no such node"},
		{name: "denied", script: "echo wgnode: record wg0: permission denied >&2; exit 1", kind: ErrDenied, want: ErrRefused.Error()},
		{name: "several", script: "echo more than one tunnel is running >&2; exit 1", kind: ErrSeveral, want: ErrRefused.Error()},
		{name: "several of an earlier release", script: "echo several nodes run >&2; exit 1", kind: ErrSeveral, want: ErrRefused.Error()},
		{name: "no tunnel", script: "echo there is no tunnel wg7 >&2; exit 1", kind: ErrNoTunnel, want: ErrRefused.Error()},
		{name: "unknown flag", script: "echo unknown flag --until-eof >&2; exit 2", kind: ErrUnknown, want: ErrRefused.Error()},
		{name: "not a recording", script: "echo Welcome to our host.; cat", kind: ErrRefused, want: recording.ErrForeign.Error()},
		{name: "too much", script: "cat " + head + "; " + blocks(head), begins: true, ends: true, kind: ErrRefused, want: "larger than 128 MiB"},
		{name: "cut off", script: "cat " + head + "; kill -9 $$", begins: true, kind: ErrRefused, want: "unexpected EOF"},
		{name: "does not end", script: "cat " + head + "; (sleep 90); true", begins: true, kind: ErrRefused, want: errLate.Error()},
		{name: "leaves the group", script: "cat " + head + "; setsid sleep 90 & sleep 90", begins: true, kind: ErrRefused, want: errLate.Error()},
		{name: "leaves a holder", script: "cat " + head + "; (sleep 90) &", begins: true, kind: ErrRefused, want: errLate.Error()},
		{name: "whole, and then nothing", script: "cat " + all + "; sleep 90", begins: true},
		{name: "whole", script: "cat " + all + "; cat >/dev/null", begins: true},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			r, _ := start(t, test.script)
			err := r.Ready(t.Context())
			if (err == nil) != test.begins {
				t.Errorf("ready: %v", err)
			}
			if test.ends {
				patience.Receive(t, "the end of the recording", r.ended)
			}
			if err == nil {
				err = r.Finish()
			}
			if !errors.Is(err, test.kind) || test.kind != nil && !strings.Contains(err.Error(), test.want) {
				t.Errorf("%v, want %v with %q", err, test.kind, test.want)
			}
			if err != nil && (strings.Contains(err.Error(), "signal:") || strings.Contains(err.Error(), "closed")) {
				t.Errorf("%v says what we did ourselves", err)
			}
		})
	}
}

// blocks is a script that writes blocks that no reader knows, without end.
func blocks(head string) string {
	return fmt.Sprintf(`printf '\001\000\000\100\000\000\020\000' >%[1]s.block
head -c 1048564 /dev/zero >>%[1]s.block; printf '\000\000\020\000' >>%[1]s.block
while cat %[1]s.block; do :; done`, head)
}

// Nothing of what the other side sends fills the disk, and nothing that it has started
// outlives the recording.
func TestLeavesNothing(t *testing.T) {
	_, head := whole(t)
	pids := filepath.Join(t.TempDir(), "pids")
	r, path := start(t, "(echo $$; sh -c 'echo $$; exec sleep 90') >"+pids+" & cat "+head+"; "+blocks(head))
	if err := r.Ready(t.Context()); err != nil {
		t.Fatal(err)
	}
	<-r.ended
	done := make(chan struct{})
	go func() { defer close(done); r.Abort() }()
	patience.Receive(t, "Abort to return", done)
	if info, err := os.Stat(path); err != nil || info.Size() > maxRecording {
		t.Errorf("%d bytes were kept, %v", info.Size(), err)
	}
	text, err := os.ReadFile(pids)
	if err != nil {
		t.Fatal(err)
	}
	for _, word := range strings.Fields(string(text)) {
		pid, err := strconv.Atoi(word)
		if err != nil {
			t.Fatal(err)
		}
		// It may have to be buried by init.
		patience.Until(t, fmt.Sprintf("the end of process %d", pid), func() bool { return !alive(pid) })
	}
}

func alive(pid int) bool {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	return err == nil && !strings.Contains(string(stat), ") Z ") && syscall.Kill(pid, 0) == nil
}
