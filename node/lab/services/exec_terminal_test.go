//go:build linux

package services

import (
	"bufio"
	"os"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/wgnode/wgnode/probe/patience"
)

// ctrlC types Ctrl-C on a terminal: the command gets it, once.
func (s *execSite) ctrlC() {
	s.T.Helper()
	// The one that says that it is ready is the one that is interrupted.
	s.A.WriteFile(s.dir+"/wait", "trap 'echo interrupted' INT\nsh -c 'echo ready; exec sleep 1000'\necho done\n", 0o644)
	keys, tty := terminal(s.T)
	c := s.A.Command(patience.Context(s.T), s.exec("sh", s.dir+"/wait")...)
	c.Stdin, c.Stdout, c.Stderr = tty, tty, tty
	c.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	err := c.Start()
	_ = tty.Close() // whoever has it open still is a process of the command's
	if err != nil {
		s.T.Fatal(err)
	}
	var lines []string
	for in := bufio.NewScanner(keys); in.Scan(); {
		lines = append(lines, strings.TrimPrefix(strings.TrimSpace(in.Text()), "^C"))
		if lines[len(lines)-1] == "ready" {
			if _, err := keys.Write([]byte{3}); err != nil {
				s.T.Fatal(err)
			}
		}
	}
	if err := c.Wait(); err != nil {
		s.T.Errorf("ended with %v", err)
	}
	if got := strings.Join(lines, " "); got != "ready interrupted done" {
		s.T.Errorf("the screen shows %q", got)
	}
}

// terminal makes a terminal: its end where the keys are and the screen, which cannot
// be read any more when all have closed the other, that of the programs (pty(7)).
func terminal(t *testing.T) (keys, tty *os.File) {
	t.Helper()
	keys, err := os.OpenFile("/dev/ptmx", os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = keys.Close() })
	n, err := unix.IoctlGetInt(int(keys.Fd()), unix.TIOCGPTN)
	if err == nil {
		err = unix.IoctlSetPointerInt(int(keys.Fd()), unix.TIOCSPTLCK, 0)
	}
	if err == nil {
		tty, err = os.OpenFile("/dev/pts/"+strconv.Itoa(n), os.O_RDWR|syscall.O_NOCTTY, 0)
	}
	if err != nil {
		t.Fatal(err)
	}
	return keys, tty
}
