package config

import (
	"bytes"
	"context"
	"fmt"
	"os/exec"
	"time"
)

// commandTime is how long a command may take to print a key.
const commandTime = 10 * time.Second

// runForKey returns what a command prints within the time limit.
func runForKey(ctx context.Context, command string, limit time.Duration) (string, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, limit, fmt.Errorf("took longer than %s", limit))
	defer cancel()
	cmd := exec.CommandContext(ctx, "bash", "-c", command)
	endTogether(cmd)
	cmd.WaitDelay = time.Second
	var out, errOut bytes.Buffer
	cmd.Stdout, cmd.Stderr = &limited{&out}, &limited{&errOut}
	err := cmd.Run()
	if ctx.Err() != nil {
		err = context.Cause(ctx)
	}
	if err != nil {
		err = fmt.Errorf("run command: %w", err)
		if said := trim(errOut.String()); said != "" {
			err = fmt.Errorf("%w: %s", err, quote(said))
		}
	}
	return out.String(), err
}

// limited takes as much as a key may be long, and drops the rest.
type limited struct{ to *bytes.Buffer }

func (l *limited) Write(b []byte) (int, error) {
	room := maxKeyFile - l.to.Len()
	l.to.Write(b[:min(len(b), room)]) // never fails
	return len(b), nil
}
