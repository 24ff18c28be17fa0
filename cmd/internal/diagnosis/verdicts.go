package diagnosis

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/wgnode/wgnode/cmd/internal/cli"
	"github.com/wgnode/wgnode/probe/diagnose"
	"github.com/wgnode/wgnode/probe/diagnose/rules"
	"github.com/wgnode/wgnode/probe/render"
	"github.com/wgnode/wgnode/probe/schema"
)

// The codes of verdicts are topics of `wgnode help`, and `wgnode explain CODE` says the
// same. Their texts are those of the declarations in probe/diagnose.

// codeArgument returns the code that explain is asked about instead of a destination: a
// single word that is one, without any flag that asks for traffic. A host of that name is
// reached by naming its port, or the tunnel before it.
func codeArgument(cmd *cobra.Command, args []string) (diagnose.Code, bool) {
	traffic := false
	cmd.Flags().Visit(func(f *pflag.Flag) { traffic = traffic || f.Name != "json" })
	if len(args) != 1 || traffic {
		return "", false
	}
	return cli.KnownCode(args[0])
}

// CodeReport is what there is to know about a code, as JSON has it.
type CodeReport struct {
	Schema schema.Version `json:"schema"`
	Code   diagnose.Code  `json:"code"`
	Class  diagnose.Class `json:"class"`
	// Checkpoints are those that a verdict may name as the first that did not happen.
	Checkpoints diagnose.List[string] `json:"checkpoints"`
	diagnose.Doc
}

// explainCode prints what there is to know about a code.
func explainCode(cmd *cobra.Command, code diagnose.Code, asJSON bool) error {
	doc, ok := code.Doc()
	if !ok {
		return fmt.Errorf("unknown verdict %q", code)
	}
	report := &CodeReport{Code: code, Class: code.Class(), Doc: doc}
	missing := rules.Checkpoints(code)
	for _, cp := range missing {
		report.Checkpoints = append(report.Checkpoints, cp.String())
	}
	return cli.PrintReport(cmd, report, asJSON, func() error {
		return render.Code(cmd.OutOrStdout(), code, &doc, missing, cli.TextOptions(cmd))
	})
}

// listCodes prints each code with its title.
func listCodes(w io.Writer) error {
	var b strings.Builder
	b.WriteString("The verdicts of explain, doctor and merge. `wgnode help CODE` says more about one.\n\n")
	for _, c := range diagnose.Codes() {
		doc, _ := c.Doc()
		fmt.Fprintf(&b, "%s\n    %s\n", c, doc.Title)
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// HelpOfCodes gives cobra's help command the codes as further topics.
func HelpOfCodes(root *cobra.Command) {
	help := findHelp(root)
	help.Use = "help [COMMAND|CODE]"
	help.Short = "Show the help of a command, or what a verdict means"
	help.Long = `Help shows the help of a command, or what the CODE of a verdict means: what it looks
like on the wire, what else looks like it, and how to fix it. "wgnode help verdicts"
lists all codes; wgnode-verdicts(7) has all texts. A command and a code never have the
same name.`
	help.Example = `  wgnode help explain
  wgnode help psk-mismatch
  wgnode help verdicts`
	asJSON := help.Flags().Bool("json", false, "print what a CODE means as one JSON object")
	commands, complete := help.Run, help.ValidArgsFunction
	help.Run = nil
	help.RunE = func(cmd *cobra.Command, args []string) error {
		if len(args) == 1 {
			if code, ok := cli.KnownCode(args[0]); ok {
				return explainCode(cmd, code, *asJSON)
			}
		}
		if *asJSON {
			return cli.NewUsageError(cmd, fmt.Errorf("--json is for the code of a verdict"))
		}
		if len(args) == 1 && args[0] == cli.VerdictsTopic {
			return listCodes(cmd.OutOrStdout())
		}
		commands(cmd, args)
		return nil
	}
	help.ValidArgsFunction = func(cmd *cobra.Command, args []string, toComplete string) ([]string, cobra.ShellCompDirective) {
		offered, directive := complete(cmd, args, toComplete)
		if len(args) == 0 {
			offered = append(offered, cli.CompleteCodes(toComplete)...)
		}
		return offered, directive
	}
}

func findHelp(root *cobra.Command) *cobra.Command {
	root.InitDefaultHelpCmd()
	all := root.Commands()
	return all[slices.IndexFunc(all, func(c *cobra.Command) bool { return c.Name() == "help" })]
}
