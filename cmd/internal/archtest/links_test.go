package archtest

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

var (
	// link is the target of a link or of an image.
	link = regexp.MustCompile(`\]\(([^)\s]+)\)`)
	// fence begins and ends a block of code, span is code within a line: neither has links.
	fence = regexp.MustCompile("(?ms)^[ \t]*```.*?^[ \t]*```[ \t]*$")
	span  = regexp.MustCompile("`[^`\n]*`")
	title = regexp.MustCompile(`(?m)^#+ +(.*?) *#*$`)
	// unsaid are the characters that a forge leaves out of an anchor.
	unsaid = regexp.MustCompile(`[^\p{L}\p{N}_ -]`)
)

// anchors are the anchors of a page's headings, as forges make them.
func anchors(text string) map[string]bool {
	found := make(map[string]bool)
	for _, m := range title.FindAllStringSubmatch(fence.ReplaceAllString(text, ""), -1) {
		heading := link.ReplaceAllString(strings.ReplaceAll(m[1], "`", ""), "]")
		found[strings.ReplaceAll(unsaid.ReplaceAllString(strings.ToLower(heading), ""), " ", "-")] = true
	}
	return found
}

// pages are the texts of all pages of the repository, by path from its top.
func pages(t *testing.T) map[string]string {
	t.Helper()
	found := make(map[string]string)
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && path != root && (d.Name() == "bin" || strings.HasPrefix(d.Name(), ".")):
			return fs.SkipDir
		case d.IsDir() || filepath.Ext(path) != ".md":
			return nil
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		name, err := filepath.Rel(root, path)
		found[filepath.ToSlash(name)] = string(text)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// Each relative link of a page leads to a file that is there, and its anchor to a heading.
func TestLinks(t *testing.T) {
	all := pages(t)
	if len(all) < 20 {
		t.Fatalf("only %d pages were found", len(all))
	}
	for name, text := range all {
		for _, m := range link.FindAllStringSubmatch(span.ReplaceAllString(fence.ReplaceAllString(text, ""), ""), -1) {
			target, anchor, _ := strings.Cut(m[1], "#")
			if strings.Contains(target, ":") { // another site
				continue
			}
			to := name
			if target != "" {
				to = filepath.ToSlash(filepath.Join(filepath.Dir(name), target))
			}
			if _, err := os.Stat(filepath.Join(root, to)); err != nil {
				t.Errorf("%s links to %s, which does not exist", name, m[1])
				continue
			}
			if page, ok := all[to]; anchor != "" && (!ok || !anchors(page)[anchor]) {
				t.Errorf("%s links to %s, and %s has no such heading", name, m[1], to)
			}
		}
	}
}

// A page of docs is linked to by another page.
func TestEveryPageIsLinked(t *testing.T) {
	all := pages(t)
	linked := map[string]bool{}
	for name, text := range all {
		for _, m := range link.FindAllStringSubmatch(text, -1) {
			target, _, _ := strings.Cut(m[1], "#")
			if to := filepath.ToSlash(filepath.Join(filepath.Dir(name), target)); target != "" && to != name {
				linked[to] = true
			}
		}
	}
	for name := range all {
		if strings.HasPrefix(name, "docs/") && !linked[name] {
			t.Errorf("no page links to %s: add it to docs/README.md", name)
		}
	}
}

func TestAnchors(t *testing.T) {
	got := anchors("# What `wgnode` needs, now\n```\n# not one\n```\n## A_b - (c)\n")
	for _, want := range []string{"what-wgnode-needs-now", "a_b---c"} {
		if !got[want] {
			t.Errorf("%s is not among %v", want, got)
		}
	}
	if len(got) != 2 {
		t.Errorf("%v", got)
	}
}

// Tests that CONTRIBUTING.md names are there: it says which one tells what was forgotten.
func TestNamedTestsExist(t *testing.T) {
	text, err := os.ReadFile(filepath.Join(root, "CONTRIBUTING.md"))
	if err != nil {
		t.Fatal(err)
	}
	there := make(map[string]bool)
	for _, f := range theSource(t).files {
		for _, m := range regexp.MustCompile(`(?m)^func (Test\w+)\(`).FindAllSubmatch(f.text, -1) {
			there[string(m[1])] = true
		}
	}
	named := regexp.MustCompile("`(Test[A-Za-z]+)`").FindAllStringSubmatch(string(text), -1)
	if len(named) < 20 {
		t.Errorf("only %d names of tests were found", len(named))
	}
	for _, m := range named {
		if !there[m[1]] {
			t.Errorf("CONTRIBUTING.md names %s, which does not exist", m[1])
		}
	}
}
