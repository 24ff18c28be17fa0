package cli

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// HelpWidth is how many columns help takes: what every terminal has.
const HelpWidth = 80

// FitHelp makes the help of cmd and the commands below it fit a terminal.
func FitHelp(cmd *cobra.Command) {
	cmd.Long = fill(cmd.Long)
	for _, sub := range cmd.Commands() {
		FitHelp(sub)
	}
}

// Usage prints the usage of a command: what cobra prints, with flags whose texts are wrapped.
// It is no template: where one is linked in, which calls methods by their names, the linker
// keeps each exported method of all types, and the program is larger by a third.
func Usage(cmd *cobra.Command) error {
	var b strings.Builder
	b.WriteString("Usage:")
	if cmd.Runnable() {
		b.WriteString("\n  " + cmd.UseLine())
	}
	if cmd.HasAvailableSubCommands() {
		b.WriteString("\n  " + cmd.CommandPath() + " [command]")
	}
	if len(cmd.Aliases) > 0 {
		b.WriteString("\n\nAliases:\n  " + cmd.NameAndAliases())
	}
	if cmd.HasExample() {
		b.WriteString("\n\nExamples:\n" + cmd.Example)
	}
	if cmd.HasAvailableSubCommands() {
		b.WriteString("\n\nAvailable Commands:")
		for _, sub := range cmd.Commands() {
			if sub.IsAvailableCommand() || sub.Name() == "help" {
				fmt.Fprintf(&b, "\n  %-*s %s", sub.NamePadding(), sub.Name(), sub.Short)
			}
		}
	}
	if cmd.HasAvailableLocalFlags() {
		b.WriteString("\n\nFlags:\n" + strings.TrimRight(flagUsages(cmd.LocalFlags()), " \n"))
	}
	if cmd.HasAvailableInheritedFlags() {
		b.WriteString("\n\nGlobal Flags:\n" + strings.TrimRight(flagUsages(cmd.InheritedFlags()), " \n"))
	}
	if cmd.HasAvailableSubCommands() {
		fmt.Fprintf(&b, "\n\nUse \"%s [command] --help\" for more information about a command.", cmd.CommandPath())
	}
	_, err := fmt.Fprintln(cmd.OutOrStderr(), b.String())
	return err
}

// flagUsages are the flags of a set. pflag writes --json[=true|false] of a switch, which
// says nothing that a reader of help wants to know: here it is --json.
func flagUsages(set *pflag.FlagSet) string {
	plain := pflag.NewFlagSet("", pflag.ContinueOnError)
	plain.SortFlags = set.SortFlags
	set.VisitAll(func(f *pflag.Flag) {
		shown := *f
		if f.Value.Type() == "bool" {
			shown.Value = switchFlag{f.Value}
		}
		plain.AddFlag(&shown)
	})
	return plain.FlagUsagesWrapped(HelpWidth)
}

// switchFlag is a flag without a value, as help has it.
type switchFlag struct{ pflag.Value }

func (switchFlag) Type() string { return "boolfunc" }

// IsBoolFlag has pflag leave out that it is off.
func (switchFlag) IsBoolFlag() bool { return true }

// fill breaks the lines of each paragraph again. A paragraph that has lines which are
// set in stays as it is.
func fill(text string) string {
	paragraphs := strings.Split(text, "\n\n")
	for i, p := range paragraphs {
		if strings.HasPrefix(p, " ") || strings.HasPrefix(p, "\t") || strings.Contains(p, "\n ") || strings.Contains(p, "\n\t") {
			continue
		}
		var b strings.Builder
		column := 0
		for _, word := range strings.Fields(p) {
			switch {
			case column == 0:
			case column+1+len(word) > HelpWidth-1:
				b.WriteByte('\n')
				column = 0
			default:
				b.WriteByte(' ')
				column++
			}
			b.WriteString(word)
			column += len(word)
		}
		paragraphs[i] = b.String()
	}
	return strings.Join(paragraphs, "\n\n")
}

// CompletionInOurWords replaces cobra's texts of the command that it adds.
func CompletionInOurWords(root *cobra.Command) {
	for _, cmd := range root.Commands() {
		if cmd.Name() != "completion" {
			continue
		}
		cmd.Short = "Print a completion script for a shell"
		cmd.Long = "Completion prints a script that lets the shell complete commands, flags and names of tunnels. " +
			"The packages install it for bash, zsh and fish."
		for _, sub := range cmd.Commands() {
			sub.Short = "Print the completion script for " + sub.Name()
		}
	}
}
