package config

import (
	"fmt"
	"io/fs"
	"os"
	"path"
	"strconv"
	"strings"
)

// namedTables are the names that need no file.
var namedTables = map[string]Table{"auto": TableAuto, "": TableAuto, "off": TableOff, "default": 253, "main": 254, "local": 255}

func (p *parser) setTable(v string) error {
	i := &p.cfg.Interface
	i.TableName = ""
	if t, ok := namedTables[strings.ToLower(v)]; ok {
		if i.Table = t; t > 0 {
			i.TableName = strings.ToLower(v)
		}
		return nil
	}
	if n, err := parseTableNumber(v); err == nil && n > 0 {
		i.Table = Table(n)
		return nil
	}
	n, ok := numberOfTable(os.DirFS("/"), v)
	if !ok || n == 0 {
		return fmt.Errorf("%s is neither auto nor off, nor the number of a table, nor a name in /etc/iproute2/rt_tables or rt_tables.d", quote(v))
	}
	i.Table, i.TableName = Table(n), v
	return nil
}

// parseTableNumber reads a number as ip does: decimal, 0x hexadecimal, or octal
// with a zero in front.
func parseTableNumber(s string) (uint32, error) {
	if octal, ok := strings.CutPrefix(s, "0"); ok && octal != "" && strings.Trim(octal, "01234567") == "" {
		n, err := strconv.ParseUint(octal, 8, 32)
		return uint32(n), err
	}
	return parseNumber(s)
}

// Where iproute2 keeps the names of tables: what the administrator says, and what
// came with the program, which has moved from one folder to another.
const etcTables = "etc/iproute2"

var shippedTables = []string{"usr/share/iproute2", "usr/lib/iproute2"}

// numberOfTable returns the number of the table that ip(8) knows by a name. The file
// rt_tables in etc hides the shipped ones, and so does each NAME.conf in
// etc/iproute2/rt_tables.d those of the same name.
func numberOfTable(root fs.FS, name string) (number uint32, ok bool) {
	n := tableNames{root: root, name: name}
	if !n.read(path.Join(etcTables, "rt_tables")) {
		for _, dir := range shippedTables {
			if n.read(path.Join(dir, "rt_tables")) {
				break
			}
		}
	}
	for _, dir := range shippedTables {
		n.readDir(path.Join(dir, "rt_tables.d"), path.Join(etcTables, "rt_tables.d"))
	}
	n.readDir(path.Join(etcTables, "rt_tables.d"), "")
	return n.number, n.found
}

// tableNames looks for one name.
type tableNames struct {
	root   fs.FS
	name   string
	number uint32
	found  bool
}

// readDir reads the files NAME.conf of a folder, but for those that another has.
func (n *tableNames) readDir(dir, hiddenBy string) {
	entries, err := fs.ReadDir(n.root, dir)
	if err != nil {
		return // there is none, or it is not for this user: ip goes on, too
	}
	for _, e := range entries {
		file := e.Name()
		if strings.HasPrefix(file, ".") || !strings.HasSuffix(file, ".conf") || file == ".conf" {
			continue
		}
		if _, err := fs.Stat(n.root, path.Join(hiddenBy, file)); hiddenBy != "" && err == nil {
			continue
		}
		n.read(path.Join(dir, file))
	}
}

// read reads one file and reports whether it is there. As ip does, it stops at a
// line that is none.
func (n *tableNames) read(file string) bool {
	text, err := fs.ReadFile(n.root, file)
	if err != nil {
		return false
	}
	for line := range strings.Lines(string(text)) {
		fields := strings.Fields(line)
		if len(fields) == 0 || fields[0][0] == '#' {
			continue
		}
		number, err := parseNumber(fields[0])
		if err != nil || len(fields) < 2 {
			return true
		}
		// ip looks through 256 lists, by the number's last byte, the latest first.
		if fields[1] == n.name && (!n.found || number&0xff <= n.number&0xff) {
			n.number, n.found = number, true
		}
	}
	return true
}
