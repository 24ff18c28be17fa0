//go:build unix

package inherit

import (
	"os"
	"strconv"
)

// firstOwn is the first descriptor that is not standard input, output or error.
const firstOwn = 3

// eachOpen calls f for each descriptor that is open.
func eachOpen(f func(fd int)) error {
	entries, err := os.ReadDir(listing)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if fd, err := strconv.Atoi(e.Name()); err == nil && fd >= firstOwn {
			f(fd)
		}
	}
	return nil
}
