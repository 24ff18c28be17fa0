package naming

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/wgnode/wgnode/cmd/internal/cli"
	"github.com/wgnode/wgnode/node/config"
	"github.com/wgnode/wgnode/node/safefile"
)

// FindConfig returns the absolute path of the configuration that args name, or
// of the one that needs no naming.
func FindConfig(args []string) (string, error) {
	arg := ""
	if len(args) > 0 {
		arg = args[0]
	}
	path, err := config.Find(arg)
	if err != nil {
		return "", cli.WithHint(err, findHints(err)...)
	}
	return filepath.Abs(path)
}

// LoadConfig is config.Load until ctx ends.
func LoadConfig(ctx context.Context, path string) (*config.Config, error) {
	cfg, err := config.Read(path)
	if err == nil {
		err = cfg.Resolve(ctx)
	}
	return cfg, cli.WithHint(err, KeyHints(err)...)
}

// KeyHints says how the keys are made that a configuration lacks, as an example
// does that was not edited yet.
func KeyHints(err error) []string {
	var faults config.Errors
	if _, foreign := errors.AsType[*safefile.Untrusted](err); foreign || !errors.As(err, &faults) {
		return nil // where there is a key that others could change, another one is no cure
	}
	at := func(names ...string) bool {
		return slices.ContainsFunc(faults, func(e *config.Error) bool { return slices.Contains(names, e.Key) })
	}
	var hints []string
	if at("PrivateKey", "private_key", "private_key_file") {
		hints = append(hints, "`wgnode genkey` makes a private key; it stays on this host")
	}
	if at("PublicKey", "public_key") {
		hints = append(hints, "a peer's public key is what `wgnode pubkey` on its host prints when given its private key")
	}
	return hints
}

// findHints are for a word of the command line for which there is no file.
func findHints(err error) []string {
	if errors.Is(err, fs.ErrPermission) && os.Geteuid() != 0 {
		return []string{"without root, give the path of a file that this user can read"}
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
	}
	return rename(file, filepath.Join(config.Dir, missing.Word[:config.MaxName]+".conf"))
}

// rename says how to give a file another name, if it is there.
func rename(file, as string) []string {
	if !cli.FileExists(file) {
		return nil
	}
	return []string{"rename the file: mv " + config.ShellQuote(file) + " " + config.ShellQuote(as)}
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
