package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/wgnode/wgnode/node/config"
)

// What the errors of the packages below say happened; here is what to type.

// findHints are for a word of the command line for which there is no file.
func findHints(err error) []string {
	if errors.Is(err, fs.ErrPermission) && os.Geteuid() != 0 {
		return []string{"run it as root, or give the path of a file that this user can read"}
	}
	missing, ok := errors.AsType[*config.NotFoundError](err)
	if !ok {
		return nil
	}
	file := filepath.Join(config.Dir, missing.Word+".conf")
	switch {
	case missing.Name != "":
		return []string{fmt.Sprintf("%s is the file of %s: give the name alone", filepath.Join(config.Dir, missing.Word), missing.Name)}
	case len(missing.Tried) > 0:
		return knownConfigs()
	case fileExists(file):
		short := filepath.Join(config.Dir, missing.Word[:15]+".conf")
		return []string{"rename the file: mv " + config.ShellQuote(file) + " " + config.ShellQuote(short)}
	}
	return nil
}

// knownConfigs says which words would do.
func knownConfigs() []string {
	names := slices.Concat(namesIn(config.Dir, ".conf", ""), namesIn(config.Dir, ".toml", ""))
	slices.Sort(names)
	if names = slices.Compact(names); len(names) == 0 {
		return []string{"give the path of a file, such as ./wg0.conf, or put it into " + config.Dir}
	}
	return []string{config.Dir + " has configurations for " + strings.Join(names, ", ")}
}

func fileExists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}
