package safefile

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// touching are the functions that open, make or rename files by their paths.
var touching = map[string][]string{
	"os": {"Create", "CreateTemp", "WriteFile", "OpenFile", "Open", "ReadFile", "Rename", "Symlink", "Link", "Mkdir", "MkdirAll", "MkdirTemp",
		"Truncate", "Chmod", "Chown", "Lchown", "Remove", "RemoveAll"},
	"unix": {"Open", "Openat", "Openat2", "Creat", "Rename", "Renameat", "Renameat2", "Symlink", "Symlinkat", "Link", "Linkat",
		"Mkdir", "Mknod", "Mkfifo"},
	"syscall": {"Open", "Creat", "Rename", "Mkdir"},
}

// uses are the places outside of this package that touch files by themselves, and
// why nobody else can make them do harm.
var uses = map[string]string{
	"cmd/internal/daemon/background.go os.Open":               "/dev/null",
	"cmd/internal/lifecycle/exec_signals_linux.go os.Open":    "/dev/tty",
	"node/bothends/explain.go os.MkdirTemp":                   "a folder of a random name that is this user's alone",
	"node/bothends/explain.go os.RemoveAll":                   "that folder",
	"cmd/internal/inspect/web.go os.MkdirTemp":                "a folder of a random name that is this user's alone",
	"cmd/internal/inspect/web.go os.RemoveAll":                "that folder",
	"node/web/files.go os.CreateTemp":                         "a file of a random name that is this user's alone, and loses it at once",
	"node/internal/webconfig/webtest/webtest.go os.WriteFile": "in a folder of a test",
	"node/web/files.go os.Remove":                             "that name",
	"node/series/far.go os.CreateTemp":                        "a file of a random name that is this user's alone",
	"node/series/far.go os.Remove":                            "that file",
	"node/bothends/explain.go os.OpenFile":                    "in that folder",
	"cmd/internal/conffile/init.go os.MkdirAll":               "/etc/wireguard, in a folder of root's",
	"cmd/wgnode/main_man.go os.MkdirAll":                      "at build time",
	"cmd/wgnode/main_man.go os.ReadFile":                      "at build time",
	"cmd/wgnode/main_man.go os.WriteFile":                     "at build time",
	"cmd/internal/wgtool/set.go os.Open":                      "keys as wg(8) reads them, also from pipes",
	"cmd/internal/wgtool/setconf.go os.Open":                  "a file as wg(8) reads it, also from pipes; it warns",
	"node/config/warning.go os.Open":                          "looked at, not read",
	"node/confine/files.go os.Mkdir":                          "in a file system in memory that only this process sees",
	"node/confine/files.go os.OpenFile":                       "a place to mount on, in a mount namespace of its own",
	"node/confine/files.go os.WriteFile":                      "in a file system in memory that only this process sees",
	"node/confine/forbidden.go os.ReadFile":                   "of the kernel",
	"node/confine/link.go unix.Open":                          "a device",
	"node/teardown/dead.go os.Remove":                         "a socket in a run folder that was checked",
	"node/explain/findings_host_linux.go os.ReadFile":         "of the kernel",
	"node/guard/tables.go os.ReadFile":                        "of the kernel",
	"node/guard/process.go os.WriteFile":                      "of the kernel",
	"node/link/rights_linux.go unix.Open":                     "a device",
	"node/unixsocket/unixsocket.go os.Remove":                 "a socket that nobody serves, in place of which one of this user's is made",
	"node/kernelnode/monitor.go os.MkdirAll":                  "a folder in the run folder, which is checked then",
	"node/plan/journal.go os.MkdirAll":                        "a run folder, which is checked then",
	"node/plan/journal.go os.Remove":                          "a journal in a run folder that was checked",
	"node/repair/journal.go os.MkdirAll":                      "a folder in the run folder, which is checked then",
	"node/repair/journal.go os.Remove":                        "a record in a folder that was checked",
	"node/repair/programs.go os.ReadFile":                     "of the kernel",
	"probe/host/hooks/cgroup.go os.Open":                      "of the kernel",
	"probe/host/hooks/cgroup.go os.ReadFile":                  "of the kernel",
	"probe/host/hooks/legacy.go os.ReadFile":                  "of the kernel",
	"probe/host/hooks/list.go os.ReadFile":                    "of the kernel",
	"probe/host/drops/symbols.go os.Open":                     "of the kernel",
	"probe/host/drops/symbols.go os.ReadFile":                 "of the kernel",
	"probe/host/bpf/bpf.go os.ReadFile":                       "of the kernel",
	"node/droplist/tunnel.go unix.Open":                       "of the kernel: a network namespace",
	"node/plan/process_linux.go os.ReadFile":                  "of the kernel",
	"node/remote/terminal_unix.go os.OpenFile":                "/dev/tty",
	"node/resolver/file.go os.Open":                           "the folder of root's resolv.conf, to be locked",
	"node/resolver/snapshot.go os.OpenFile":                   "root's resolv.conf where it cannot be replaced, not through a link",
	"node/resolver/snapshot.go os.Remove":                     "root's resolv.conf, where there was none",
	"node/rundir/rundir.go os.MkdirAll":                       "a run folder, which is checked then",
	"node/history/book.go os.MkdirAll":                        "a folder, which is checked then",
	"node/history/book.go os.Rename":                          "in that folder",
	"node/internal/sysctl/sysctl.go os.OpenFile":              "of the kernel",
	"node/internal/sysctl/sysctl.go os.ReadFile":              "of the kernel",
	"probe/host/clock/read_linux.go os.ReadFile":              "of the kernel",
	"node/observe/counters.go os.Open":                        "of the kernel",
	"node/observe/hooks.go os.Open":                           "of the kernel: a network namespace",
	"cmd/wgnode/main_man_verdicts.go os.WriteFile":            "at build time",
	"probe/fix/fixtest/fixtest.go os.ReadFile":                "of the repository, in tests",
	"probe/fix/fixtest/fixtest.go os.WriteFile":               "of the repository, in tests",
	"probe/docpage/docpage.go os.MkdirAll":                    "of the repository, in tests",
	"probe/docpage/docpage.go os.ReadFile":                    "of the repository, in tests",
	"probe/docpage/docpage.go os.Remove":                      "of the repository, in tests",
	"probe/docpage/docpage.go os.WriteFile":                   "of the repository, in tests",
	"probe/pin/pin.go os.ReadFile":                            "of the repository, in tests",
	"probe/pin/pin.go os.WriteFile":                           "of the repository, in tests",
	"probe/schema/schematest/validate.go os.ReadFile":         "of the repository, in tests",
	"probe/host/netfilter/ruleset.go os.ReadFile":             "of the kernel",
	"probe/host/netfilter/sweep.go os.ReadFile":               "of the kernel",
	"probe/host/sockets/sockets.go os.ReadFile":               "of the kernel",
	"probe/host/routing/snapshot.go os.ReadFile":              "of the kernel",
	"probe/recording/output.go os.Link":                       "it fails if the name is taken, and follows no link",
	"probe/recording/file.go os.Open":                         "recordings, of which nothing is believed but what a verdict shows",
	"probe/recording/output.go os.Open":                       "a folder, to be synced",
	"probe/recording/output.go os.OpenFile":                   "new, or no file at all",
	"probe/recording/output.go os.Remove":                     "what --force replaces, and parts of its own",
	"probe/recording/output.go os.Rename":                     "it replaces a name, and follows no link",
	"cmd/internal/wgtool/strip.go os.Open":                    "a file as wg-quick reads it, to be printed; it warns",
	"node/plan/shared.go os.OpenFile":                         "a lock in a run folder that was checked",
	"node/plan/shared.go os.ReadFile":                         "in a run folder that was checked",
	"node/plan/shared.go os.Remove":                           "in a run folder that was checked",
	"node/port/owner_linux.go os.Open":                        "of the kernel",
	"node/sender/sender.go os.Open":                           "of the kernel: a control group",
	"node/sender/sender.go os.ReadFile":                       "of the kernel",
	"node/port/owner_linux.go os.ReadFile":                    "of the kernel",
	"cmd/internal/conffile/peer_add.go os.Remove":             "a file that it has just made itself",
	"node/setup/kept.go os.Mkdir":                             "in a folder that a configuration was trusted in",
	"node/setup/kept.go os.Open":                              "a folder, to be locked",
	"node/setup/kept.go os.Remove":                            "in that folder",
	"node/internal/device/uapi_linux.go os.Remove":            "a socket in root's folder, which the module has just made",
	"node/hook/system_linux.go os.ReadFile":                   "of the kernel",
	"node/hook/system_other.go os.CreateTemp":                 "a file that has no name before anything is in it",
	"node/hook/system_other.go os.Remove":                     "a file that this process has just made",
	"probe/patience/patience.go os.ReadFile":                  "of the kernel",
	"tunnel/tundev/device_linux.go unix.Open":                 "a device",
	"tunnel/uapi/client.go os.Open":                           "the names in root's folder of sockets",
}

