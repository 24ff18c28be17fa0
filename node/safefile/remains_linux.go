package safefile

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"

	"golang.org/x/sys/unix"
)

// RemoveRemains removes what processes have left that were killed while they
// wrote the file of that name, be it in the place of a link. [Write] does so, too.
func RemoveRemains(name string) error {
	p, err := follow(name, Mine(), false)
	if errors.Is(err, fs.ErrNotExist) {
		return nil // not even the folder
	}
	if err == nil {
		defer p.close()
		err = p.removeRemains()
	}
	if err != nil {
		return fmt.Errorf("clear up beside %s: %w", name, err)
	}
	return nil
}

func (p *place) removeRemains() error {
	fd, err := unix.Openat(p.folder, ".", unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err == unix.EACCES {
		return nil // none can be seen
	}
	if err != nil {
		return err
	}
	folder := os.NewFile(uintptr(fd), ".")
	names, err := folder.Readdirnames(-1)
	errs := []error{err, folder.Close()}
	for _, name := range names {
		if strings.HasPrefix(name, p.prefix()) {
			errs = append(errs, p.removeRemain(name))
		}
	}
	return errors.Join(errs...)
}

// removeRemain removes a file or a link, unless somebody writes it. In a folder
// where others can make files it must be this user's.
func (p *place) removeRemain(name string) error {
	fd, err := unix.Openat(p.folder, name, unix.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err == unix.ELOOP {
		return ignore(unix.Unlinkat(p.folder, name, 0), unix.ENOENT, unix.EPERM, unix.EACCES)
	}
	if err != nil {
		return nil // gone, or not of this program's making
	}
	var st unix.Stat_t
	err = unix.Fstat(fd, &st)
	ours := st.Uid == uint32(os.Geteuid()) || !p.shared && p.doubt == nil
	if err == nil && st.Mode&unix.S_IFMT == unix.S_IFREG && ours &&
		unix.Flock(fd, unix.LOCK_EX|unix.LOCK_NB) == nil {
		err = ignore(unix.Unlinkat(p.folder, name, 0), unix.ENOENT)
	}
	return errors.Join(err, unix.Close(fd))
}
