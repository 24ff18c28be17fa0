package config

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"

	"github.com/wgnode/wgnode/node/safefile"
)

// Save replaces the file that c was read from by one that says what c does, whole or
// not at all. What of the file only it knows stays as it was written, comments and
// order above all; a file without comments is written as [Config.WriteConf] or
// [Config.WriteTOML] do. It keeps its owner, and what its owner and its group may do;
// others may do nothing afterwards.
func (c *Config) Save() error {
	text, err := readText(c.Path)
	if err == nil {
		text, err = c.saved(text)
	}
	if err == nil {
		err = safefile.Write(c.Path, safefile.Options{Mode: 0o600}, func(w io.Writer) error {
			_, err := io.WriteString(w, text)
			return err
		})
	}
	if err != nil {
		return fmt.Errorf("save %s: %w", c.Path, err)
	}
	return nil
}

// readText returns the content of a file, none if it is not there.
func readText(path string) (string, error) {
	f, err := safefile.OpenAny(path)
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	if err != nil {
		return "", err
	}
	defer f.Close() // nothing was written: its error says nothing
	return readAll(f, path)
}

// WriteFile writes c to a file in the format that its name tells, .conf or
// .toml, whole or not at all. A new file has mode 0600. One that is there already
// is replaced as by Save if replace is true, behind a symbolic link the file that
// it leads to; else the error is fs.ErrExist.
func (c *Config) WriteFile(path string, replace bool) error {
	write, err := c.writer(filepath.Ext(path))
	if err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	return safefile.Write(path, safefile.Options{Mode: 0o600, New: !replace}, write)
}

// writer returns what writes c in a format.
func (c *Config) writer(format string) (func(io.Writer) error, error) {
	switch format {
	case ".conf":
		return c.WriteConf, nil
	case ".toml":
		return c.WriteTOML, nil
	}
	return nil, errNoFormat
}
