//go:build man

// With the build tag man the program is another one: it writes the manual
// pages, one a command and one of the verdicts, and the completions, one a shell, and is never
// installed. So the generator can see the commands, and its libraries stay out
// of wgnode. Unlike wgnode itself it can run where wgnode is only built for
// another machine.
//
//	go run -tags man ./cmd/wgnode FOLDER

package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/cobra/doc"

	"github.com/wgnode/wgnode/cmd/internal/cli"
)

func main() {
	os.Exit(cli.Report(os.Stderr, generate(os.Args[1:])))
}

// generate writes FOLDER/man and FOLDER/completion.
func generate(args []string) error {
	if len(args) != 1 {
		return cli.WithHint(errors.New("want one folder, for man and completion"), "`make man` knows where they go")
	}
	manual, completion := filepath.Join(args[0], "man"), filepath.Join(args[0], "completion")
	for _, dir := range []string{manual, completion} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return err
		}
	}
	root := newRootCommand()
	withoutTag(root)
	root.Long += commandList(root) + verdicts + files
	return errors.Join(
		doc.GenManTree(root, &doc.GenManHeader{Section: "8", Source: "wgnode", Manual: "wgnode"}, manual),
		plainSwitches(manual),
		verdictsPage(manual),
		root.GenBashCompletionFileV2(filepath.Join(completion, "wgnode.bash"), true),
		root.GenZshCompletionFile(filepath.Join(completion, "_wgnode")),
		root.GenFishCompletionFile(filepath.Join(completion, "wgnode.fish"), true),
	)
}

// plainSwitches takes the value out of the flags that need none: cobra's pages say
// "--help[=false]".
func plainSwitches(dir string) error {
	pages, err := filepath.Glob(filepath.Join(dir, "*.8"))
	if err != nil {
		return err
	}
	for _, page := range pages {
		text, err := os.ReadFile(page)
		if err != nil {
			return err
		}
		if err := os.WriteFile(page, []byte(strings.ReplaceAll(string(text), "[=false]", "")), 0o644); err != nil {
			return err
		}
	}
	return nil
}

// withoutTag leaves out cobra's line about when the page was generated, so
// that the same commands give the same pages.
func withoutTag(cmd *cobra.Command) {
	cmd.DisableAutoGenTag = true
	for _, sub := range cmd.Commands() {
		withoutTag(sub)
	}
}

// verdicts is a section of wgnode(8).
const verdicts = `
# VERDICTS
What the codes mean that explain, doctor and merge print is in **wgnode-verdicts(7)**.

`

// files is a section of wgnode(8), in the form that commandList has.
const files = `
# FILES
**/etc/wireguard/NAME.conf**
: the configuration of the interface NAME, as wg-quick(8) reads it

**/etc/wireguard/NAME.toml**, **wgnode.toml**
: the same in wgnode's own format; wgnode.toml among the documentation has every key

**/run/wgnode/NAME.json**
: what was done to bring it up, which is what there is to undo

**/run/wgnode/NAME.sock**
: where watch, explain and doctor ask the node

**/run/wgnode/kernel/NAME.sock**
: where they ask the monitor of a device of the kernel's

**/var/run/wireguard/NAME.sock**
: where wg(8) asks it

**wgnode@.service**
: brings a tunnel up at boot: systemctl enable wgnode@NAME

**wgnode-monitor.service**
: keeps the flight recorder of the kernel's WireGuard devices; not enabled unless asked for

`

// commandList is a section of wgnode(8) with a line for each command, in the
// Markdown that cobra makes the page of.
func commandList(root *cobra.Command) string {
	var b strings.Builder
	b.WriteString("\n\n# COMMANDS\n")
	for _, c := range root.Commands() {
		if c.IsAvailableCommand() {
			fmt.Fprintf(&b, "**wgnode %s**\n: %s\n\n", c.Use, c.Short)
		}
	}
	return b.String()
}
