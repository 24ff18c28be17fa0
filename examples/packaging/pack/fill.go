package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"text/template"
)

// absent ends a template that is about an archive that the release lacks.
type absent struct{ name string }

func (a absent) Error() string { return "there is no " + a.name }

// release is what templates ask.
type release struct {
	folder string
	// Version is without the v, Tag with it.
	Version, Tag string
}

// Name is the name of the archive for one target, without its suffix.
func (r release) Name(target string) string { return "wgnode_" + r.Version + "_" + target }

// URL is where the archive of a target is published.
func (r release) URL(target, suffix string) string {
	return source + "/releases/download/" + r.Tag + "/" + r.Name(target) + suffix
}

func (r release) sum(target, suffix string) ([]byte, error) {
	name := r.Name(target) + suffix
	data, err := os.ReadFile(filepath.Join(r.folder, name))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, absent{name}
	}
	if err != nil {
		return nil, err
	}
	sum := sha256.Sum256(data)
	return sum[:], nil
}

// Hex is the hash of an archive as most write it.
func (r release) Hex(target, suffix string) (string, error) {
	sum, err := r.sum(target, suffix)
	return hex.EncodeToString(sum), err
}

// HEX is the hash of an archive as winget writes it.
func (r release) HEX(target, suffix string) (string, error) {
	sum, err := r.Hex(target, suffix)
	return strings.ToUpper(sum), err
}

// SRI is the hash of an archive as Nix writes it.
func (r release) SRI(target, suffix string) (string, error) {
	sum, err := r.sum(target, suffix)
	return "sha256-" + base64.StdEncoding.EncodeToString(sum), err
}

// Need ends a template that names no archive, where there is none.
func (r release) Need(target, suffix string) (string, error) {
	_, err := r.sum(target, suffix)
	return "", err
}

// fill writes each template into the folder of the release, if the archives that it names are
// there, and says which are not written.
func fill(templates, folder, version string) error {
	names, err := filepath.Glob(filepath.Join(templates, "*.tmpl"))
	if err != nil {
		return err
	}
	if len(names) == 0 {
		return fmt.Errorf("no templates in %s", templates)
	}
	r := release{folder: folder, Version: strings.TrimPrefix(version, "v"), Tag: "v" + strings.TrimPrefix(version, "v")}
	for _, name := range names {
		t, err := template.ParseFiles(name)
		if err != nil {
			return err
		}
		to := strings.TrimSuffix(filepath.Base(name), ".tmpl")
		var text bytes.Buffer
		err = t.Execute(&text, r)
		if missing, ok := errors.AsType[absent](err); ok {
			fmt.Fprintf(os.Stderr, "note: no %s: %v\n", to, missing)
			continue
		}
		if err != nil {
			return err
		}
		err = create(filepath.Join(folder, to), func(w io.Writer) error {
			_, err := text.WriteTo(w)
			return err
		})
		if err != nil {
			return err
		}
	}
	return nil
}