// Whatever touches files goes through this package, or is listed above with a
// reason: a new place wants a look.
func TestUses(t *testing.T) {
	const root = "../.."
	found := make(map[string]token.Position)
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name, err := filepath.Rel(root, path)
		switch {
		case err != nil:
			return err
		case d.IsDir() && slices.Contains([]string{".git", "bin", "examples", "node/lab", "node/safefile"}, name):
			return fs.SkipDir
		case d.IsDir() || !strings.HasSuffix(name, ".go") || strings.HasSuffix(name, "_test.go"):
			return nil
		}
		files := token.NewFileSet()
		file, err := parser.ParseFile(files, path, nil, parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		ast.Inspect(file, func(n ast.Node) bool {
			s, ok := n.(*ast.SelectorExpr)
			if !ok {
				return true
			}
			if pkg, ok := s.X.(*ast.Ident); ok && slices.Contains(touching[pkg.Name], s.Sel.Name) {
				found[name+" "+pkg.Name+"."+s.Sel.Name] = files.Position(s.Pos())
			}
			return true
		})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for use, at := range found {
		if uses[use] == "" {
			t.Errorf("%s touches files by itself: %s. Can package safefile do it? If not, say in uses why it does no harm", at, use)
		}
	}
	for use := range uses {
		if _, ok := found[use]; !ok {
			t.Errorf("%s is listed, and not there any more", use)
		}
	}
}
