//go:build man

// With the build tag man the program is another one: it writes the manual
// pages, one a command, and is never installed. So the generator can see the
// commands, and its libraries stay out of wgnode.
//
//	go run -tags man ./cmd/wgnode FOLDER

package main

import (
	"errors"
	"os"

	"github.com/spf13/cobra"
	"github.com/spf13/cobra/doc"
)

func main() {
	os.Exit(report(os.Stderr, writeManual(os.Args[1:])))
}

func writeManual(args []string) error {
	root := newRootCommand()
	if len(args) != 1 {
		return withHint(errors.New("want one folder for the manual pages"), "`make man` knows where they go")
	}
	if err := os.MkdirAll(args[0], 0o755); err != nil {
		return err
	}
	withoutTag(root)
	return doc.GenManTree(root, &doc.GenManHeader{Section: "8", Source: "wgnode", Manual: "wgnode"}, args[0])
}

// withoutTag leaves out cobra's line about when the page was generated, so
// that the same commands give the same pages.
func withoutTag(cmd *cobra.Command) {
	cmd.DisableAutoGenTag = true
	for _, sub := range cmd.Commands() {
		withoutTag(sub)
	}
}
