package bundle

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"time"
)

// command returns what a program prints, at most limit bytes. The program and what it has started
// end with ctx, or where there is more.
func command(ctx context.Context, limit int, name string, args ...string) ([]byte, error) {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Env = append(os.Environ(), "LC_ALL=C", "NO_COLOR=1", "SYSTEMD_COLORS=0", "PAGER=cat", "SYSTEMD_PAGER=cat")
	kill := alone(cmd)
	cmd.Cancel, cmd.WaitDelay = kill, time.Second
	out, said := &bounded{limit: limit}, &bounded{limit: 1 << 10}
	out.full = func() { _ = kill() } // it may have ended
	cmd.Stdout, cmd.Stderr = out, said
	err := cmd.Run()
	what := name + " " + strings.Join(args, " ")
	switch {
	case errors.Is(err, exec.ErrNotFound):
		return nil, fmt.Errorf("%s is not there", name)
	case out.over:
		return out.Bytes(), fmt.Errorf("%s prints more than %d bytes", what, limit)
	case ctx.Err() != nil:
		return out.Bytes(), fmt.Errorf("%s took too long", what)
	case err != nil:
		return out.Bytes(), fmt.Errorf("%s: %w: %s", what, err, bytes.TrimSpace(said.Bytes()))
	}
	return out.Bytes(), nil
}

// bounded keeps the first bytes of what is written.
type bounded struct {
	bytes.Buffer
	limit int
	over  bool
	full  func()
}

func (b *bounded) Write(p []byte) (int, error) {
	if room := b.limit - b.Len(); len(p) > room {
		b.Buffer.Write(p[:max(room, 0)])
		if !b.over && b.full != nil {
			b.full()
		}
		b.over = true
		return len(p), nil
	}
	return b.Buffer.Write(p)
}

// commands puts together what several print, each below its own line. What one of them lacks is
// told, and said in the place of its output.
func commands(ctx context.Context, lines ...[]string) ([]byte, error) {
	var out bytes.Buffer
	var errs []error
	for _, line := range lines {
		fmt.Fprintf(&out, "# %s\n", strings.Join(line, " "))
		text, err := command(ctx, defaultLimit, line[0], line[1:]...)
		out.Write(text)
		if err != nil {
			errs = append(errs, err)
			fmt.Fprintf(&out, "# failed\n")
		}
		out.WriteByte('\n')
	}
	if len(errs) == len(lines) {
		return nil, errors.Join(errs...)
	}
	return out.Bytes(), errors.Join(errs...)
}
