package main

import (
	"archive/tar"
	"archive/zip"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// entry is a file of an archive, or a folder if its name ends in a slash.
type entry struct {
	name string
	mode fs.FileMode
	uid  int
	data []byte
}

// archive writes the folder, under its own name, into a .tar.gz or a .zip.
func archive(folder, file string, at time.Time) error {
	entries, err := collect(folder, filepath.Base(folder))
	if err != nil {
		return err
	}
	write := writeTarGz
	if strings.HasSuffix(file, ".zip") {
		write = writeZip
	}
	return create(file, func(w io.Writer) error { return write(w, entries, at) })
}

// collect reads the files below a folder, in the order of their names. Of a file's mode only
// counts whether it is a program: the rest is what the umask of the builder has left.
func collect(folder, under string) ([]entry, error) {
	var entries []entry
	err := filepath.WalkDir(folder, func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		relative, err := filepath.Rel(folder, name)
		if err != nil {
			return err
		}
		to := filepath.ToSlash(filepath.Join(under, relative))
		if d.IsDir() {
			entries = append(entries, entry{name: to + "/", mode: 0o755})
			return nil
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		if !info.Mode().IsRegular() {
			return fmt.Errorf("%s is not a regular file", name)
		}
		mode := fs.FileMode(0o644)
		if info.Mode()&0o100 != 0 {
			mode = 0o755
		}
		data, err := os.ReadFile(name)
		entries = append(entries, entry{name: to, mode: mode, data: data})
		return err
	})
	return entries, err
}

func writeTarGz(w io.Writer, entries []entry, at time.Time) error {
	zw, err := gzip.NewWriterLevel(w, gzip.BestCompression)
	if err != nil {
		return err
	}
	return errors.Join(writeTar(zw, entries, at), zw.Close())
}

func writeTar(w io.Writer, entries []entry, at time.Time) error {
	tw := tar.NewWriter(w)
	for _, e := range entries {
		kind := byte(tar.TypeReg)
		if strings.HasSuffix(e.name, "/") {
			kind = tar.TypeDir
		}
		h := &tar.Header{
			Typeflag: kind, Name: e.name, Mode: int64(e.mode), Uid: e.uid, Gid: e.uid, Size: int64(len(e.data)), ModTime: at,
		}
		if err := tw.WriteHeader(h); err != nil {
			return err
		}
		if _, err := tw.Write(e.data); err != nil {
			return err
		}
	}
	return tw.Close()
}

func writeZip(w io.Writer, entries []entry, at time.Time) error {
	zw := zip.NewWriter(w)
	for _, e := range entries {
		h := &zip.FileHeader{Name: e.name, Method: zip.Deflate, Modified: at}
		h.SetMode(e.mode)
		if strings.HasSuffix(e.name, "/") {
			h.Method = zip.Store
			h.SetMode(e.mode | fs.ModeDir)
		}
		f, err := zw.CreateHeader(h)
		if err != nil {
			return err
		}
		if _, err := f.Write(e.data); err != nil {
			return err
		}
	}
	return zw.Close()
}

// create writes a file, and leaves none behind that is not whole.
func create(name string, write func(io.Writer) error) error {
	f, err := os.Create(name)
	if err != nil {
		return err
	}
	if err := errors.Join(write(f), f.Close()); err != nil {
		return errors.Join(fmt.Errorf("write %s: %w", name, err), os.Remove(name))
	}
	return nil
}
