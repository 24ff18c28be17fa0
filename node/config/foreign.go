package config

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/wgnode/wgnode/node/safefile"
	"github.com/wgnode/wgnode/probe/key"
)

// Configurations of NetworkManager and of systemd-networkd, read as one of ours. Values go
// through the same checks, and faults keep their own file, line and key.

// Foreign is a configuration of another program's.
type Foreign struct {
	Program string // whose it is
	Config  *Config
	Files   []string // that it is from
	// Unsaid is what the files say and Config does not, in their order.
	Unsaid Errors

	id string // what NetworkManager calls it
}

// Release is what to type so that the other program leaves the interface alone.
func (f *Foreign) Release() string {
	if f.Program == "NetworkManager" {
		return "nmcli connection modify " + ShellQuote(f.id) + " autoconnect no && nmcli connection down " + ShellQuote(f.id)
	}
	var quoted []string
	for _, name := range f.Files {
		quoted = append(quoted, ShellQuote(name))
	}
	return "move away " + strings.Join(quoted, " and ") + ", then: ip link delete " + ShellQuote(f.Config.Name) + "; networkctl reload"
}

// ErrNotForeign says that a file is neither NetworkManager's nor systemd-networkd's.
var ErrNotForeign = errors.New("is not a WireGuard configuration of NetworkManager or systemd-networkd")

// IsForeign reports whether a path is that of a file of another program's, by its name, or,
// as NetworkManager's may have any, by its folder.
func IsForeign(path string) bool {
	return slices.Contains([]string{".nmconnection", ".netdev", ".network"}, filepath.Ext(path)) ||
		filepath.Base(filepath.Dir(path)) == "system-connections"
}

// ReadForeign reads such a file. It may be anybody's, and nothing of it is to be done, unless
// it is to be resolved: then it must be trusted as that of [Read]. With a .netdev come the
// .network files for its interface, from the same folder.
func ReadForeign(path string, resolve bool) (*Foreign, error) {
	f := &foreign{p: parser{cfg: &Config{inspected: !resolve}}}
	if resolve {
		f.p.cfg.owners = safefile.Mine()
	}
	file, err := f.open(path)
	if err != nil {
		return nil, err
	}
	f.p.cfg.Path = path
	switch {
	case file.first("connection", "type") == "wireguard":
		f.Program, f.id = "NetworkManager", file.first("connection", "id")
		f.keyfile(file)
	case file.first("NetDev", "Kind") == "wireguard":
		f.Program = "systemd-networkd"
		f.netdev(file)
	default:
		err := fmt.Errorf("%s %w", path, ErrNotForeign)
		if filepath.Ext(path) == ".network" {
			err = fmt.Errorf("%s: %w alone: its .netdev is", path, ErrNotForeign)
		}
		return nil, err
	}
	return f.result()
}

// foreign is one run of ReadForeign.
type foreign struct {
	Foreign
	p     parser
	names map[key.Public]string
}

func (f *foreign) open(path string) (*iniFile, error) {
	open := safefile.OpenAny
	if owners := f.p.cfg.owners; owners != nil {
		open = func(path string) (*os.File, error) {
			r, _, err := openTrusted(path, owners)
			return r, err
		}
	}
	r, err := open(path)
	if err != nil {
		return nil, err
	}
	defer r.Close() // nothing was written: its error says nothing
	text, err := readAll(r, path)
	if err != nil {
		return nil, err
	}
	f.Files = append(f.Files, path)
	if f.names == nil {
		f.names = PeerNames(text)
	}
	file := parseINI(path, text)
	f.p.cfg.comments += file.comments
	return file, nil
}

func (f *foreign) result() (*Foreign, error) {
	c := f.p.cfg
	if !ValidName(c.Name) {
		f.p.lineNo = 0
		f.p.fail("", "it does not say what its interface is called")
	}
	for i := range c.Peers {
		c.Peers[i].Name = f.names[c.Peers[i].PublicKey]
	}
	f.p.warnOverlaps()
	c.comments = max(0, c.comments-len(f.names))
	if len(f.p.errs) > 0 {
		return nil, f.p.errs
	}
	if c.holdsSecret() {
		c.warnings = append(c.warnings, warnIfOpen(f.Files[0])...)
	}
	f.Foreign.Config = c
	return &f.Foreign, nil
}

