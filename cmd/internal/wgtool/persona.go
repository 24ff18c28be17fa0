package wgtool

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime/debug"
	"strings"

	"github.com/spf13/cobra"

	"github.com/wgnode/wgnode/cmd/internal/cli"
	"github.com/wgnode/wgnode/cmd/internal/naming"
	"github.com/wgnode/wgnode/node/config"
)

// Through a link of another program's name this is that program: wireguard-go, wg or
// wg-quick, as units and scripts call them. What they print and how they end is then
// theirs, wrong usage included; hints are for people at a terminal.

// toolsVersion is the release of wireguard-tools whose behavior wg and wg-quick have.
const toolsVersion = "1.0.20260223"

// personas are the programs that this one stands in for.
var personas = map[string]func(p *persona) int{
	"wireguard-go": (*persona).wireguardGo,
	"wg":           (*persona).wg,
	"wg-quick":     (*persona).wgQuick,
}

// persona is a run of the program under another name.
type persona struct {
	name           string
	args           []string
	in             io.Reader
	stdout, stderr io.Writer
	// root has wgnode's own commands.
	root func() *cobra.Command
}

// Run runs the program that args name, as os.Args do: wgnode, whose commands root has, or the
// one that it stands in for. It returns the exit status.
func Run(args []string, stdin io.Reader, stdout, stderr io.Writer, root func() *cobra.Command) int {
	p := persona{name: "wgnode", in: stdin, stdout: stdout, stderr: stderr, root: root}
	if len(args) == 0 {
		return p.execute(root())
	}
	p.args = args[1:]
	name := filepath.Base(args[0])
	if stand, ok := personas[name]; ok {
		p.name = name
		return stand(&p)
	}
	return p.execute(root(), p.args...)
}

// execute runs a command of root.
func (p *persona) execute(root *cobra.Command, args ...string) int {
	root.SetArgs(append([]string{}, args...)) // cobra would read os.Args in place of nil
	root.SetIn(p.in)
	root.SetOut(p.stdout)
	root.SetErr(p.stderr)
	cmd, err := root.ExecuteC()
	if p.name == "wgnode" {
		err = cli.ForCommand(cmd, err)
	}
	return cli.ReportAs(p.stderr, p.name, err, p.name == "wgnode" || cli.IsTerminal(p.stderr))
}

// wireguardGo is called by wg-quick(8) as `wireguard-go NAME`: that is `wgnode device
// NAME`.
func (p *persona) wireguardGo() int {
	p.name = "wgnode"
	if len(p.args) == 1 && p.args[0] == "--version" {
		return p.execute(p.root(), "version")
	}
	return p.execute(p.root(), append([]string{"device"}, p.args...)...)
}

// newWgCommand has wg(8)'s commands, which take no flags.
func newWgCommand() *cobra.Command {
	root := &cobra.Command{Use: "wg", SilenceErrors: true, SilenceUsage: true}
	root.AddCommand(NewShowCommand(), NewShowconfCommand(), NewSetCommand(), NewSetconfCommand(), NewAddconfCommand(), NewSyncconfCommand(),
		NewGenkeyCommand(), NewGenpskCommand(), NewPubkeyCommand())
	for _, sub := range root.Commands() {
		sub.DisableFlagParsing = true
	}
	return root
}

func (p *persona) wg() int {
	root, args := newWgCommand(), p.args
	if len(args) == 0 {
		args = []string{"show"}
	}
	if len(args) == 1 {
		switch args[0] {
		case "-v", "--version", "version":
			return p.say(p.stdout, 0, fmt.Sprintf("wireguard-tools v%s - wgnode %s\n", toolsVersion, ownVersion()))
		case "-h", "--help", "help":
			return p.say(p.stdout, 0, wgUsageText(root))
		}
	}
	for _, sub := range root.Commands() {
		if sub.Name() == args[0] {
			return p.execute(root, args...)
		}
	}
	return p.say(p.stderr, cli.StatusFailed, fmt.Sprintf("Invalid subcommand: `%s'\n", config.Redact(args[0]))+wgUsageText(root))
}

func wgUsageText(root *cobra.Command) string {
	var b strings.Builder
	b.WriteString("Usage: wg <cmd> [<args>]\n\nAvailable subcommands:\n")
	for _, sub := range root.Commands() {
		fmt.Fprintf(&b, "  %s: %s\n", sub.Name(), sub.Short)
	}
	b.WriteString("This is wgnode in place of wg(8): `wgnode help COMMAND' explains each.\n")
	return b.String()
}

const quickUsage = "Usage: wg-quick [ up | down | save | strip ] [ CONFIG_FILE | INTERFACE ]\n\n" +
	"  This is wgnode in place of wg-quick(8). CONFIG_FILE is the path of a file that is\n" +
	"  named after its interface and ends in `.conf'; INTERFACE stands for the file\n" +
	"  /etc/wireguard/INTERFACE.conf. `wgnode help up' explains more.\n"

func (p *persona) wgQuick() int {
	switch {
	case len(p.args) == 1 && (p.args[0] == "-h" || p.args[0] == "--help" || p.args[0] == "help"):
		return p.say(p.stderr, 0, quickUsage)
	case len(p.args) != 2:
		return p.say(p.stderr, cli.StatusFailed, quickUsage)
	}
	command, word := p.args[0], p.args[1]
	switch command {
	case "up", "down", "save", "strip":
	default:
		return p.say(p.stderr, cli.StatusFailed, quickUsage)
	}
	path, err := quickPath(word)
	// What is up can be taken down without its file.
	if gone := errors.Is(err, fs.ErrNotExist); err != nil && !(gone && command == "down" && config.ValidName(word) && naming.Present(word)) {
		return cli.ReportAs(p.stderr, p.name, err, cli.IsTerminal(p.stderr))
	} else if gone {
		path = word
	}
	if command == "up" {
		name := strings.TrimSuffix(filepath.Base(path), ".conf")
		if _, err := os.Stat("/sys/class/net/" + name); err == nil {
			return cli.ReportAs(p.stderr, p.name, fmt.Errorf("`%s' already exists", name), false)
		}
	}
	return p.execute(p.root(), command, "--", path)
}

// say prints what a program says about its usage.
func (p *persona) say(w io.Writer, status int, text string) int {
	if _, err := io.WriteString(w, text); err != nil {
		return cli.StatusFailed
	}
	return status
}

// quickPath returns the path of the .conf that a word means to wg-quick, or of the .toml
// that takes its place. The error has wg-quick's words.
func quickPath(word string) (string, error) {
	path := word
	if config.ValidName(word) {
		path = filepath.Join(config.Dir, word+".conf")
	}
	err := checkQuick(path)
	if own := filepath.Join(config.Dir, word+".toml"); errors.Is(err, fs.ErrNotExist) && config.ValidName(word) {
		if _, serr := os.Stat(own); serr == nil {
			return own, nil
		}
	}
	return path, err
}

// ownVersion is the version of this program alone.
func ownVersion() string {
	if info, ok := debug.ReadBuildInfo(); ok {
		return info.Main.Version
	}
	return "(devel)"
}
