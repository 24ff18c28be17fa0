// Command size tells what each dependency adds to the program: how much of it the linker would
// leave out, were the dependency not there. So what only it uses is counted with it, and what
// others use, too, is not.
//
//	make size
//
// The linker tells which symbol keeps which. Without the packages of a dependency, and those
// that only it imports, some are not reached any more. Tables of the runtime grow with the
// code, so the part of all symbols that is lost is taken for the part of the program.
package main

import (
	"bytes"
	"cmp"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

const (
	program = "./cmd/wgnode"
	// shown is what a dependency adds at least, to be told of: in bytes.
	shown = 200_000
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "size:", err)
		os.Exit(1)
	}
}

// run prints the table; the arguments are further flags of go build.
func run(flags []string) error {
	folder, err := os.MkdirTemp("", "size")
	if err != nil {
		return err
	}
	defer os.RemoveAll(folder)
	stripped, whole := filepath.Join(folder, "stripped"), filepath.Join(folder, "whole")
	build := append([]string{"build", "-trimpath"}, flags...)
	if _, _, err := goTool(slices.Concat(build, []string{"-ldflags=-s -w", "-o", stripped, program})...); err != nil {
		return err
	}
	_, dump, err := goTool(slices.Concat(build, []string{"-ldflags=-dumpdep", "-o", whole, program})...)
	if err != nil {
		return err
	}
	sizes, _, err := goTool("tool", "nm", "-size", whole)
	if err != nil {
		return err
	}
	const format = `{{.ImportPath}} {{with .Module}}{{if not .Main}}{{.Path}}{{end}}{{end}} {{join .Imports " "}}`
	packages, _, err := goTool(slices.Concat([]string{"list", "-deps", "-f", format}, flags, []string{program})...)
	if err != nil {
		return err
	}
	info, err := os.Stat(stripped)
	if err != nil {
		return err
	}
	g := &graph{edges: readEdges(dump), sizes: readSizes(sizes)}
	g.readPackages(packages)
	g.print(info.Size())
	return nil
}

// goTool is what go prints, for a static program.
func goTool(args ...string) (stdout, stderr []byte, err error) {
	var out, complaints bytes.Buffer
	cmd := exec.Command("go", args...)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	cmd.Stdout, cmd.Stderr = &out, &complaints
	if err := cmd.Run(); err != nil {
		return nil, nil, fmt.Errorf("go %s: %w: %s", args[0], err, lastLine(complaints.String()))
	}
	return out.Bytes(), complaints.Bytes(), nil
}

func lastLine(text string) string {
	lines := strings.Split(strings.TrimSpace(text), "\n")
	return lines[len(lines)-1]
}

// print writes a table in Markdown, the largest first.
func (g *graph) print(program int64) {
	base := g.reached(nil)
	scale := float64(program) / float64(base)
	lost := make(map[string]float64)
	for module, packages := range g.modules {
		lost[module] = float64(base-g.reached(packages)) * scale
	}
	fmt.Printf("The program, stripped: %s\n\n| without | less |\n|---|---|\n", megabytes(float64(program)))
	order := slices.SortedFunc(maps.Keys(lost), func(a, b string) int { return cmp.Compare(lost[b], lost[a]) })
	for _, module := range order {
		if lost[module] >= shown {
			fmt.Printf("| %s | %s |\n", module, megabytes(lost[module]))
		}
	}
}

func megabytes(n float64) string { return fmt.Sprintf("%.1f MB", n/1e6) }