// take gives an entry's value to a key of ours, as a .toml spells it, in a table.
func (f *foreign) take(e *iniEntry, table, name, value string) {
	f.p.cfg.Path, f.p.lineNo = e.file, e.line
	t := tableNamed(table)
	k := t.key(name)
	f.p.section = inInterface
	if t.peers {
		f.p.section = inPeer
	}
	keep := k.name
	if k.conf != "" {
		keep = k.conf
	}
	f.p.remember(keep)
	set := k.set
	if set == nil {
		set = confSetter(k.conf)
	}
	if err := set(&f.p, value); err != nil {
		f.p.fail(e.key, "%v", err)
	}
}

// takeAll is take for a list.
func (f *foreign) takeAll(e *iniEntry, table, name string, values []string) {
	for _, v := range values {
		f.take(e, table, name, v)
	}
}

// unsaid notes what has no equivalent, or not all of one.
func (f *foreign) unsaid(e *iniEntry, format string, args ...any) {
	f.Unsaid = append(f.Unsaid, &Error{e.file, e.line, e.key, fmt.Sprintf(format, args...)})
}

const noEquivalent = "has no equivalent"

// servers takes name servers, without the names that their certificates are to have.
func (f *foreign) servers(e *iniEntry, values []string) {
	for _, v := range values {
		v, name, _ := strings.Cut(v, "#")
		if name != "" {
			f.unsaid(e, "the name %s of a server's certificate %s", quote(name), noEquivalent)
		}
		f.take(e, "interface", "dns", v)
	}
}

// domains takes those to search. One that begins with ~ is only for choosing a server.
func (f *foreign) domains(e *iniEntry, values []string) {
	for _, v := range values {
		if strings.HasPrefix(v, "~") {
			f.unsaid(e, "%s is for choosing a name server, and not to be searched: %s", quote(v), noEquivalent)
			continue
		}
		f.take(e, "interface", "search", v)
	}
}

// iniFile is a file of sections and entries. What others say on a line of their own behind
// # or ; is a comment; behind a value it is part of it.
type iniFile struct {
	path     string
	sections []iniSection
	comments int
}

type iniSection struct {
	name    string
	entries []iniEntry
	at      iniEntry // the header, as an entry
}

type iniEntry struct {
	file       string
	line       int
	key, value string
}

func parseINI(path, text string) *iniFile {
	f := &iniFile{path: path}
	lineNo := 0
	var open *iniEntry // goes on in the next line
	for line := range strings.Lines(text) {
		lineNo++
		line = trim(line)
		switch {
		case line != "" && (line[0] == '#' || line[0] == ';'):
			f.comments++
			continue
		case open != nil:
			open.value += " " + trim(strings.TrimSuffix(line, `\`))
		case line == "":
			continue
		case line[0] == '[':
			name := strings.TrimSuffix(line[1:], "]")
			f.sections = append(f.sections, iniSection{name: name, at: iniEntry{path, lineNo, "[" + Redact(name) + "]", ""}})
			continue
		case len(f.sections) > 0:
			name, value, _ := strings.Cut(line, "=")
			if trim(value) == "" {
				continue
			}
			s := &f.sections[len(f.sections)-1]
			s.entries = append(s.entries, iniEntry{path, lineNo, trim(name), trim(strings.TrimSuffix(value, `\`))})
			open = &s.entries[len(s.entries)-1]
		}
		if !strings.HasSuffix(line, `\`) {
			open = nil
		}
	}
	return f
}

// first is the value of a key, "" if there is none.
func (f *iniFile) first(section, key string) string {
	for i := range f.sections {
		for _, e := range f.sections[i].entries {
			if f.sections[i].name == section && e.key == key {
				return e.value
			}
		}
	}
	return ""
}

// beside are the files in the folder of another one that a pattern matches, in order.
func beside(path, pattern string) []string {
	files, err := filepath.Glob(filepath.Join(filepath.Dir(path), pattern))
	if err != nil {
		return nil // the folder has such a name
	}
	return slices.DeleteFunc(files, func(name string) bool {
		_, err := filepath.EvalSymlinks(name)
		return errors.Is(err, fs.ErrNotExist)
	})
}
