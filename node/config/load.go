package config

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
)

// Dir is where wg-quick keeps its files.
const Dir = "/etc/wireguard"

// interfaceName is what wg-quick takes for the name of an interface. 15 bytes
// are what the kernel allows (IFNAMSIZ without the final zero).
var interfaceName = regexp.MustCompile(`^[a-zA-Z0-9_=+.-]{1,15}$`)

// ValidName reports whether name can be the name of an interface.
func ValidName(name string) bool {
	return interfaceName.MatchString(name) && name != "." && name != ".." // as the kernel's dev_valid_name
}

// ErrTOML is returned for a file in wgnode's own format.
var ErrTOML = errors.New("TOML configuration is not supported yet")

// Load reads the file at path, whose name must be that of an interface and
// ".conf". Its errors name the file; see [Parse] for those about its content.
// Whether others may read the file is among the warnings.
func Load(path string) (*Config, error) {
	if strings.HasSuffix(path, ".toml") {
		return nil, fmt.Errorf("%s: %w", path, ErrTOML)
	}
	name, ok := strings.CutSuffix(filepath.Base(path), ".conf")
	if !ok || !ValidName(name) {
		return nil, fmt.Errorf("%s: the file must be named after the interface: at most 15 letters, digits and _=+.-, then .conf", path)
	}
	resolved, err := filepath.EvalSymlinks(path)
	if err != nil {
		return nil, fmt.Errorf("load configuration: %w", err)
	}
	f, err := os.Open(resolved)
	if err != nil {
		return nil, fmt.Errorf("load configuration: %w", err)
	}
	defer f.Close() // nothing was written: its error says nothing

	c, err := Parse(f, resolved)
	if err != nil {
		return nil, err
	}
	c.Name = name // a link may have another name than the file behind it
	open, err := WorldAccessible(f)
	if err != nil {
		return nil, fmt.Errorf("load configuration: %w", err)
	}
	if open {
		c.warnings = append([]string{fmt.Sprintf("`%s' is world accessible", resolved)}, c.warnings...)
	}
	return c, nil
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

// A Finder turns what was given on the command line into the path of a file.
type Finder struct {
	Dir string // where NAME means NAME.conf
	Cwd string // where wgnode.toml is looked for
}

// Find is [Finder.Find] for [Dir] and the current folder.
func Find(arg string) (path string, err error) {
	return Finder{Dir: Dir, Cwd: "."}.Find(arg)
}

// Find returns the path of an existing file. The name of an interface means
// its file in Dir, also if it looks like a file name, as with wg-quick; other
// words are paths, and so is what ends in .toml. Without a word it is
// wgnode.toml in Cwd, or else the only .conf in Dir.
func (f Finder) Find(arg string) (path string, err error) {
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
	if !errors.Is(err, fs.ErrNotExist) {
		return "", fmt.Errorf("find configuration: %w", err)
	}
	if isName && exists(filepath.Join(f.Cwd, arg)) {
		return "", fmt.Errorf("%s does not exist; for the file in the current folder write ./%s", path, arg)
	}
	return "", fmt.Errorf("%s does not exist", path)
}

// only finds the file that needs no naming.
func (f Finder) only() (string, error) {
	if path := filepath.Join(f.Cwd, "wgnode.toml"); exists(path) {
		return path, nil
	}
	entries, err := os.ReadDir(f.Dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return "", fmt.Errorf("find configuration: %w", err)
	}
	var names []string
	for _, e := range entries {
		if name, ok := strings.CutSuffix(e.Name(), ".conf"); ok && ValidName(name) && !e.IsDir() {
			names = append(names, name)
		}
	}
	switch len(names) {
	case 0:
		return "", fmt.Errorf("no configuration: there is no wgnode.toml in the current folder and no .conf in %s", f.Dir)
	case 1:
		return filepath.Join(f.Dir, names[0]+".conf"), nil
	}
	return "", fmt.Errorf("which configuration? %s holds %s", f.Dir, strings.Join(names, ", "))
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}
