package main

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"go.yaml.in/yaml/v3"
)

var sources = time.Unix(1_700_000_000, 0).UTC()

// tree writes two files as builders with different habits have them.
func tree(t *testing.T, mask os.FileMode, at time.Time) string {
	t.Helper()
	folder := filepath.Join(t.TempDir(), "wgnode_1.0")
	for _, name := range []string{"bin/wgnode", "share/doc/copyright"} {
		file := filepath.Join(folder, name)
		mode := os.FileMode(0o644)
		if name == "bin/wgnode" {
			mode = 0o755
		}
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(name), mode&^mask); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(file, at, at); err != nil {
			t.Fatal(err)
		}
	}
	return folder
}

func read(t *testing.T, name string) []byte {
	t.Helper()
	data, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func TestArchivesDependOnContentsAlone(t *testing.T) {
	for _, suffix := range []string{".tar.gz", ".zip"} {
		var files [2][]byte
		for n, folder := range []string{tree(t, 0, time.Now()), tree(t, 0o077, sources.Add(time.Hour))} {
			file := filepath.Join(t.TempDir(), "archive"+suffix)
			if err := archive(folder, file, sources); err != nil {
				t.Fatal(err)
			}
			files[n] = read(t, file)
		}
		if !bytes.Equal(files[0], files[1]) {
			t.Errorf("%s: the same contents give other bytes", suffix)
		}
		if suffix == ".zip" {
			zr, err := zip.NewReader(bytes.NewReader(files[0]), int64(len(files[0])))
			if err != nil {
				t.Fatal(err)
			}
			if f, err := zr.Open("wgnode_1.0/bin/wgnode"); err != nil {
				t.Error(err)
			} else if info, err := f.Stat(); err != nil || info.Mode().Perm() != 0o755 {
				t.Errorf("the program has mode %v, %v", info.Mode(), err)
			}
		}
	}
}

func TestArchiveRefusesLinks(t *testing.T) {
	folder := tree(t, 0, sources)
	if err := os.Symlink("bin", filepath.Join(folder, "link")); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "a.tar.gz")
	if err := archive(folder, file, sources); err == nil {
		t.Error("a link is archived")
	}
	if _, err := os.Stat(file); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a file is left behind: %v", err)
	}
}

// TestImage follows an image from its list to the program, as docker load and an OCI reader
// do; .ci/packaging has skopeo and umoci read one.
func TestImage(t *testing.T) {
	docs := t.TempDir()
	for _, name := range []string{"copyright", "third-party-licenses", "program"} {
		if err := os.WriteFile(filepath.Join(docs, name), []byte(name), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	file := filepath.Join(docs, "image.tar")
	i := image{program: filepath.Join(docs, "program"), docs: docs, version: "1.0+2.gabc", revision: "abc", platform: "arm/v6", at: sources}
	if err := i.write(file); err != nil {
		t.Fatal(err)
	}
	files := make(map[string][]byte)
	for tr := tar.NewReader(bytes.NewReader(read(t, file))); ; {
		h, err := tr.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		data, err := io.ReadAll(tr)
		if err != nil {
			t.Fatal(err)
		}
		files[h.Name] = data
		if rest, ok := strings.CutPrefix(h.Name, "blobs/sha256/"); ok && rest != "" && blobPath(digest(data)) != h.Name {
			t.Errorf("%s does not have the hash of its name", h.Name)
		}
	}
	var list []loaded
	var top index
	var m manifest
	var c config
	decode(t, files["manifest.json"], &list)
	decode(t, files["index.json"], &top)
	decode(t, files[blobPath(top.Manifests[0].Digest)], &m)
	decode(t, files[blobPath(m.Config.Digest)], &c)
	if list[0].RepoTags[0] != "wgnode:1.0-2.gabc" || list[0].Config != blobPath(m.Config.Digest) {
		t.Errorf("docker is told %+v", list[0])
	}
	if c.Architecture != "arm" || c.Variant != "v6" || c.OS != "linux" || c.Config.User != "65532:65532" {
		t.Errorf("the image is for %+v", c)
	}
	if len(c.Rootfs.DiffIDs) != len(m.Layers) || len(list[0].Layers) != len(m.Layers) {
		t.Errorf("%d layers, %d of them known, %d told to docker", len(m.Layers), len(c.Rootfs.DiffIDs), len(list[0].Layers))
	}
}

func decode(t *testing.T, data []byte, v any) {
	t.Helper()
	if err := json.Unmarshal(data, v); err != nil {
		t.Fatal(err)
	}
}

// TestFill makes a release of empty archives, and wants each template to be filled in.
func TestFill(t *testing.T) {
	const templates = "../templates"
	folder := t.TempDir()
	for _, name := range []string{
		"linux_amd64.tar.gz", "linux_arm64.tar.gz", "linux_riscv64.tar.gz",
		"darwin_amd64.tar.gz", "darwin_arm64.tar.gz", "windows_amd64.zip", "windows_arm64.zip",
	} {
		if err := os.WriteFile(filepath.Join(folder, "wgnode_1.0_"+name), []byte(name), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := fill(templates, folder, "v1.0"); err != nil {
		t.Fatal(err)
	}
	names, err := filepath.Glob(templates + "/*.tmpl")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		name = strings.TrimSuffix(filepath.Base(name), ".tmpl")
		text := string(read(t, filepath.Join(folder, name)))
		if !strings.Contains(text, "1.0") || strings.Contains(text, "{{") {
			t.Errorf("%s is not filled in:\n%s", name, text)
		}
	}
	wantWinget(t, folder)
	const want = "https://github.com/wgnode/wgnode/releases/download/v1.0/wgnode_1.0_darwin_arm64.tar.gz"
	if text := string(read(t, filepath.Join(folder, "wgnode.rb"))); !strings.Contains(text, want) {
		t.Errorf("the formula does not name %s:\n%s", want, text)
	}
}

// wantWinget looks at what the schemas of winget's manifests demand.
func wantWinget(t *testing.T, folder string) {
	t.Helper()
	hash := regexp.MustCompile("^[0-9A-F]{64}$")
	for kind, keys := range map[string][]string{
		"":              {"DefaultLocale"},
		".installer":    {"Installers", "InstallerType", "NestedInstallerType"},
		".locale.en-US": {"PackageLocale", "Publisher", "PackageName", "License", "ShortDescription"},
	} {
		var m map[string]any
		name := "wgnode.wgnode" + kind + ".yaml"
		if err := yaml.Unmarshal(read(t, filepath.Join(folder, name)), &m); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		for _, key := range append(keys, "PackageIdentifier", "PackageVersion", "ManifestType", "ManifestVersion") {
			if m[key] == nil {
				t.Errorf("%s has no %s", name, key)
			}
		}
		if version, ok := m["PackageVersion"].(string); !ok || version != "1.0" {
			t.Errorf("%s is of version %v", name, m["PackageVersion"])
		}
		installers, _ := m["Installers"].([]any)
		for _, i := range installers {
			if sum, _ := i.(map[string]any)["InstallerSha256"].(string); !hash.MatchString(sum) {
				t.Errorf("%s has an installer with the hash %q", name, sum)
			}
		}
	}
}

// TestFillLeavesOut wants nothing that names an archive that is not published.
func TestFillLeavesOut(t *testing.T) {
	folder := t.TempDir()
	if err := fill("../templates", folder, "v1.0"); err != nil {
		t.Fatal(err)
	}
	if names, err := os.ReadDir(folder); err != nil || len(names) > 0 {
		t.Errorf("without archives there are %v, %v", names, err)
	}
}
