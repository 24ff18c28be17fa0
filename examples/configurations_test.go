//go:build linux

package examples

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/wgnode/wgnode/node/config"
	"github.com/wgnode/wgnode/probe/key"
)

// placeholder is where a public key belongs, and names its host.
var placeholder = regexp.MustCompile(fmt.Sprintf(publicKey, "(.*)"))

// With keys in it, each configuration is one that wgnode takes without a word.
// The keys that it wants are those of other hosts of the folder. The readers are
// led to all of it.
func TestConfigurations(t *testing.T) {
	readme := read(t, "README.md")
	var paths []string
	for _, pattern := range []string{"*/*.conf", "*/*.toml"} {
		found, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		paths = append(paths, found...)
	}
	paths = slices.DeleteFunc(paths, func(p string) bool { return filepath.Dir(p) == "systemd" })
	if len(paths) == 0 {
		t.Fatal("no configurations")
	}
	for _, path := range paths {
		t.Run(path, func(t *testing.T) {
			folder, file := filepath.Split(path)
			folder = filepath.Clean(folder)
			if link := fmt.Sprintf("[%s](%s)", folder, folder); !strings.Contains(readme, link) {
				t.Errorf("README.md has no %s", link)
			}
			if link := fmt.Sprintf("[%s](%s)", file, file); !strings.Contains(read(t, filepath.Join(folder, "README.md")), link) {
				t.Errorf("%s/README.md has no %s", folder, link)
			}
			text := strings.Replace(read(t, path), privateKey, key.GeneratePrivate().Base64(), 1)
			for _, match := range placeholder.FindAllStringSubmatch(text, -1) {
				if others, err := filepath.Glob(filepath.Join(folder, match[1]+".*")); err != nil || len(others) != 1 || others[0] == path {
					t.Errorf("%s is for the key of %v, %v", match[0], others, err)
				}
				text = strings.Replace(text, match[0], key.GeneratePrivate().Public().Base64(), 1)
			}
			parse := config.Parse
			if filepath.Ext(path) == ".toml" {
				parse = config.ParseTOML
			}
			cfg, err := parse(bytes.NewBufferString(text), "wg0"+filepath.Ext(path))
			if err != nil {
				t.Fatal(err)
			}
			if warnings := cfg.Warnings(); len(warnings) > 0 {
				t.Error(warnings)
			}
			for i := range cfg.Peers {
				if cfg.Peers[i].Name == "" {
					t.Errorf("%s has no name", &cfg.Peers[i])
				}
			}
		})
	}
}

func read(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
