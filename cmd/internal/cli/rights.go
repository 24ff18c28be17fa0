package cli

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"golang.org/x/term"

	"github.com/wgnode/wgnode/node/config"
)

// AsRoot is the hint that the same command needs root.
func AsRoot(cmd *cobra.Command) string { return "run it as root: sudo " + CommandOf(cmd) }

// CommandOf is the command line of cmd, for a shell.
func CommandOf(cmd *cobra.Command) string {
	words := append([]string{cmd.CommandPath()}, Quoted(cmd.Flags().Args())...)
	cmd.Flags().Visit(func(f *pflag.Flag) {
		if f.Name != "netstack" {
			words = append(words, Quoted([]string{"--" + f.Name + "=" + f.Value.String()})...)
		}
	})
	return strings.Join(words, " ")
}

// Quoted are words as a shell takes them.
func Quoted(words []string) []string {
	var all []string
	for _, w := range words {
		all = append(all, config.ShellQuote(w))
	}
	return all
}

// BecomeRoot begins again through sudo, as wg-quick does, where there is sudo
// and somebody to ask for a password.
func BecomeRoot(cmd *cobra.Command) error {
	if os.Geteuid() == 0 {
		return nil
	}
	if tried, err := ThroughSudo(); tried {
		return err
	}
	return WithHint(fmt.Errorf("%s must be run as root", cmd.CommandPath()), AsRoot(cmd))
}

// ThroughSudo begins this program again through sudo, where there is sudo and somebody to ask for
// a password. If so it returns only if that fails.
func ThroughSudo() (tried bool, err error) {
	sudo, err := exec.LookPath("sudo")
	if err != nil || !term.IsTerminal(int(os.Stdin.Fd())) {
		return false, nil
	}
	self, err := os.Executable()
	if err != nil {
		return true, fmt.Errorf("find this program: %w", err)
	}
	prompt := "wgnode must be run as root. Please enter the password for %u to continue: "
	args := append([]string{"sudo", "-p", prompt, "--", self}, os.Args[1:]...)
	return true, fmt.Errorf("run sudo: %w", syscall.Exec(sudo, args, os.Environ()))
}
