package config

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/wgnode/wgnode/node/safefile"
)

// Dir is where wg-quick keeps its files.
const Dir = "/etc/wireguard"

// MaxName is how many bytes the name of an interface may have (the kernel's
// IFNAMSIZ without the final zero).
const MaxName = 15

// interfaceName is what wg-quick takes for the name of an interface.
var interfaceName = regexp.MustCompile(`^[a-zA-Z0-9_=+.-]{1,15}$`)

// ValidName reports whether name can be the name of an interface.
func ValidName(name string) bool {
	return interfaceName.MatchString(name) && name != "." && name != ".." // as the kernel's dev_valid_name
}

// Load is [Read] and [Config.Resolve]: the whole configuration. It waits for
// the commands that print keys, if there are some.
func Load(path string) (*Config, error) {
	c, err := Read(path)
	if err != nil {
		return nil, err
	}
	if err := c.Resolve(context.Background()); err != nil {
		return nil, err
	}
	return c, nil
}

// Read reads the file at path and nothing that it points at. The name is that
// of an interface and ".conf", or any and ".toml" for wgnode's own format. Its
// errors name the file; see [Parse] and [ParseTOML] for those about its
// content. Whether others may read secrets in the file is among the warnings.
//
// As root the error is a [safefile.Untrusted] if users other than
// [safefile.Mine] could have written the file, or a script that is one of its
// hooks. For other users that is among the warnings.
func Read(path string) (*Config, error) { return ReadTrusting(path, safefile.Mine()) }

// read reads the file f, which path leads to.
func read(path string, f *os.File) (*Config, error) {
	text, err := readAll(f, f.Name())
	if err != nil {
		return nil, err
	}
	base := filepath.Base(path)
	digest := sha256.Sum256([]byte(text))
	var c *Config
	isTOML := strings.HasSuffix(base, ".toml")
	if isTOML {
		c, err = parseTOML(text, f.Name(), base, false)
	} else {
		c, err = Parse(strings.NewReader(text), f.Name())
	}
	if err != nil {
		return nil, err
	}
	c.digest = digest
	if !isTOML {
		c.Name = strings.TrimSuffix(base, ".conf") // a link may have another name than the file behind it
	}
	if !isTOML || c.holdsSecret() {
		secret, warnings, err := secretIn(f)
		if err != nil {
			return nil, fmt.Errorf("load configuration: %w", err)
		}
		c.secretFiles, c.warnings = append(c.secretFiles, secret), append(warnings, c.warnings...)
	}
	return c, nil
}

// Reread is [Read] of the file that c was read from, as it is now. If it says what it
// said then, that is c itself: a configuration of thousands of peers takes a while to be
// read.
func (c *Config) Reread() (*Config, error) {
	f, _, err := openTrusted(c.Path, c.trusted())
	if err != nil {
		return nil, fmt.Errorf("load configuration: %w", err)
	}
	text, err := readAll(f, f.Name())
	if err := errors.Join(err, f.Close()); err != nil {
		return nil, err
	}
	if sha256.Sum256([]byte(text)) == c.digest {
		return c, nil
	}
	return Read(c.Path)
}

// checkName refuses paths whose names say neither the format nor the interface.
func checkName(path string) error {
	base := filepath.Base(path)
	name := strings.TrimSuffix(base, ".conf")
	if !strings.HasSuffix(base, ".toml") && (name == base || !ValidName(name)) {
		return fmt.Errorf("%s: the file must be named after the interface: at most 15 letters, digits and _=+.-, then .conf", path)
	}
	return nil
}

// holdsSecret says whether the file itself has a key in it that nobody else
// should know.
func (c *Config) holdsSecret() bool {
	i := &c.Interface
	return !i.PrivateKey.IsZero() && i.PrivateKeyFrom == Source{} ||
		slices.ContainsFunc(c.Peers, func(p Peer) bool { return !p.PresharedKey.IsZero() && p.PresharedKeyFrom == Source{} }) ||
		slices.ContainsFunc(slices.Concat(c.Services.SOCKS5, c.Services.HTTP),
			func(p Proxy) bool { return p.Password != "" && p.PasswordFrom == Source{} }) ||
		c.Telemetry.Headers != "" && c.Telemetry.HeadersFrom == Source{}
}

// WorldAccessible is wg-quick's test: others have some right to the file and
// the same right to its folder. The name of f is without symbolic links.
func WorldAccessible(f *os.File) (bool, error) {
	file, err := f.Stat()
	if err != nil {
		return false, err
	}
	folder, err := os.Stat(filepath.Dir(f.Name()))
	if err != nil {
		return false, err
	}
	return file.Mode()&folder.Mode()&0o007 != 0, nil
}

