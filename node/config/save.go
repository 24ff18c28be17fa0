package config

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// Save replaces the file that c was read from by what [Config.WriteConf] or
// [Config.WriteTOML] writes, whole or not at all: the text goes to a file beside it, PATH.tmp, which then
// gets its name. The file has mode 0600 afterwards, as with wg-quick.
func (c *Config) Save() error {
	if err := c.replaceFile(c.Path, filepath.Ext(c.Path), os.Rename); err != nil {
		return fmt.Errorf("save %s: %w", c.Path, err)
	}
	return nil
}

// WriteFile writes c to a file in the format that its name tells, .conf or
// .toml, whole or not at all. The file has mode 0600. One that is there already
// is replaced if replace is true, behind a symbolic link the file that it leads
// to; else the error is fs.ErrExist.
func (c *Config) WriteFile(path string, replace bool) error {
	format, publish := filepath.Ext(path), os.Rename
	if behind, err := filepath.EvalSymlinks(path); err == nil && replace {
		path = behind
	}
	if !replace {
		publish = func(from, to string) error {
			return unix.Renameat2(unix.AT_FDCWD, from, unix.AT_FDCWD, to, unix.RENAME_NOREPLACE)
		}
	}
	if _, err := os.Lstat(path); err == nil && !replace {
		// Before a temporary file is made, and before c itself is at fault.
		return fmt.Errorf("write %s: %w", path, fs.ErrExist)
	}
	if err := c.replaceFile(path, format, publish); err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	return nil
}

// replaceFile writes a file beside path and has publish give it that name.
func (c *Config) replaceFile(path, format string, publish func(from, to string) error) (err error) {
	var write func(io.Writer) error
	switch format {
	case ".conf":
		write = c.WriteConf
	case ".toml":
		write = c.WriteTOML
	default:
		return errors.New("its name ends neither in .conf nor in .toml")
	}
	tmp := path + ".tmp"
	f, err := os.OpenFile(tmp, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.Remove(tmp))
		}
	}()
	// One that was left there may have had another mode.
	err = f.Chmod(0o600)
	if err == nil {
		err = write(f)
	}
	if err == nil {
		err = f.Sync()
	}
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err != nil {
		return err
	}
	return publish(tmp, path)
}
