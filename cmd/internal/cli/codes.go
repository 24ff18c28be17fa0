package cli

import (
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/wgnode/wgnode/node/config"
	"github.com/wgnode/wgnode/probe/diagnose"
)

// VerdictsTopic is the topic of help that lists all codes.
const VerdictsTopic = "verdicts"

// KnownCode is the code of a verdict that a word is, in whatever case.
func KnownCode(word string) (diagnose.Code, bool) {
	code := diagnose.Code(strings.ToLower(word))
	_, ok := code.Doc()
	return code, ok
}

// LikeCode is a hint for a word that is not a code but looks like one, "" if it does not.
// command is what to type before a code.
func LikeCode(word, command string) string {
	var names, have []string
	for _, c := range diagnose.Codes() {
		names = append(names, string(c))
		if len(word) >= 3 && slices.Contains(strings.Split(string(c), "-"), strings.ToLower(word)) {
			have = append(have, string(c))
		}
	}
	if near := config.Nearest(word, names); near != "" {
		return fmt.Sprintf("did you mean the verdict `%s %s`?", command, near)
	}
	if len(have) > 0 {
		return fmt.Sprintf("verdicts with %q in their names: %s", word, strings.Join(have, ", "))
	}
	return ""
}

// CompleteCodes offers the codes that begin with a word that is begun, with their titles.
// Before a letter is typed they would bury the rest.
func CompleteCodes(toComplete string) []string {
	if toComplete == "" {
		return nil
	}
	var offered []string
	for _, c := range diagnose.Codes() {
		if strings.HasPrefix(string(c), toComplete) {
			doc, _ := c.Doc()
			offered = append(offered, cobra.CompletionWithDesc(string(c), doc.Title))
		}
	}
	return offered
}
