//go:build linux

package system

import (
	"bufio"
	"fmt"
	"os"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/wgnode/wgnode/node/lab"
	"github.com/wgnode/wgnode/node/lab/sitetest"
	"github.com/wgnode/wgnode/probe/patience"
)

// terminal opens a terminal: what a person has of it, and what a program has.
func terminal(t *testing.T) (person, program *os.File) {
	t.Helper()
	person, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = person.Close() }) // the test may have closed it
	fd := int(person.Fd())
	if err := unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0); err != nil {
		t.Fatal(err)
	}
	number, err := unix.IoctlGetInt(fd, unix.TIOCGPTN)
	if err != nil {
		t.Fatal(err)
	}
	program, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", number), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	return person, program
}

// Whatever a terminal does while a hook of up asks a question there, the end is a
// tunnel or nothing at all.
func TestUpAtATerminal(t *testing.T) {
	lab.Need(t, "bash", "ip", "nft", "ps", "wg")
	t.Parallel()
	for _, tc := range []struct {
		name string
		then func(person *os.File) error
		up   bool
	}{
		{"answered", func(person *os.File) error { _, err := person.WriteString("sesame\n"); return err }, true},
		{"Ctrl-C", func(person *os.File) error { _, err := person.WriteString("\x03"); return err }, false},
		{`Ctrl-\`, func(person *os.File) error { _, err := person.WriteString("\x1c"); return err }, false},
		{"closed", func(person *os.File) error { return person.Close() }, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s := newSite(t, false)
			s.ConfA.Replace(t, "AllowedIPs = ", "AllowedIPs = 0.0.0.0/0, ")
			hooked(t, s, `PostUp = echo asking; read -r word < /dev/tty; echo "$word" > /etc/word`)
			before := sitetest.HostState(s.A)
			person, program := terminal(t)
			cmd := s.A.Command(patience.Context(t), s.Wgnode, "up", "wg0")
			cmd.Stdin, cmd.Stdout, cmd.Stderr = program, program, program
			cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			if err := program.Close(); err != nil {
				t.Fatal(err)
			}
			lines := bufio.NewReader(person)
			for line := ""; strings.TrimSpace(line) != "asking"; {
				var err error
				if line, err = lines.ReadString('\n'); err != nil {
					t.Fatal(err)
				}
			}
			if err := tc.then(person); err != nil {
				t.Fatal(err)
			}
			if err := cmd.Wait(); (err == nil) != tc.up {
				t.Errorf("up: %v", err)
			}
			if tc.up {
				if word := s.A.ReadFile("/etc/word"); word != "sesame\n" {
					t.Errorf("read %q", word)
				}
				s.A.Run(s.Wgnode, "down", "wg0")
			}
			sitetest.Unchanged(t, s.A, before)
		})
	}
}
