//go:build linux

package resolver

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"testing"
	"time"
)

// killedEnv names the file that a process is to change and change back until it
// is killed.
const killedEnv = "WGNODE_RESOLVER_KILLED"

func TestMain(m *testing.M) {
	if path, ok := os.LookupEnv(killedEnv); ok {
		changeForEver(path)
	}
	os.Exit(m.Run())
}

// changeForEver takes the change from its standard input.
func changeForEver(path string) {
	h := Host{ResolvConf: path, hasLink: func(string) bool { return true }}
	var c Change
	err := json.NewDecoder(os.Stdin).Decode(&c)
	fmt.Println("begun")
	for err == nil {
		err = errors.Join(h.doFile(c), h.undoFile(c))
	}
	fmt.Println(err)
	os.Exit(1)
}

// A process that is killed at whatever moment leaves what another one restores.
func TestFileKilled(t *testing.T) {
	needRoot(t)
	for _, name := range []string{"absent", "owned", "link"} {
		t.Run(name, func(t *testing.T) {
			h := fileHost(t)
			if err := originals[name](h.ResolvConf); err != nil {
				t.Fatal(err)
			}
			before := look(t, h)
			c := change(t, h, "wg0", "10.0.0.1")
			for i := range 20 {
				killAfter(t, h, c, time.Duration(i)*300*time.Microsecond)
				if err := h.Undo(c, 0); err != nil && !errors.Is(err, ErrNotSet) {
					t.Fatal(err)
				}
				if got := look(t, h); got != before {
					t.Fatalf("before:\n%safter:\n%s", before, got)
				}
			}
		})
	}
}

func killAfter(t *testing.T, h Host, c Change, d time.Duration) {
	t.Helper()
	input, err := json.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("/proc/self/exe")
	cmd.Env = append(os.Environ(), killedEnv+"="+h.ResolvConf)
	cmd.Stdin = bytes.NewReader(input)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	said := make([]byte, len("begun\n"))
	if _, err := out.Read(said); err != nil {
		t.Fatal(err)
	}
	time.Sleep(d) // where the blow falls is all that it decides
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); cmd.ProcessState.Exited() {
		t.Fatalf("the process ended by itself: %v", err)
	}
}
