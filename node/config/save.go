package config

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// Save replaces the file that c was read from by what [Config.WriteConf] writes,
// whole or not at all: the text goes to a file beside it, PATH.tmp, which then
// gets its name. The file has mode 0600 afterwards, as with wg-quick.
func (c *Config) Save() error {
	if filepath.Ext(c.Path) != ".conf" {
		return fmt.Errorf("save %s: only a .conf can be saved", c.Path)
	}
	if err := c.replaceFile(c.Path); err != nil {
		return fmt.Errorf("save %s: %w", c.Path, err)
	}
	return nil
}

func (c *Config) replaceFile(path string) (err error) {
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
		err = c.WriteConf(f)
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
	return os.Rename(tmp, path)
}
