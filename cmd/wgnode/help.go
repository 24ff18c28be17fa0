package main

import (
	"strings"

	"github.com/spf13/cobra"
)

// helpWidth is how many columns help takes: what every terminal has.
const helpWidth = 80

// fitHelp makes the help of cmd and the commands below it fit a terminal.
func fitHelp(cmd *cobra.Command) {
	cmd.Long = fill(cmd.Long)
	for _, sub := range cmd.Commands() {
		fitHelp(sub)
	}
}

// helpTemplate is cobra's, with flags whose texts are wrapped.
func helpTemplate(cobras string) string {
	return strings.ReplaceAll(cobras, "FlagUsages ", "FlagUsagesWrapped 80 ")
}

// fill breaks the lines of each paragraph anew. A paragraph that has lines which are
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
			case column+1+len(word) > helpWidth-1:
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
