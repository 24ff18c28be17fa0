package node

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/wgnode/wgnode/node/plan"
	"github.com/wgnode/wgnode/node/rundir"
	"github.com/wgnode/wgnode/node/running"
	"github.com/wgnode/wgnode/node/safefile"
	"github.com/wgnode/wgnode/node/teardown"
)

// stranger is a user whom nobody trusts.
const stranger = 54321

// A run folder that others had a hand in is not believed: no journal of it is
// read, whose hooks would run, and no socket in it is spoken to.
func TestHostileRunFolder(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("files of other users take root")
	}
	give := func(name string) func(string) error {
		return func(dir string) error { return os.Lchown(filepath.Join(dir, name), stranger, stranger) }
	}
	for _, c := range []struct {
		name   string
		change func(dir string) error
		good   bool
	}{
		{name: "own", change: func(string) error { return nil }, good: true},
		{name: "another's folder", change: give(".")},
		{name: "a folder for all", change: func(dir string) error { return os.Chmod(dir, 0o777) }},
		{name: "a folder in another's", change: give("..")},
		{name: "another's journal in a folder as /tmp", change: func(dir string) error {
			return errors.Join(os.Chmod(dir, os.ModeSticky|0o777), give("wg0.json")(dir))
		}},
		{name: "another's journal", change: give("wg0.json")},
		{name: "a journal for all", change: func(dir string) error { return os.Chmod(filepath.Join(dir, "wg0.json"), 0o666) }},
		{name: "another's link to a journal", change: func(dir string) error {
			path := filepath.Join(dir, "wg0.json")
			return errors.Join(os.Chmod(dir, os.ModeSticky|0o777), os.Rename(path, path+".real"),
				os.Symlink("wg0.json.real", path), give("wg0.json")(dir))
		}},
		{name: "a pipe for a journal", change: func(dir string) error {
			path := filepath.Join(dir, "wg0.json")
			return errors.Join(os.Remove(path), unix.Mkfifo(path, 0o600))
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "in", "run")
			ran := filepath.Join(t.TempDir(), "ran")
			conf := filepath.Join(t.TempDir(), "wg0.conf")
			if err := os.WriteFile(conf, []byte("[Interface]\nPreDown = touch "+ran+"\n"), 0o600); err != nil {
				t.Fatal(err)
			}
			journal := fmt.Sprintf(`{"version":1,"link":"wg0","config":%q,"complete":true,"steps":[]}`, conf)
			if err := errors.Join(os.MkdirAll(dir, 0o700), os.WriteFile(rundir.Journal(dir, "wg0"), []byte(journal), 0o600),
				c.change(dir)); err != nil {
				t.Fatal(err)
			}
			var out bytes.Buffer
			o := teardown.Options{RunDir: dir, Out: &out}
			cfg := parse(t, "wg0", "[Interface]\nPrivateKey = SGVsbG8sIHRoaXMgaXMgYSBrZXkgZm9yIGEgdGVzdC4=\n")
			for what, do := range map[string]func() error{
				"down":    func() error { return teardown.Down(t.Context(), "wg0", o) },
				"recover": func() error { return teardown.Recover(t.Context(), "", o) },
				"start": func() error {
					n, err := Start(t.Context(), cfg, Options{Netstack: true, NoUAPI: true, RunDir: dir})
					if err == nil {
						err = n.Close()
					}
					return err
				},
			} {
				err := do()
				if _, ok := errors.AsType[*safefile.Untrusted](err); !c.good && !ok && !errors.Is(err, safefile.ErrNotRegular) {
					t.Errorf("%s: %v", what, err)
				}
			}
			if _, err := os.Stat(ran); (err == nil) != c.good {
				t.Errorf("the hook has run, or has not: %v\n%s", err, out.String())
			}
			if c.name == "own" {
				return
			}
			if all, err := running.In(dir); err == nil && len(all) > 0 {
				t.Errorf("known: %v", all)
			}
		})
	}
}

// Who serves a socket must be root or this user, even where the folder is right.
func TestHostileSocket(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("files of other users take root")
	}
	dir := t.TempDir()
	if err := os.Chmod(dir, os.ModeSticky|0o777); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(filepath.Dir(dir), 0o755); err != nil {
		t.Fatal(err)
	}
	l := make(chan net.Listener)
	go func() {
		// The thread is another user from here on, and ends with this goroutine.
		runtime.LockOSThread()
		if _, _, errno := unix.RawSyscall(unix.SYS_SETRESUID, stranger, stranger, stranger); errno != 0 {
			t.Error(errno)
		}
		socket, err := net.Listen("unix", rundir.Socket(dir, "wg0"))
		if err != nil {
			t.Error(err)
		}
		l <- socket
	}()
	socket := <-l
	if socket == nil {
		return
	}
	asked := make(chan bool, 1)
	server := http.Server{Handler: http.HandlerFunc(func(http.ResponseWriter, *http.Request) { asked <- true })}
	go func() { _ = server.Serve(socket) }() // until Close
	defer server.Close()
	c, err := rundir.Dial(dir, "wg0")
	if err == nil || !strings.Contains(err.Error(), "of another user (uid 54321) serves its socket") {
		t.Errorf("got %v", err)
	}
	if c != nil {
		_, _ = c.Status(t.Context())
	}
	if len(asked) > 0 {
		t.Error("it was asked")
	}
}

// The journal keeps who may own the configuration, for those who take the node
// down.
func TestJournalKeepsOwners(t *testing.T) {
	t.Setenv("SUDO_UID", fmt.Sprint(stranger))
	j, err := plan.CreateJournal(rundir.Journal(t.TempDir(), "wg0"), "wg0", "/nowhere/wg0.conf")
	if err != nil {
		t.Fatal(err)
	}
	if os.Geteuid() == 0 && !j.Owners.Has(stranger) {
		t.Errorf("owners: %v", j.Owners)
	}
}
