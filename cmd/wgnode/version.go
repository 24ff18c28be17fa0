package main

import (
	"fmt"
	"runtime"
	"runtime/debug"
	"strings"

	"github.com/spf13/cobra"

	"github.com/wgnode/wgnode/cmd/internal/inspect"
)

func newVersionCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "Print the version of wgnode and of what it is built on",
		RunE: func(cmd *cobra.Command, _ []string) error {
			_, err := fmt.Fprintln(cmd.OutOrStdout(), buildVersion())
			return err
		},
	}
}

// withoutCommand has root show the tunnels, or its version if --version asks. cobra's flag of this
// name prints by a template: see cli.Usage.
func withoutCommand(root *cobra.Command, built string) {
	asked := root.Flags().BoolP("version", "v", false, "version for wgnode")
	root.RunE = func(cmd *cobra.Command, _ []string) error {
		if *asked {
			_, err := fmt.Fprintln(cmd.OutOrStdout(), built)
			return err
		}
		return inspect.ListTunnels(cmd)
	}
}

// engines are the modules whose version decides what a packet meets.
var engines = []struct{ name, module string }{
	{"wireguard-go", "golang.zx2c4.com/wireguard"},
	{"gvisor", "gvisor.dev/gvisor"},
}

// version is what `make build` has the linker put here: the tag, or the commit.
// It counts where Go itself does not know which version it builds.
var version string

func buildVersion() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "wgnode (built without module information)"
	}
	if main := &info.Main; version != "" && (main.Version == "" || main.Version == "(devel)") {
		main.Version = version
	}
	return describe(info)
}

// describe says what the linker recorded, one `name version` a line. A module
// that is not linked in has no line.
func describe(info *debug.BuildInfo) string {
	var b strings.Builder
	fmt.Fprintf(&b, "wgnode %s%s\n", info.Main.Version, revision(info.Settings))
	fmt.Fprintf(&b, "go %s %s/%s", strings.TrimPrefix(info.GoVersion, "go"), runtime.GOOS, runtime.GOARCH)
	for _, engine := range engines {
		for _, dep := range info.Deps {
			if dep.Path == engine.module {
				fmt.Fprintf(&b, "\n%s %s", engine.name, moduleVersion(dep))
			}
		}
	}
	return b.String()
}

func moduleVersion(m *debug.Module) string {
	if m.Replace == nil {
		return m.Version
	}
	return fmt.Sprintf("%s (replaced by %s)", m.Version, strings.TrimSpace(m.Replace.Path+" "+m.Replace.Version))
}

// revision names the commit, " (1a2b3c4d5e6f, 2026-01-02T03:04:05Z, modified)",
// or is empty when the program was not built in a checkout.
func revision(settings []debug.BuildSetting) string {
	var commit, at string
	modified := false
	for _, s := range settings {
		switch s.Key {
		case "vcs.revision":
			commit = s.Value[:min(12, len(s.Value))]
		case "vcs.time":
			at = s.Value
		case "vcs.modified":
			modified = s.Value == "true"
		}
	}
	if commit == "" {
		return ""
	}
	parts := []string{commit}
	if at != "" {
		parts = append(parts, at)
	}
	if modified {
		parts = append(parts, "modified")
	}
	return " (" + strings.Join(parts, ", ") + ")"
}
