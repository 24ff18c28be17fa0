//go:build linux

package system

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"strings"
	"testing"
)

// The installed wg-quick and wg may be those of 1.0.20210914, which distributions
// still have. These are upstream's commits since then, up to 025f004 (2026-03-24),
// that touch wg-quick for Linux, setconf and its like, show, the parser, the unit or
// the manuals; what each asks for; and the test that shows that wgnode does it. A
// name that begins with Test is a test of that folder; another is a configuration of
// testdata/wg-quick, which both programs bring up.
var upstream = []struct {
	commit, subject string
	here            string // what wgnode does
	in, shown       string // folder and test; "" if there is nothing to show
}{
	{commit: "5b9c1d6", subject: "global: dual license core files as MIT for FreeBSD", here: "nothing: no behavior"},
	{commit: "71799a8", subject: "wg-quick: linux: prevent traffic from momentarily leaking into tunnel",
		here: "both rules are there before the default route", in: "node/plan", shown: "TestBuildTables"},
	{commit: "ca2e89f", subject: "show: apply const to right part of pointer", here: "nothing: no behavior"},
	{commit: "b4f6b4f", subject: "show: fix show all endpoints output",
		here: "show all endpoints leads each line with the interface", in: "cmd/internal/wgtool", shown: "TestShowRealDevices"},
	{commit: "e6888dd", subject: "wg-quick: run PreUp hook after creating interface",
		here: "PreUp has the link; up says so of a file that may mean the old order", in: "node/lab/system", shown: "PreUp and the link"},
	{commit: "729242a", subject: "man: set private key in PreUp rather than PostUp",
		here: "a key that PreUp sets stays", in: "node/lab/system", shown: "TestPreUpSurvives"},
	{commit: "13f4ac4", subject: "ipc: linux: enforce IFNAMSIZ limit",
		here: "a name that is too long is called so", in: "cmd/internal/wgtool", shown: "TestShowLongName"},
	{commit: "0788f90", subject: "ipc: linux: support incremental allowed ips updates",
		here: "+ and - before a prefix, in files and for set", in: "cmd/internal/wgtool", shown: "TestSetIncremental"},
	{commit: "a2dbc33", subject: "wg-quick: linux: add 'dev' to 'ip link add' to avoid keyword conflicts",
		here: "no program reads the name: links are made by netlink"},
	{commit: "2d6e041", subject: "config: handle strdup failure", here: "nothing: no behavior"},
	{commit: "5150cd6", subject: "wg-quick: linux: use smallest mtu, not largest",
		here: "the smallest; up says so where it matters", in: "node/lab/system", shown: "MTU by several endpoints"},
	{commit: "780182e", subject: "syncconf: account for psks removed from config file",
		here: "syncconf and reload take a preshared key back that the file states no more", in: "cmd/internal/wgtool",
		shown: "TestSyncconfForgets"},
	{commit: "90deacd", subject: "wg-quick: pass on # comments to {Pre,Post}{Up,Down}",
		here: "hooks keep what follows a #; up says so where that is no comment of bash's", in: "node/lab/system",
		shown: "number sign in a hook"},
	{commit: "d3b40af", subject: "wg-quick: linux: deal with resolvconf migration more gracefully",
		here: "no prefix for a resolvconf that is a symbolic link", in: "node/resolver", shown: "TestRecordPrefix"},
	{commit: "0b7d982", subject: "wg-quick: use addconf instead of setconf",
		here: "the device keeps what PreUp has set and the file does not state", in: "node/lab/system", shown: "TestPreUpSurvives"},
	{commit: "ac74ed6", subject: "wg-quick: linux: do not unnecessarily set sysctl",
		here: "src_valid_mark is set only if it is not 1", in: "node/lab/system", shown: "default route, src_valid_mark set"},
	{commit: "0cbe993", subject: "wg-quick@.service: add deps on wg-quick.target",
		here: "the unit stands in wg-quick.target, too", in: "examples"},
	{commit: "ede2c48", subject: "config: preserve const correctness", here: "nothing: no behavior"},
	{commit: "0a81a17", subject: "syncconf: account for persistent keepalive removed from config file",
		here: "as for preshared keys", in: "cmd/internal/wgtool", shown: "TestSyncconfForgets"},
	{commit: "997ffa0", subject: "global: bump copyright", here: "nothing: no behavior"},
}

// What the list of upstream's commits calls a proof is there.
func TestUpstreamsCommits(t *testing.T) {
	t.Parallel()
	const root = "../../.."
	configs := make(map[string]bool)
	for _, test := range quickTests(t, "testdata/wg-quick/configs.txtar") {
		configs[test.name] = true
	}
	for _, u := range upstream {
		switch {
		case u.shown == "":
		case strings.HasPrefix(u.shown, "Test"):
			if !hasTest(t, filepath.Join(root, u.in), u.shown) {
				t.Errorf("%s %s: %s has no %s", u.commit, u.subject, u.in, u.shown)
			}
		case !configs[u.shown]:
			t.Errorf("%s %s: there is no configuration %q", u.commit, u.subject, u.shown)
		}
	}
}

// hasTest reports whether a test of that name is in a folder.
func hasTest(t *testing.T, dir, name string) bool {
	t.Helper()
	found := false
	err := filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(path, "_test.go") {
			return err
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		for _, d := range file.Decls {
			f, ok := d.(*ast.FuncDecl)
			found = found || ok && f.Name.Name == name
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}
