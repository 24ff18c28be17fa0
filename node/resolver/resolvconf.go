package resolver

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"time"
)

const program = "resolvconf"

// addArgs are wg-quick's: -m 0 is the metric, -x makes the record exclusive.
func (c Change) addArgs() []string {
	args := []string{"-a", c.Record, "-m", "0"}
	if c.AllNames {
		args = append(args, "-x")
	}
	return args
}

// deleteArgs are wg-quick's: -f makes a record that does not exist no error.
func (c Change) deleteArgs() []string { return []string{"-d", c.Record, "-f"} }

func doResolvconf(ctx context.Context, c Change) error {
	err := runResolvconf(ctx, c.lines(), c.addArgs())
	if err == nil {
		return nil
	}
	// It may have failed after it had stored the record.
	return errors.Join(err, undoResolvconf(c))
}

func undoResolvconf(c Change) error {
	return runResolvconf(context.Background(), "", c.deleteArgs())
}

// resolvconfTime is how long the program may take. It runs scripts that
// restart local name servers.
const resolvconfTime = 30 * time.Second

func runResolvconf(ctx context.Context, input string, args []string) error {
	ctx, cancel := context.WithTimeout(ctx, resolvconfTime)
	defer cancel()
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Stdin = strings.NewReader(input)
	var said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &said, &said
	cmd.WaitDelay = time.Second // for what its scripts leave in the background
	err := cmd.Run()
	if err == nil || errors.Is(err, exec.ErrWaitDelay) {
		return nil
	}
	return fmt.Errorf("resolvconf %s: %w: %q", strings.Join(args, " "), err, bytes.TrimSpace(said.Bytes()))
}

// kindOfInterface is a line of Debian's interface-order that stands for all
// interfaces of one kind.
var kindOfInterface = regexp.MustCompile(`^([A-Za-z0-9-]+)\*$`)

// recordPrefix returns what wg-quick puts before the link's name: the first
// kind of interface in Debian's list of them, so that the record goes before
// those of other links. What is a symbolic link is not Debian's program.
func (h Host) recordPrefix() (string, error) {
	path, err := exec.LookPath(program)
	if err != nil {
		return "", err
	}
	if info, err := os.Lstat(path); err != nil || info.Mode()&os.ModeSymlink != 0 {
		return "", err
	}
	order := h.InterfaceOrder
	if order == "" {
		order = interfaceOrder
	}
	text, err := readConf(order)
	if absent(err) {
		return "", nil
	}
	if err != nil {
		return "", fmt.Errorf("read resolvconf's order of interfaces: %w", err)
	}
	for line := range strings.Lines(string(text)) {
		if m := kindOfInterface.FindStringSubmatch(strings.TrimSpace(line)); m != nil {
			return m[1] + ".", nil
		}
	}
	return "", nil
}
