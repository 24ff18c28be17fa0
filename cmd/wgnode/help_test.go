package main

import (
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/wgnode/wgnode/cmd/internal/cli"
)

// TestHelpFitsTerminal wants the help of every command in 80 columns.
func TestHelpFitsTerminal(t *testing.T) {
	var all func(cmd *cobra.Command, path []string)
	all = func(cmd *cobra.Command, path []string) {
		var out, errOut strings.Builder
		line := append([]string{"wgnode", "help"}, path...)
		if status := run(line, strings.NewReader(""), &out, &errOut); status != 0 {
			t.Fatalf("%v: status %d\n%s", line, status, errOut.String())
		}
		for text := range strings.Lines(out.String()) {
			if text = strings.TrimSuffix(text, "\n"); utf8.RuneCountInString(text) > cli.HelpWidth {
				t.Errorf("%v: %d columns: %s", line, utf8.RuneCountInString(text), text)
			}
		}
		for _, sub := range cmd.Commands() {
			all(sub, append(path[:len(path):len(path)], sub.Name()))
		}
	}
	all(newRootCommand(), nil)
}

// A flag without a value shows none in the help, as it would where its text has backquotes.
func TestFlagsWithoutValues(t *testing.T) {
	all(newRootCommand(), func(cmd *cobra.Command) {
		cmd.Flags().VisitAll(func(f *pflag.Flag) {
			if name, _ := pflag.UnquoteUsage(f); f.Value.Type() == "bool" && name != "" {
				t.Errorf("%s --%s has no value, and the help shows %q", cmd.CommandPath(), f.Name, name)
			}
		})
	})
}