// finder turns what was given on the command line into the path of a file.
type finder struct {
	Dir string // where NAME means NAME.conf
	Cwd string // where wgnode.toml is looked for
}

// Find returns the path of an existing file. The name of an interface means NAME.conf
// in [Dir], as with wg-quick, and where there is none NAME.toml. One that ends in
// .conf, for which there is none, is that of a file in the current folder. Other words
// are paths, and so is what ends in .toml. Without a word it is wgnode.toml in the
// current folder, or else the only .conf in Dir.
func Find(arg string) (path string, err error) {
	return finder{Dir: Dir, Cwd: "."}.find(arg)
}

// find is [Find] in these folders.
func (f finder) find(arg string) (path string, err error) {
	if arg == "" {
		return f.only()
	}
	path = arg
	isName := ValidName(arg) && !strings.HasSuffix(arg, ".toml")
	if isName {
		path = filepath.Join(f.Dir, arg+".conf")
	}
	_, err = os.Stat(path)
	if err == nil {
		return path, nil
	}
	// wg0.conf is a name for wg-quick, of an interface that nobody has. Nobody loses
	// by it that it is the file here where there is no such interface.
	if here := filepath.Join(f.Cwd, arg); isName && strings.HasSuffix(arg, ".conf") && exists(here) {
		return here, nil
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return "", fmt.Errorf("find configuration: %w", err)
	}
	if own := filepath.Join(f.Dir, arg+".toml"); isName && exists(own) {
		return own, nil
	}
	return "", f.notFound(arg, path, isName)
}

// NotFoundError says that there is no file for a word of the command line.
type NotFoundError struct {
	Word string
	// Tried are the files that the word could have meant, none if it can mean none.
	Tried []string
	// Name is that of an interface whose file in [Dir] has the name Word: it
	// is called by Name alone there. "" if there is no such file.
	Name string
}

func (e *NotFoundError) Error() string {
	switch len(e.Tried) {
	case 0:
		return fmt.Sprintf("%q: name too long: interface names have at most 15 characters", e.Word)
	case 1:
		return fmt.Sprintf("%s does not exist", e.Tried[0])
	}
	return fmt.Sprintf("no configuration for %s: neither %s nor %s exists", e.Word, e.Tried[0], filepath.Base(e.Tried[1]))
}

// Unwrap makes it an error of the file system, too.
func (e *NotFoundError) Unwrap() error { return fs.ErrNotExist }

func (f finder) notFound(word, path string, isName bool) error {
	e := &NotFoundError{Word: word, Tried: []string{path}}
	stem, isConf := strings.CutSuffix(word, ".conf")
	switch {
	case isName && isConf: // that it might be the name of an interface surprises everybody
		e.Tried[0] = filepath.Join(f.Cwd, word)
	case isName:
		e.Tried = append(e.Tried, filepath.Join(f.Dir, word+".toml"))
	case !strings.ContainsAny(word, "/.") && len(word) > MaxName:
		e.Tried = nil
	}
	stem = strings.TrimSuffix(stem, ".toml")
	if stem != word && ValidName(stem) && exists(filepath.Join(f.Dir, word)) {
		e.Name = stem
	}
	return e
}

// only finds the file that needs no naming.
func (f finder) only() (string, error) {
	if path := filepath.Join(f.Cwd, "wgnode.toml"); exists(path) {
		return path, nil
	}
	entries, err := os.ReadDir(f.Dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return "", fmt.Errorf("find configuration: %w", err)
	}
	var confs, all []string
	for _, e := range entries {
		ext := filepath.Ext(e.Name())
		if e.IsDir() || ext != ".conf" && ext != ".toml" || !ValidName(strings.TrimSuffix(e.Name(), ext)) {
			continue
		}
		all = append(all, e.Name())
		if ext == ".conf" {
			confs = append(confs, e.Name())
		}
	}
	switch {
	case len(confs) == 1:
		return filepath.Join(f.Dir, confs[0]), nil
	case len(all) == 0:
		return "", fmt.Errorf("no configuration found: no wgnode.toml in this folder and no .conf in %s", f.Dir)
	}
	return "", &NotChosenError{f.Dir, all}
}

// NotChosenError: it takes a word to say which file is meant.
type NotChosenError struct {
	Dir   string
	Files []string // in alphabetical order, at least one
}

func (e *NotChosenError) Error() string {
	return fmt.Sprintf("no configuration chosen: %s holds %s", e.Dir, strings.Join(e.Files, ", "))
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}
