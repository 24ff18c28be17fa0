package bundle

import "os/exec"

// alone returns what ends a program.
func alone(cmd *exec.Cmd) (kill func() error) {
	return func() error { return cmd.Process.Kill() }
}
