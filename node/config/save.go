package config

import (
	"errors"
	"fmt"
	"io"
	"path/filepath"

	"github.com/wgnode/wgnode/node/safefile"
)

// Save replaces the file that c was read from by what [Config.WriteConf] or
// [Config.WriteTOML] writes, whole or not at all. It keeps its owner, and what
// its owner and its group may do; others may do nothing afterwards.
func (c *Config) Save() error {
	write, err := c.writer(filepath.Ext(c.Path))
	if err == nil {
		err = safefile.Write(c.Path, safefile.Options{Mode: 0o600}, write)
	}
	if err != nil {
		return fmt.Errorf("save %s: %w", c.Path, err)
	}
	return nil
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
	return nil, errors.New("its name ends neither in .conf nor in .toml")
}
