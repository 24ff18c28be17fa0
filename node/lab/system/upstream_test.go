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
	{"5b9c1d6", "global: dual license core files as MIT for FreeBSD", "nothing: no behavior", "", ""},
	{"71799a8", "wg-quick: linux: prevent traffic from momentarily leaking into tunnel",
		"both rules are there before the default route", "node/plan", "TestBuildTables"},
	{"ca2e89f", "show: apply const to right part of pointer", "nothing: no behavior", "", ""},
	{"b4f6b4f", "show: fix show all endpoints output",
		"show all endpoints leads each line with the interface", "cmd/wgnode", "TestShowRealDevices"},
	{"e6888dd", "wg-quick: run PreUp hook after creating interface",
		"PreUp has the link; up says so of a file that may mean the old order", "node/lab/system", "PreUp and the link"},
	{"729242a", "man: set private key in PreUp rather than PostUp",
		"a key that PreUp sets stays", "node/lab/system", "TestPreUpSurvives"},
	{"13f4ac4", "ipc: linux: enforce IFNAMSIZ limit",
		"a name that is too long is called so", "cmd/wgnode", "TestShowLongName"},
	{"0788f90", "ipc: linux: support incremental allowed ips updates",
		"+ and - before a prefix, in files and for set", "cmd/wgnode", "TestSetIncremental"},
	{"a2dbc33", "wg-quick: linux: add 'dev' to 'ip link add' to avoid keyword conflicts",
		"no program reads the name: links are made by netlink", "", ""},
	{"2d6e041", "config: handle strdup failure", "nothing: no behavior", "", ""},
	{"5150cd6", "wg-quick: linux: use smallest mtu, not largest",
		"the smallest; up says so where it matters", "node/lab/system", "MTU by several endpoints"},
	{"780182e", "syncconf: account for psks removed from config file",
		"syncconf and reload take a preshared key back that the file states no more", "cmd/wgnode", "TestSyncconfForgets"},
	{"90deacd", "wg-quick: pass on # comments to {Pre,Post}{Up,Down}",
		"hooks keep what follows a #; up says so where that is no comment of bash's", "node/lab/system", "number sign in a hook"},
	{"d3b40af", "wg-quick: linux: deal with resolvconf migration more gracefully",
		"no prefix for a resolvconf that is a symbolic link", "node/resolver", "TestRecordPrefix"},
	{"0b7d982", "wg-quick: use addconf instead of setconf",
		"the device keeps what PreUp has set and the file does not state", "node/lab/system", "TestPreUpSurvives"},
	{"ac74ed6", "wg-quick: linux: do not unnecessarily set sysctl",
		"src_valid_mark is set only if it is not 1", "node/lab/system", "default route, src_valid_mark set"},
	{"0cbe993", "wg-quick@.service: add deps on wg-quick.target",
		"the unit stands in wg-quick.target, too", "examples", ""},
	{"ede2c48", "config: preserve const correctness", "nothing: no behavior", "", ""},
	{"0a81a17", "syncconf: account for persistent keepalive removed from config file",
		"as for preshared keys", "cmd/wgnode", "TestSyncconfForgets"},
	{"997ffa0", "global: bump copyright", "nothing: no behavior", "", ""},
}

// What the list of upstream's commits calls a proof is there.
func TestUpstreamsCommits(t *testing.T) {
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
