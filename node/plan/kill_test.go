//go:build linux

package plan

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"
)

// TestMain is also the node that TestUndoAfterKill kills.
func TestMain(m *testing.M) {
	if path := os.Getenv("PLAN_TEST_NODE"); path != "" {
		if err := beANode(path); err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
	}
	os.Exit(m.Run())
}

// beANode brings wg0 up, says so, and waits to be killed.
func beANode(path string) error {
	steps := []Step{{Op: OpLink, Link: "wg0"}, {Op: OpConfigure, Link: "wg0"}, {Op: OpUp, Link: "wg0", MTU: 1420}}
	j, err := CreateJournal(path, "wg0", "")
	if err != nil {
		return err
	}
	if err := (&Runner{Kernel: System{}, Device: heldTUN{}}).Apply(context.Background(), steps, j); err != nil {
		return err
	}
	fmt.Println("up")
	_, err = os.Stdin.Read(make([]byte, 1)) // the test never writes
	return err
}

// heldTUN is a TUN device that lives as long as its process, as a node's does.
type heldTUN struct{}

func (heldTUN) Configure(context.Context, uint32) error { return nil }

func (heldTUN) Create(_ context.Context, name string) error {
	fd, err := unix.Open("/dev/net/tun", unix.O_RDWR, 0)
	if err != nil {
		return fmt.Errorf("open /dev/net/tun: %w", err)
	}
	req, err := unix.NewIfreq(name)
	if err != nil {
		return err
	}
	req.SetUint16(unix.IFF_TUN | unix.IFF_NO_PI)
	// fd is left open: the device is meant to go with the process.
	if _, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), unix.TUNSETIFF, uintptr(unsafe.Pointer(req))); errno != 0 {
		return fmt.Errorf("create TUN device %s: %w", name, errno)
	}
	return nil
}

// A node is killed, and somebody else takes the name of its link. Down, in
// another process, clears away the journal and leaves the stranger alone.
func TestUndoAfterKill(t *testing.T) {
	ownNamespace(t)
	path := filepath.Join(t.TempDir(), "wg0.json")
	node := exec.Command(os.Args[0])
	node.Env = append(os.Environ(), "PLAN_TEST_NODE="+path)
	stdin, err := node.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	defer stdin.Close()
	stdout, err := node.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := node.Start(); err != nil {
		t.Fatal(err)
	}
	said := make([]byte, 256)
	n, err := stdout.Read(said)
	if string(said[:n]) != "up\n" {
		t.Errorf("the node says %q, %v", said[:n], err)
	}
	j, err := OpenJournal(path)
	if err != nil {
		t.Fatal(err)
	}
	if alive, err := j.Process.Alive(); !alive || err != nil || j.Process.PID != node.Process.Pid {
		t.Errorf("the journal names %+v, alive %v, %v; the node is %d", j.Process, alive, err, node.Process.Pid)
	}
	if err := node.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = node.Wait() // it was killed, and says so
	if alive, err := j.Process.Alive(); alive || err != nil {
		t.Errorf("killed: alive %v, %v", alive, err)
	}

	run(t, "ip link add wg0 type veth peer name far")
	before := run(t, "ip link")
	var out bytes.Buffer
	if err := (&Runner{Kernel: System{}, Out: &out}).Undo(t.Context(), j); err != nil {
		t.Errorf("undo: %v", err)
	}
	if after := run(t, "ip link"); after != before || !strings.Contains(after, "wg0") || out.Len() > 0 {
		t.Errorf("it printed %q, and left\n%s\nof\n%s", &out, after, before)
	}
	if _, err := os.Stat(path); !os.IsNotExist(err) {
		t.Errorf("the journal is still there: %v", err)
	}
}
