//go:build linux

package netfilter_test

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/netip"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/wgnode/wgnode/node/lab"
	"github.com/wgnode/wgnode/probe/host/netfilter"
)

// Our table is protected while it is used, and vanishes with its tracer.
func TestTableVanishes(t *testing.T) {
	n := newNetwork(t)
	f := flow{"udp", n.a, "10.0.1.2:4000", "10.0.2.2:53"}
	before := n.r.Run("nft", "list", "ruleset")
	tr := n.start(f.match())
	n.rules("") // someone reloads the firewall
	if out := n.r.Run("nft", "list", "tables"); !strings.Contains(out, tr.Table()) {
		t.Errorf("the table does not outlive a flush: %q", out)
	}
	if err := tr.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := tr.Next(t.Context()); !errors.Is(err, os.ErrClosed) {
		t.Errorf("Next after Close: %v", err)
	}
	if after := n.r.Run("nft", "list", "ruleset"); after != before {
		t.Errorf("Close leaves\n%s", after)
	}

	// On an older kernel, too.
	err := n.r.Do(func() error {
		tr, err := netfilter.StartUnowned(netfilter.Config{Matches: []netfilter.Match{f.match()}})
		if err != nil {
			return err
		}
		return tr.Close()
	})
	if after := n.r.Run("nft", "list", "ruleset"); err != nil || after != before {
		t.Errorf("%v; without owners Close leaves\n%s", err, after)
	}
}

const holdEnv = "WGNODE_NETFILTER_TEST_HOLD"

// init makes the test binary a process that traces until it is killed.
func init() {
	how := os.Getenv(holdEnv)
	if how == "" {
		return
	}
	start := netfilter.Start
	if how == "unowned" {
		start = netfilter.StartUnowned
	}
	tr, err := start(netfilter.Config{Matches: []netfilter.Match{{Dst: netip.MustParsePrefix("192.0.2.1/32")}}})
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	fmt.Println(tr.Table())
	// Standard input ends with the test, if it does not kill us.
	_, _ = io.Copy(io.Discard, os.Stdin)
	os.Exit(0)
}

// holder is a process that traces in the namespace of the thread that starts it.
func holder(how string) *exec.Cmd {
	cmd := exec.Command("/proc/self/exe")
	cmd.Env = append(os.Environ(), holdEnv+"="+how)
	return cmd
}

// hold starts a holder and returns the name of its table.
func hold(how string) (cmd *exec.Cmd, table string, err error) {
	cmd = holder(how)
	if _, err := cmd.StdinPipe(); err != nil {
		return nil, "", err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, "", err
	}
	if err := cmd.Start(); err != nil {
		return nil, "", err
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	return cmd, strings.TrimSpace(line), err
}

// killed kills a process of hold.
func killed(t *testing.T, cmd *exec.Cmd) {
	t.Helper()
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait() // it says that it was killed
}

func TestKilled(t *testing.T) {
	lab.Need(t, "nft")
	ownNamespace(t)
	list := func() string {
		out, err := exec.Command("nft", "list", "tables").CombinedOutput()
		if err != nil {
			t.Fatalf("nft: %v\n%s", err, out)
		}
		return string(out)
	}

	owner, table, err := hold("owned")
	if err != nil || !strings.Contains(list(), table) {
		t.Fatalf("table %q, %v; there are %s", table, err, list())
	}
	killed(t, owner)
	if left := list(); left != "" {
		t.Errorf("after SIGKILL there is left %s", left)
	}

	// At whatever moment.
	for range 50 {
		cmd := holder("owned")
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		// It has installed its table after some 10 ms.
		time.Sleep(time.Duration(rand.IntN(20_000)) * time.Microsecond)
		killed(t, cmd)
	}
	if left := list(); left != "" {
		t.Errorf("after 50 times SIGKILL there is left %s", left)
	}

	// Where the kernel has no owned tables the next run removes it.
	dead, deadTable, err := hold("unowned")
	if err != nil {
		t.Fatal(deadTable, err)
	}
	living, livingTable, err := hold("unowned")
	if err != nil {
		t.Fatal(livingTable, err)
	}
	defer killed(t, living)
	killed(t, dead)
	if now := list(); !strings.Contains(now, deadTable) {
		t.Fatalf("want that table %s is left; there are %s", deadTable, now)
	}
	removed, err := netfilter.Sweep()
	if err != nil || !slices.Equal(removed, []string{deadTable}) {
		t.Errorf("swept %q, %v; want %q", removed, err, deadTable)
	}
	if now := list(); now != "table inet "+livingTable+"\n" {
		t.Errorf("left %s, want %s of the living", now, livingTable)
	}
}
