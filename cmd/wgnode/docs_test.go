package main

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/wgnode/wgnode/node/config"
	"github.com/wgnode/wgnode/probe/docpage"
)

// block is a part of a page between two fences.
type block struct {
	file, lang, text string
	line             int
}

var (
	blocks = regexp.MustCompile("(?ms)^[ \t]*```([a-z]*)\n(.*?)^[ \t]*```[ \t]*$")
	spanOf = regexp.MustCompile("`([^`\n]+)`")
	// command is a command line of wgnode in one of a shell, up to what ends it there.
	command = regexp.MustCompile(`(?:^|[\s;&|'"(=])wgnode((?:[ \t]+(?:'[^']*'|"[^"]*"|[^\s;&|<>)'"#][^\s'"]*))*)`)
	word    = regexp.MustCompile(`'[^']*'|"[^"]*"|[^\s]+`)
)

// eachPage calls a function with every page that tells users what to type.
func eachPage(t *testing.T, see func(name, text string)) {
	t.Helper()
	top := filepath.Dir(docpage.Docs(t))
	for _, from := range []string{"README.md", "CONTRIBUTING.md", "SECURITY.md", "docs", "examples"} {
		err := filepath.WalkDir(filepath.Join(top, from), func(path string, _ fs.DirEntry, err error) error {
			if err != nil || filepath.Ext(path) != ".md" {
				return err
			}
			text, err := os.ReadFile(path)
			if err == nil {
				name, _ := filepath.Rel(top, path)
				see(filepath.ToSlash(name), string(text))
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
}

// blocksOf are the parts of a page between fences.
func blocksOf(file, text string) (found []block) {
	for _, at := range blocks.FindAllStringSubmatchIndex(text, -1) {
		found = append(found, block{file, text[at[2]:at[3]], text[at[4]:at[5]], 1 + strings.Count(text[:at[4]], "\n")})
	}
	return found
}

// checkCommand parses the arguments of a command line as the program does, and runs
// nothing. What stands for a value, such as FILE, may be anything; a prose says less than
// a whole line.
func checkCommand(args []string, whole bool) error {
	root := newRootCommand()
	if slices.Contains([]string{"--version", "--help"}, strings.Join(args, " ")) {
		return nil
	}
	cmd, rest, err := root.Find(args)
	if err != nil {
		return err
	}
	if cmd == root && len(rest) > 0 {
		return fmt.Errorf("unknown command %q", rest[0])
	}
	if cmd.DisableFlagParsing {
		return nil
	}
	rest = slices.DeleteFunc(rest, func(s string) bool { return s == "..." })
	if err := cmd.ParseFlags(rest); err != nil {
		if !whole { // `--every N`: only the name of the flag is meant
			for _, flag := range rest {
				name, _, _ := strings.Cut(strings.TrimLeft(flag, "-"), "=")
				if strings.HasPrefix(flag, "--") && cmd.Flags().Lookup(name) == nil {
					return fmt.Errorf("unknown flag %s", flag)
				}
			}
			return nil
		}
		return err
	}
	if !whole {
		return nil
	}
	return cmd.ValidateArgs(cmd.Flags().Args())
}

// commandLines are the arguments of each call of wgnode in a line of a shell.
func commandLines(line string) (calls [][]string) {
	for _, m := range command.FindAllStringSubmatch(strings.ReplaceAll(line, "-t wgnode", ""), -1) { // a name of an image
		var args []string
		for _, w := range word.FindAllString(m[1], -1) {
			args = append(args, strings.Trim(strings.TrimRight(w, ")"), `'"`))
		}
		calls = append(calls, args)
	}
	return calls
}

// Every command line that a page shows is one that the program takes: its command and its
// flags exist, and it has the arguments that it needs.
func TestDocumentedCommands(t *testing.T) {
	seen := 0
	eachPage(t, func(file, text string) {
		for _, b := range blocksOf(file, text) {
			if b.lang != "sh" && b.lang != "console" {
				continue
			}
			for n, line := range strings.Split(b.text, "\n") {
				if at := strings.Index(line, "$ "); b.lang == "console" && (at < 0 || strings.Contains(line[:at], " ")) {
					continue // output
				}
				for _, args := range commandLines(line) {
					seen++
					if err := checkCommand(args, true); err != nil {
						t.Errorf("%s:%d: wgnode %s: %v", file, b.line+n, strings.Join(args, " "), err)
					}
				}
			}
		}
		for _, m := range spanOf.FindAllStringSubmatch(blocks.ReplaceAllString(text, ""), -1) {
			if !strings.HasPrefix(m[1], "wgnode ") && !strings.Contains(m[1], "sudo wgnode ") {
				continue
			}
			for _, args := range commandLines(m[1]) {
				seen++
				if err := checkCommand(args, false); err != nil {
					t.Errorf("%s: `%s`: %v", file, m[1], err)
				}
			}
		}
	})
	if seen < 100 {
		t.Errorf("only %d command lines were found", seen)
	}
}

// What the test above takes for wrong.
func TestCheckCommand(t *testing.T) {
	for line, good := range map[string]bool{
		"wgnode up wg0":                                true,
		"sudo wgnode explain wg0 10.0.0.2 --fix":       true,
		"wgnode nope":                                  false,
		"wgnode up wg0 --nope":                         false,
		"wgnode merge a":                               false,
		"ssh -o ProxyCommand='wgnode connect wg0 a:1'": true,
	} {
		calls := commandLines(line)
		if len(calls) != 1 {
			t.Fatalf("%s: %q", line, calls)
		}
		if err := checkCommand(calls[0], true); (err == nil) != good {
			t.Errorf("%s: %v", line, err)
		}
	}
}

// given is a key with a value, as prose shows one.
var given = regexp.MustCompile("^([a-z_]+) = ")

// Every key of a configuration that a page shows exists where it stands.
func TestDocumentedKeys(t *testing.T) {
	known := config.KeyNames()
	eachPage(t, func(file, text string) {
		for _, b := range blocksOf(file, text) {
			var err error
			switch {
			case b.lang == "toml":
				_, err = config.ParseTOML(strings.NewReader(b.text), "wg0.toml")
			case b.lang == "ini" && strings.Contains(b.text, "[Interface]"):
				_, err = config.Parse(strings.NewReader(b.text), "wg0.conf")
			}
			if err != nil {
				t.Errorf("%s:%d: %v", file, b.line, err)
			}
		}
		for _, m := range spanOf.FindAllStringSubmatch(blocks.ReplaceAllString(text, ""), -1) {
			if s := given.FindStringSubmatch(m[1]); s != nil && !slices.Contains(known, s[1]) {
				t.Errorf("%s: %s is not a key", file, m[1])
			}
		}
	})
}

// The page with all commands.
func TestCommandsPage(t *testing.T) {
	var b strings.Builder
	b.WriteString("# Commands\n\n" + docpage.Made("go test ./cmd/wgnode -run TestCommandsPage"))
	b.WriteString("`wgnode help COMMAND` shows all flags and examples; wgnode-COMMAND(8) is the same as a manual page.\n\n")
	b.WriteString("| command | |\n|---|---|\n")
	for _, cmd := range newRootCommand().Commands() {
		if cmd.Hidden {
			continue
		}
		fmt.Fprintf(&b, "| %s | %s |\n", docpage.Code(cmd.Use), docpage.Cell(cmd.Short))
		for _, sub := range cmd.Commands() {
			if cmd.Name() != "completion" {
				fmt.Fprintf(&b, "| %s | %s |\n", docpage.Code(cmd.Name()+" "+sub.Use), docpage.Cell(sub.Short))
			}
		}
	}
	b.WriteString("\nWithout a command, `wgnode` lists the tunnels of this host, or prints the help if there are none. ")
	b.WriteString("NAME can be omitted if only one tunnel runs. Commands that read a file, such as `up`, `run` and `check`, " +
		"without NAME look for wgnode.toml in the current folder, or else for the only .conf in " +
		"/etc/wireguard; a .toml there must be named.\n\n")
	b.WriteString("## Flags that many commands have\n\n| flag | commands |\n|---|---|\n")
	users := make(map[string][]string)
	all(newRootCommand(), func(cmd *cobra.Command) {
		name := strings.TrimPrefix(cmd.CommandPath(), cmd.Root().Name()+" ")
		cmd.Flags().VisitAll(func(f *pflag.Flag) {
			if !cmd.Hidden && !f.Hidden {
				users[f.Name] = append(users[f.Name], docpage.Code(name))
			}
		})
	})
	for _, flag := range []string{"json", "read", "with", "fix", "for", "netstack", "metrics", "quiet"} {
		fmt.Fprintf(&b, "| `--%s` | %s |\n", flag, strings.Join(users[flag], ", "))
	}
	docpage.Check(t, "commands.md", b.String())
}
