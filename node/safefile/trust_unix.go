//go:build unix

package safefile

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

// doubt returns why a file or a folder is not trusted, nil if only the owners can have
// written it: they own it, and each folder and link on the way to it, and no group and
// nobody else can write them. It looks at names, one after the other: where all of them are
// trusted nobody else can change what they lead to. Access control lists are not read.
// Linux has a check of its own, which holds on to what it has looked at.
func doubt(name string, owners Owners) (*Untrusted, error) {
	at, err := filepath.Abs(name)
	if err != nil {
		return nil, err
	}
	left := strings.Split(strings.Trim(at, "/"), "/")
	path, links := "/", 0
	e, err := doubtAt(path, owners, len(left) == 0)
	for err == nil && e == nil && len(left) > 0 {
		path, left = filepath.Join(path, left[0]), left[1:]
		var info fs.FileInfo
		if info, err = os.Lstat(path); err != nil {
			break
		}
		if info.Mode()&fs.ModeSymlink == 0 {
			e, err = doubtAt(path, owners, len(left) == 0)
			continue
		}
		if links++; links > 40 { // as many as kernels follow
			return nil, &fs.PathError{Op: "open", Path: name, Err: syscall.ELOOP}
		}
		if e = foreign(path, info, owners); e != nil {
			break
		}
		var to string
		if to, err = os.Readlink(path); err == nil {
			if !filepath.IsAbs(to) {
				to = filepath.Join(filepath.Dir(path), to)
			}
			left, path = append(strings.Split(strings.Trim(to, "/"), "/"), left...), "/"
		}
	}
	if e != nil {
		return e.of(name), nil
	}
	return nil, err
}

// doubtAt is doubt of one file or folder. On the way, a folder in which only owners can replace
// what others have (sticky, as /tmp) will do.
func doubtAt(path string, owners Owners, last bool) (*Untrusted, error) {
	info, err := os.Lstat(path)
	if err != nil {
		return nil, err
	}
	if e := foreign(path, info, owners); e != nil {
		return e, nil
	}
	if info.Mode().Perm()&0o022 == 0 || info.IsDir() && !last && info.Mode()&fs.ModeSticky != 0 {
		return nil, nil
	}
	return of(path, info, Writable), nil
}

func foreign(path string, info fs.FileInfo, owners Owners) *Untrusted {
	if st, ok := info.Sys().(*syscall.Stat_t); ok && !owners.Has(st.Uid) {
		return of(path, info, Foreign)
	}
	return nil
}

func of(path string, info fs.FileInfo, why Why) *Untrusted {
	e := &Untrusted{Path: path, Dir: info.IsDir(), Link: info.Mode()&fs.ModeSymlink != 0, Why: why, Mode: uint32(info.Mode().Perm())}
	if st, ok := info.Sys().(*syscall.Stat_t); ok {
		e.UID, e.GID = st.Uid, st.Gid
	}
	return e
}
