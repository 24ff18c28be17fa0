package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"golang.org/x/term"

	"github.com/wgnode/wgnode/node"
	"github.com/wgnode/wgnode/node/config"
	"github.com/wgnode/wgnode/node/link"
)

// needInterface makes sure that cmd, which is up, may make a network interface. If
// not it begins again as root, or the error says what is missing and what does
// without. A dry run makes none, but root alone can see all that it would do.
func needInterface(cmd *cobra.Command, args []string, dryRun bool) error {
	denied := link.CheckRights()
	if os.Geteuid() == 0 && (denied == nil || dryRun) {
		return nil
	}
	var err error
	if os.Geteuid() != 0 {
		if sudo, ok := findSudo(); ok {
			return runSudo(sudo)
		}
		err = fmt.Errorf("%s must be run as root", cmd.CommandPath())
	}
	if denied != nil {
		err = errors.Join(err, fmt.Errorf("cannot make a network interface: %w", denied))
	}
	if dryRun {
		return withHint(err, asRoot(cmd))
	}
	return withHint(err, append(rightsHints(cmd, denied), withoutInterface(cmd, args))...)
}

// rightsHints say how to get the right to make an interface.
func rightsHints(cmd *cobra.Command, denied error) []string {
	if os.Geteuid() != 0 {
		return []string{asRoot(cmd)}
	}
	var rights *link.RightsError
	if !errors.As(denied, &rights) {
		return nil
	}
	var flags []string
	if rights.Network != nil {
		flags = append(flags, "--cap-add NET_ADMIN")
	}
	if rights.TUN != nil {
		flags = append(flags, "--device /dev/net/tun")
	}
	hints := []string{"in a container of Docker or podman: " + strings.Join(flags, " ")}
	if rights.TUN != nil {
		hints = append(hints, "on a host: sudo modprobe tun")
	}
	return hints
}

func asRoot(cmd *cobra.Command) string { return "run it as root: sudo " + commandOf(cmd) }

// withoutInterface says what to type for a node that takes no privileges, or why
// this configuration has no use for one.
func withoutInterface(cmd *cobra.Command, args []string) string {
	if path, err := findConfig(args); err == nil {
		if cfg, err := config.Read(path); err == nil { // at fault, it says so later
			if err := node.CheckStack(cfg); err != nil {
				return "--netstack, which needs no privileges, does not help here: " + err.Error()
			}
		}
	}
	return "or without privileges, in a network stack of its own: " + commandOf(cmd) + " --netstack --socks5 1080"
}

// commandOf is the command line of cmd, for a shell.
func commandOf(cmd *cobra.Command) string {
	words := append([]string{cmd.CommandPath()}, quoted(cmd.Flags().Args())...)
	cmd.Flags().Visit(func(f *pflag.Flag) {
		if f.Name != "netstack" {
			words = append(words, quoted([]string{"--" + f.Name + "=" + f.Value.String()})...)
		}
	})
	return strings.Join(words, " ")
}

// quoted are words as a shell takes them.
func quoted(words []string) []string {
	var all []string
	for _, w := range words {
		all = append(all, config.ShellQuote(w))
	}
	return all
}

// becomeRoot begins again through sudo, as wg-quick does, where there is sudo
// and somebody to ask for a password.
func becomeRoot(cmd *cobra.Command) error {
	if os.Geteuid() == 0 {
		return nil
	}
	if sudo, ok := findSudo(); ok {
		return runSudo(sudo)
	}
	return withHint(fmt.Errorf("%s must be run as root", cmd.CommandPath()), asRoot(cmd))
}

func findSudo() (path string, ok bool) {
	path, err := exec.LookPath("sudo")
	return path, err == nil && term.IsTerminal(int(os.Stdin.Fd()))
}

// runSudo returns only if it fails.
func runSudo(sudo string) error {
	self, err := os.Executable()
	if err != nil {
		return fmt.Errorf("find this program: %w", err)
	}
	prompt := "wgnode must be run as root. Please enter the password for %u to continue: "
	args := append([]string{"sudo", "-p", prompt, "--", self}, os.Args[1:]...)
	return fmt.Errorf("run sudo: %w", syscall.Exec(sudo, args, os.Environ()))
}
